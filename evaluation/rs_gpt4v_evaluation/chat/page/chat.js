// Asks the model, and draws the boxes of questions and answers on the image.

const SVG = "http://www.w3.org/2000/svg";
// Told apart without red and green, on dark and on light ground.
const COLOURS = ["#ffd21f", "#4cc9f0", "#ff7eb6", "#a6e22e", "#ff9f40", "#c4a7ff"];

const $ = (id) => document.getElementById(id);
let about = { largest: 0, examples: [], tasks: [] };
let image = null; // its name and size
let messages = [];
let busy = false;

function make(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The answer of the server; what went wrong is thrown in words. */
async function fetched(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the server does not answer: is the command still running?");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `status ${response.status}`);
  return answer;
}

const post = (path, type, body) => fetched(path, { method: "POST", headers: { "Content-Type": type }, body });

function say(kind, text) {
  $("hint").hidden = true;
  const turn = make("div", { class: `turn ${kind}`, text });
  $("log").append(turn);
  turn.scrollIntoView({ block: "nearest" });
  return turn;
}

const complain = (error) => say("wrong", `✗ ${error.message}`).setAttribute("role", "alert");

function draw({ boxes = [], asked = [] } = {}) {
  const shape = (points, colour, kind) => {
    const [a, b, c, d] = points;
    const corners = points.length === 4 ? [a, b, c, b, c, d, a, d] : points;
    const group = document.createElementNS(SVG, "g");
    group.setAttribute("class", kind);
    for (const layer of ["under", "over"]) {
      const polygon = document.createElementNS(SVG, "polygon");
      polygon.setAttribute("points", corners.join(" "));
      polygon.setAttribute("class", layer);
      if (layer === "over" && colour) polygon.setAttribute("stroke", colour);
      group.append(polygon);
    }
    return group;
  };
  $("boxes").replaceChildren(
    ...asked.map((box) => shape(box, null, "asked")),
    ...boxes.map((box, i) => shape(box, COLOURS[i % COLOURS.length], "said")),
  );
}

function show(shown) {
  image = shown;
  const { width, height } = shown;
  $("scene").setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const [name, value] of Object.entries({ width, height, href: `image/${shown.image}` })) {
    $("image").setAttribute(name, value);
  }
  $("scene").removeAttribute("hidden");
  $("picture").classList.add("full");
  clear();
}

function clear() {
  messages = [];
  draw();
  $("log").replaceChildren($("hint"));
  $("hint").hidden = false;
  $("hint").textContent = image ? "Ask about this image." : "Choose an example, or add an image and ask about it.";
  $("clear").disabled = true;
}

async function add(file) {
  if (!file || busy) return;
  try {
    if (file.size > about.largest) {
      throw new Error(`${file.name} has ${file.size.toLocaleString("en")} bytes, more than ${about.largest.toLocaleString("en")}: cut it into tiles`);
    }
    show(await post("image", "application/octet-stream", file));
    $("question").focus();
  } catch (error) {
    complain(error);
  }
}

function wait(is) {
  busy = is;
  $("ask").disabled = $("clear").disabled = is;
  for (const button of $("examples").children) button.disabled = is;
}

async function ask(text, truth) {
  if (busy || !text.trim()) return;
  const asked = [...messages, { role: "user", content: text.trim() }];
  const question = say("user", text.trim());
  const waiting = say("assistant waiting", "answering …");
  wait(true);
  try {
    const body = JSON.stringify({ image: image?.image ?? null, messages: asked, task: $("task").value || "vqa" });
    const answer = await post("ask", "application/json", body);
    messages = [...asked, { role: "assistant", content: answer.reply || " " }];
    answered(waiting, answer, truth);
    $("question").value = "";
  } catch (error) {
    question.remove();
    waiting.remove();
    $("question").value = text;
    complain(error);
  }
  wait(false);
}

function answered(turn, answer, truth) {
  const line = make("div", { class: "about" });
  if (answer.boxes.length + answer.asked.length) {
    const count = answer.boxes.length;
    const text = count === 0 ? "box of the question" : count === 1 ? "1 box" : `${count} boxes`;
    const button = make("button", { type: "button", text, "aria-pressed": "false" });
    button.addEventListener("click", () => select(button, answer));
    line.append(button);
    select(button, answer);
  } else {
    select(null, answer);
  }
  if (truth) line.append(make("span", { text: `true answer: ${truth}` }));
  line.append(make("span", { text: `${answer.seconds} s` }));
  turn.classList.remove("waiting");
  turn.replaceChildren(make("span", { text: answer.reply || "(an empty reply)" }), line);
  turn.scrollIntoView({ block: "nearest" });
}

/** Show the boxes of one answer. */
function select(button, answer) {
  for (const other of $("log").querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", "false");
  button?.setAttribute("aria-pressed", "true");
  draw(answer);
}

function start() {
  $("model").textContent = about.model;
  document.title = `Chat with ${about.model}`;
  $("adapter").textContent = `with ${about.adapter}`;
  $("adapter").hidden = !about.adapter;
  const notes = [
    about.model === "embedded" && "A toy: it knows the sample's synthetic scenes only.",
    !about.box_format && "Boxes are not drawn: how this model writes them is not known (--box-format).",
  ].filter(Boolean);
  $("note").textContent = notes.join(" ");
  $("note").hidden = !notes.length;
  $("task").replaceChildren(...about.tasks.map((task) => make("option", { text: task })));
  $("task-label").hidden = !about.tasks.length;
  $("examples").replaceChildren(...about.examples.map((example) => {
    const picture = make("img", { src: `thumbnail/${example.image}`, alt: "" });
    const button = make("button", { type: "button", title: example.question }, picture, make("span", { text: example.question }));
    button.addEventListener("click", () => {
      show(example);
      if (about.tasks.includes(example.task)) $("task").value = example.task;
      ask(example.question, example.truth);
    });
    return button;
  }));
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask($("question").value);
});
$("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  ask($("question").value);
});
$("clear").addEventListener("click", clear);
$("file").addEventListener("change", () => {
  add($("file").files[0]);
  $("file").value = "";
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("picture").classList.toggle("over", kind === "dragover");
    if (kind === "drop") add(event.dataTransfer.files[0]);
  });
}
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (file) add(file);
});

fetched("about").then((answer) => {
  about = answer;
  start();
}).catch(complain);
