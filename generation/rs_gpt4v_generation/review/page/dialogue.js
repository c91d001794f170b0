// The dialogue, its verdicts and what was decided. Words of the queue are set as text, never as HTML.

import { highlight } from "./picture.js";

const SIGNS = { fail: "✗", "cannot tell": "?", pass: "✓" };
const DECIDED = { accept: "✓ Accepted", edit: "✎ Edited", reject: "✗ Rejected", skip: "↷ Skipped" };

const $ = (id) => document.getElementById(id);
let focus = null; // the verdict that is shown, a button

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Messages as pairs of question and answer. */
export function turnsOf(messages) {
  return messages.filter((_, i) => i % 2 === 0).map((one, i) => [one.content, messages[2 * i + 1].content]);
}

/** Draw an item; `onEdit` is called with an earlier reviewer's messages that are to be edited. */
export function drawDialogue({ candidate, decision, changed }, onEdit) {
  const edited = decision?.decision === "edit" && !changed ? decision.messages : null;
  focus = null;
  highlight([]);
  drawAbout(candidate);
  drawDecision(decision, changed);
  $("turns").replaceChildren(...drawTurns(edited ?? candidate.messages, edited ? [] : candidate.verdicts));
  if (edited) {
    $("turns").append(aside("As generated, with its checks", drawTurns(candidate.messages, candidate.verdicts)));
  }
  for (const review of candidate.reviews ?? []) $("turns").append(earlier(review, onEdit));
}

function drawAbout(candidate) {
  const told = { id: candidate.id, image: `${candidate.width} × ${candidate.height} px` };
  for (const name of ["model", "prompt", "request"]) {
    if (typeof candidate[name] === "string") told[name] = candidate[name].slice(0, name === "request" ? 12 : 200);
  }
  $("about").replaceChildren(
    make("b", { textContent: candidate.product }),
    ...Object.entries(told).map(([name, value]) => make("span", { textContent: `${name} ${value}` })),
  );
}

function drawDecision(decision, changed) {
  $("decision").hidden = !decision;
  if (!decision) return;
  const at = new Date(decision.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const reason = decision.reason ? `: ${decision.reason}` : "";
  $("decision").className = changed ? "changed" : decision.decision;
  $("decision").textContent = changed
    ? `! Changed since you decided (${decision.decision}${reason}, ${at}): decide again`
    : `${DECIDED[decision.decision]}${reason} · ${at}`;
}

export function drawTurns(messages, verdicts) {
  return turnsOf(messages).map(([question, answer], turn) => {
    const element = make("article", { className: "turn" }, said("user", question), said("assistant", answer));
    const own = verdicts.filter((verdict) => verdict.turn === turn);
    if (own.length) element.append(drawVerdicts(own));
    return element;
  });
}

function said(role, content) {
  const words = make("span", { className: "words", textContent: content });
  return make("div", { className: `said ${role}` }, make("b", { textContent: role === "user" ? "Question" : "Answer" }), words);
}

function drawVerdicts(verdicts) {
  const of = (result) => verdicts.filter((verdict) => verdict.result === result).map(drawVerdict);
  const list = make("div", { className: "verdicts" }, ...of("fail"), ...of("cannot tell"));
  const passed = of("pass");
  if (passed.length) {
    list.append(make("details", {}, make("summary", { textContent: `✓ ${passed.length} passed` }), ...passed));
  }
  return list;
}

function drawVerdict(verdict) {
  const className = `verdict ${verdict.result === "cannot tell" ? "unsure" : verdict.result}`;
  const head = make("span", { className: "head" },
    make("span", { className: "sign", textContent: SIGNS[verdict.result] }),
    make("span", { className: "name", textContent: `${verdict.result}: ${verdict.check}` }));
  const button = make("button", { type: "button", className }, head,
    make("span", { className: "quoted", textContent: `“${verdict.sentence}”` }),
    make("span", { className: "rule", textContent: verdict.rule }));
  button.setAttribute("aria-pressed", false);
  button.addEventListener("click", () => focusVerdict(button));
  button.verdict = verdict;
  return button;
}

/** Show the boxes and the sentence of a verdict, or, of the one that is shown, no longer. */
function focusVerdict(button) {
  if (focus) {
    focus.setAttribute("aria-pressed", false);
    markIn(focus.closest(".turn"), "");
  }
  focus = focus === button ? null : button;
  highlight(focus ? button.verdict.boxes : []);
  if (!focus) return;
  button.setAttribute("aria-pressed", true);
  markIn(button.closest(".turn"), button.verdict.sentence);
  button.closest("details")?.setAttribute("open", "");
  button.scrollIntoView({ block: "nearest" });
}

function markIn(turn, sentence) {
  for (const words of turn.querySelectorAll(":scope > .said > .words")) {
    const text = words.textContent;
    const start = sentence ? text.indexOf(sentence) : -1;
    if (start < 0) {
      words.textContent = text;
      continue;
    }
    const end = start + sentence.length;
    words.replaceChildren(text.slice(0, start), make("mark", { textContent: sentence }), text.slice(end));
  }
}

/** Focus the next verdict (1) or the previous (-1), around the ends. */
export function nextVerdict(step) {
  const all = [...$("turns").querySelectorAll(".verdict")];
  if (!all.length) return;
  const at = all.indexOf(focus);
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : (at + step + all.length) % all.length];
  if (next !== focus) focusVerdict(next);
}

export function aside(title, children) {
  return make("details", { className: "aside", open: true }, make("summary", { textContent: title }), ...children);
}

/** What another reviewer decided, in a queue of conflicts. */
function earlier(review, onEdit) {
  const reason = review.reason ? `: ${review.reason}` : "";
  const title = `${review.reviewer}: ${DECIDED[review.decision] ?? review.decision}${reason}`;
  if (!review.messages) return make("p", { className: "aside", textContent: title });
  const button = make("button", { type: "button", className: "from", textContent: "Edit from this" });
  button.addEventListener("click", () => onEdit(review.messages));
  return aside(title, [...drawTurns(review.messages, []), button]);
}
