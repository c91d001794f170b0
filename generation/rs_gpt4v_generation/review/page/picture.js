// The image with its boxes: drawn as SVG in the image's own pixels.

const SVG = "http://www.w3.org/2000/svg";
// Told apart without red and green, on dark and on light ground.
const COLOURS = ["#56b4e9", "#e69f00", "#cc79a7", "#f0e442", "#7fd6b5", "#ff8f6b", "#b9a5ff", "#ffffff"];
const MOST_ZOOM = 40;

const $ = (id) => document.getElementById(id);
const view = { x: 0, y: 0, width: 1, height: 1 };
let whole = null; // the image's size in pixels, none without an image

/** Draw the image of the candidate at a place, and its boxes, whole. */
export function drawPicture({ place, candidate }) {
  const { width, height } = candidate;
  whole = { width, height };
  highlight([]);
  $("picture-note").hidden = true;
  for (const [name, value] of Object.entries({ width, height, href: `image/${place}` })) {
    $("image").setAttribute(name, value);
  }
  const labels = [...new Set(candidate.boxes.map((box) => box.label))].sort();
  const colour = (box) => COLOURS[labels.indexOf(box.label) % COLOURS.length];
  $("boxes").replaceChildren(
    ...candidate.boxes.flatMap((box) => [...outline(box.points, colour(box)), label(box)]),
  );
  fit();
}

function outline(points, colour) {
  return ["under", "over"].map((name) => {
    const polygon = document.createElementNS(SVG, "polygon");
    polygon.setAttribute("class", name);
    polygon.setAttribute("points", corners(points).join(" "));
    if (name === "over" && colour) polygon.setAttribute("stroke", colour);
    return polygon;
  });
}

function corners(points) {
  if (points.length === 8) return points;
  const [left, top, right, bottom] = points;
  return [left, top, right, top, right, bottom, left, bottom];
}

function label(box) {
  const text = document.createElementNS(SVG, "text");
  const all = corners(box.points);
  const top = [0, 2, 4, 6].reduce((best, i) => (all[i + 1] < all[best + 1] ? i : best), 0);
  text.setAttribute("class", "label");
  text.setAttribute("x", all[top]);
  text.setAttribute("y", all[top + 1]);
  text.setAttribute("dy", "-.35em");
  text.textContent = box.label;
  return text;
}

/** Draw none. */
export function clearPicture() {
  whole = null;
  $("image").removeAttribute("href");
  $("boxes").replaceChildren();
  highlight([]);
}

/** Draw some boxes strongly, and all others faintly; with none, all as they are. */
export function highlight(boxes) {
  $("evidence").replaceChildren(...boxes.flatMap((points) => outline(points)));
  $("boxes").classList.toggle("dim", boxes.length > 0);
}

export function fit() {
  if (whole) look(0, 0, whole.width, whole.height);
}

function look(x, y, width, height) {
  Object.assign(view, { x, y, width, height });
  $("scene").setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  const { clientWidth, clientHeight } = $("scene");
  const unit = Math.max(width / (clientWidth || 1), height / (clientHeight || 1));
  $("boxes").setAttribute("font-size", 12 * unit); // 12 px of the screen, however far in
}

export function zoom(factor, at = { x: view.x + view.width / 2, y: view.y + view.height / 2 }) {
  if (!whole) return;
  const width = Math.min(whole.width, Math.max(whole.width / MOST_ZOOM, view.width / factor));
  const scale = width / view.width;
  look(at.x - (at.x - view.x) * scale, at.y - (at.y - view.y) * scale, width, view.height * scale);
}

function toImage(event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform($("scene").getScreenCTM().inverse());
}

function move(byX, byY) {
  look(view.x + byX, view.y + byY, view.width, view.height);
}

/** Move by shares of what is seen. */
export function pan(byX, byY) {
  if (whole) move(byX * view.width, byY * view.height);
}

/** Boxes (b) or labels (l) on or off. */
export function toggle(key) {
  const button = document.querySelector(`#tools [data-key="${key}"]`);
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", on);
  if (key === "b") $("boxes").toggleAttribute("hidden", !on);
  else $("boxes").classList.toggle("bare", !on);
}

$("scene").addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, toImage(event));
}, { passive: false });

$("scene").addEventListener("pointerdown", (event) => {
  if (!whole || event.button !== 0) return;
  const scene = $("scene");
  let last = toImage(event);
  const drag = (moved) => {
    const now = toImage(moved);
    move(last.x - now.x, last.y - now.y);
    last = toImage(moved); // the ground moved beneath the pointer
  };
  scene.setPointerCapture(event.pointerId);
  scene.classList.add("dragged");
  scene.addEventListener("pointermove", drag);
  scene.addEventListener("lostpointercapture", () => {
    scene.removeEventListener("pointermove", drag);
    scene.classList.remove("dragged");
  }, { once: true });
});

$("image").addEventListener("error", async () => {
  const asked = $("image").getAttribute("href");
  const { error = "the browser cannot show it" } = await fetch(asked).then((r) => r.json()).catch(() => ({}));
  if (asked !== $("image").getAttribute("href")) return;
  $("picture-note").textContent = `✗ No image: ${error}`;
  $("picture-note").hidden = false;
});

addEventListener("resize", () => whole && look(view.x, view.y, view.width, view.height));
