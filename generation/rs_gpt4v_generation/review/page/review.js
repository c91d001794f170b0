// The review page: what is asked, decided and shown next.

import { aside, drawDialogue, drawTurns, make, nextVerdict, turnsOf } from "./dialogue.js";
import { clearPicture, drawPicture, fit, pan, toggle, zoom } from "./picture.js";

const REASONS = [
  "wrong: the image shows otherwise",
  "cannot be seen in the image",
  "contradicts itself",
  "the question gives the answer away",
  "of no use: trivial or not about the image",
  "unclear or bad English",
];

const $ = (id) => document.getElementById(id);
const state = { places: [], item: null, editing: false, busy: false, asked: 0 };

// --- Talking to the server ---

async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the server does not answer: is the command still running?");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

/** Run what may fail, and tell of it; what is asked meanwhile is ignored. */
async function exclusively(work) {
  if (state.busy) return;
  state.busy = true;
  try {
    await work();
  } catch (error) {
    say(error.message);
  } finally {
    state.busy = false;
  }
}

function say(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => ($("toast").hidden = true), 5000);
}

// --- Editing ---

function startEdit(messages) {
  if (!state.item || state.editing || state.busy) return;
  const { candidate, decision, changed } = state.item;
  const current = decision?.decision === "edit" && !changed ? decision.messages : candidate.messages;
  drawDialogue(state.item, startEdit);
  state.editing = true;
  drawEditor(turnsOf(messages ?? current));
  $("turns").append(aside("As generated, with its checks", drawTurns(candidate.messages, candidate.verdicts)));
  $("turns").querySelectorAll("textarea")[1].focus();
}

function drawEditor(turns) {
  $("turns").replaceChildren(...turns.map((turn) => editor(...turn)));
  setEditing(true);
}

function editor(question, answer) {
  const remove = make("button", { type: "button", className: "remove", textContent: "Remove this turn" });
  const element = make("article", { className: "turn edited" }, field("Question", question), field("Answer", answer), remove);
  remove.addEventListener("click", () => {
    if ($("turns").querySelectorAll(".edited").length > 1) element.remove();
    else say("A dialogue has at least one turn: reject it instead");
  });
  return element;
}

function field(name, value) {
  const rows = Math.min(14, 1 + Math.ceil(value.length / 60)); // where the browser cannot size it
  return make("label", {}, name, make("textarea", { value, rows }));
}

function setEditing(on) {
  $("editing").hidden = !on;
  $("actions").hidden = on;
  for (const control of $("filters").elements) control.disabled = on;
}

function stopEdit() {
  state.editing = false;
  setEditing(false);
  drawDialogue(state.item, startEdit);
  $("dialogue").focus();
}

function saveEdit() {
  const fields = [...$("turns").querySelectorAll(".edited textarea")];
  const messages = fields.map((one, i) => ({ role: i % 2 ? "assistant" : "user", content: one.value.trim() }));
  const generated = state.item.candidate.messages.map((one) => one.content.trim());
  if (messages.map((one) => one.content).join("\0") === generated.join("\0")) {
    say("Nothing was changed: go back with Esc, and accept it");
    return;
  }
  decide({ decision: "edit", messages });
}

// --- Deciding and going on ---

function decide(made) {
  return exclusively(async () => {
    if (!state.item && made.decision !== "undo") return;
    const isLast = made.decision === "undo" && !state.item?.decision;
    const id = isLast ? null : state.item.candidate.id;
    $("saved").textContent = "saving …";
    let answer;
    try {
      answer = await ask("decide", { ...made, id });
    } catch (error) {
      $("saved").textContent = `✗ ${error.message}`;
      $("saved").className = "wrong";
      throw error;
    }
    $("saved").textContent = `✓ saved ${new Date().toLocaleTimeString()}`;
    $("saved").className = "";
    drawProgress(answer.progress);
    state.editing = false;
    setEditing(false);
    if (made.decision === "undo") draw(answer);
    else await leave(answer);
  });
}

async function leave(answer) {
  const next = state.places[state.places.indexOf(answer.place) + 1];
  if (next === undefined) {
    draw(answer);
    say("That was the last of these");
  } else {
    await show(next);
  }
}

function step(by) {
  const next = state.places[state.places.indexOf(state.item?.place) + by];
  if (state.item && next !== undefined) return exclusively(() => show(next));
}

async function show(place) {
  const item = await ask(`item/${place}`);
  if (state.editing) return; // what is being written stays
  draw(item);
  const next = state.places[state.places.indexOf(place) + 1];
  if (next !== undefined) new Image().src = `image/${next}`; // at hand when it is wanted
}

function draw(item) {
  const isNew = state.item?.place !== item.place;
  state.item = item;
  if (!state.places.includes(item.place)) {
    state.places = [...state.places, item.place].sort((a, b) => a - b); // an undone one, of another filter
  }
  if (isNew || !$("image").hasAttribute("href")) drawPicture(item);
  drawDialogue(state.item, startEdit);
  $("shown").value = `${state.places.indexOf(item.place) + 1} of ${state.places.length.toLocaleString("en")}`;
  if (isNew) {
    for (const pane of [$("dialogue"), $("dialogue").parentElement]) pane.scrollTop = 0; // narrow: main scrolls
  }
  history.replaceState(null, "", `#${item.place}`);
}

function drawNothing() {
  state.item = null;
  $("shown").value = "0 of 0";
  clearPicture();
  $("about").replaceChildren();
  $("decision").hidden = true;
  $("turns").replaceChildren(make("p", { className: "nothing", textContent: "Nothing passes this filter." }));
}

function drawProgress({ total, counts, per_hour: perHour, hours_left: hoursLeft }) {
  const done = counts.accept + counts.edit + counts.reject;
  const told = [`${done.toLocaleString("en")} of ${total.toLocaleString("en")} decided`];
  if (counts.skip) told.push(`${counts.skip} skipped`);
  if (perHour) told.push(`${Math.round(perHour).toLocaleString("en")} per hour`);
  if (hoursLeft) told.push(`${duration(hoursLeft)} left`);
  $("progress").textContent = told.join(" · ");
  Object.assign($("bar"), { max: total, value: done });
}

function duration(hours) {
  const minutes = Math.ceil(hours * 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

async function select(place) {
  const mine = ++state.asked;
  const filters = Object.entries(Object.fromEntries(new FormData($("filters")))).filter(([, value]) => value);
  const places = await ask(`select?${new URLSearchParams(filters)}`);
  if (mine !== state.asked) return; // a later question is under way
  state.places = places;
  if (!places.length) drawNothing();
  else await show(places.includes(place) ? place : places[0]);
}

// --- Keys and buttons ---

const KEYS = {
  a: () => decide({ decision: "accept" }),
  e: () => startEdit(),
  r: () => state.item && $("reject-dialog").showModal(),
  s: () => decide({ decision: "skip" }),
  u: () => decide({ decision: "undo" }),
  j: () => step(1),
  k: () => step(-1),
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  v: () => nextVerdict(1),
  V: () => nextVerdict(-1),
  b: () => toggle("b"),
  l: () => toggle("l"),
  "+": () => zoom(1.4),
  "=": () => zoom(1.4),
  "-": () => zoom(1 / 1.4),
  0: fit,
  "/": () => $("filters").elements.text.focus(),
  "?": () => $("help-dialog").showModal(),
};
const PANS = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
// Held down, these go on; a decision is one press.
const REPEATED = new Set(["j", "k", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "v", "V", "+", "=", "-"]);

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (state.editing) editingKey(event);
  else if (event.target.matches("input, select, textarea")) searchKey(event);
  else plainKey(event);
});

function editingKey(event) {
  if (event.key === "Escape") stopEdit();
  else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) saveEdit();
  else return;
  event.preventDefault();
}

function searchKey(event) {
  if (event.key === "Escape" || (event.key === "Enter" && event.target.matches("input"))) event.target.blur();
}

function plainKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.repeat && !REPEATED.has(event.key)) {
    event.preventDefault(); // Enter, held down on a button, presses it again and again
    return;
  }
  const [byX, byY] = (event.shiftKey && PANS[event.key]) || [];
  if (byX === undefined && !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  if (byX === undefined) KEYS[event.key]();
  else pan(byX, byY);
}

for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => KEYS[button.dataset.key]());
}
$("save").addEventListener("click", saveEdit);
$("cancel").addEventListener("click", stopEdit);
$("add-turn").addEventListener("click", () => {
  const added = editor("", "");
  [...$("turns").querySelectorAll(".edited")].at(-1).after(added);
  added.querySelector("textarea").focus();
});
$("help-button").addEventListener("click", KEYS["?"]);

function reject(reason) {
  $("reject-dialog").close();
  $("reason-form").reset();
  decide({ decision: "reject", reason });
}

$("reasons").append(...REASONS.map((reason, i) => {
  const button = make("button", { type: "button" }, make("kbd", { textContent: i + 1 }), ` ${reason}`);
  button.addEventListener("click", () => reject(reason));
  return button;
}));
$("reject-dialog").addEventListener("keydown", (event) => {
  const input = $("reason-form").elements.reason;
  if (event.target === input || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (REASONS[event.key - 1]) reject(REASONS[event.key - 1]);
  else if (event.key === "o") input.focus();
  else return;
  event.preventDefault();
});
$("reason-form").addEventListener("submit", (event) => {
  event.preventDefault();
  reject($("reason-form").elements.reason.value.trim());
});

let typing;
let byKeys = false;
for (const name of ["keydown", "pointerdown"]) {
  $("filters").addEventListener(name, () => (byKeys = name === "keydown"));
}
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("input", (event) => {
  clearTimeout(typing);
  const wait = event.target.name === "text" ? 250 : 0;
  if (!wait && !byKeys) event.target.blur(); // so that the next key decides again
  typing = setTimeout(() => select(state.item?.place).catch((error) => say(error.message)), wait);
});
addEventListener("beforeunload", (event) => state.editing && event.preventDefault());

// --- The start ---

function options(name, values) {
  $("filters").elements[name].append(...values.map((value) => new Option(value, value)));
}

async function start() {
  const { queue, reviewer, problems, checks, products, first, progress } = await ask("overview");
  document.title = `Review of ${queue}`;
  $("queue").textContent = queue;
  $("saved").textContent = `reviewer ${reviewer}`;
  options("check", checks);
  options("product", products);
  drawProgress(progress);
  if (problems) say(`${problems} lines of the queue were left out: the terminal says why`);
  await select(location.hash ? Number(location.hash.slice(1)) : first);
}

start().catch((error) => say(error.message));
