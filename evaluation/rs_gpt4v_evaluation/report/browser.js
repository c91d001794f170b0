"use strict";
// Browses the rows of the page: filters, search, order, cards. Texts of rows only ever become text
// nodes, and no more than one page of cards is in the document.
(async () => {
  const CARDS = 12;
  const SVG = "http://www.w3.org/2000/svg";
  const $ = (id) => document.getElementById(id);
  if (typeof DecompressionStream === "undefined") {
    $("status").textContent = "This browser is too old to unpack the rows (it has no DecompressionStream).";
    return;
  }

  async function unpack(packed) {
    const binary = atob(packed);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  // Lists as one, an item of each by turns.
  function byTurns(lists) {
    const longest = lists.reduce((n, list) => Math.max(n, list.length), 0);
    const mixed = [];
    for (let i = 0; i < longest; i++) {
      for (const list of lists) if (i < list.length) mixed.push(list[i]);
    }
    return mixed;
  }

  function split(list, keyOf) {
    const parts = new Map();
    for (const item of list) {
      const key = keyOf(item);
      if (!parts.has(key)) parts.set(key, []);
      parts.get(key).push(item);
    }
    return [...parts.values()];
  }

  // Tasks by turns, and the tables of a task; those with a picture first.
  function mixed(list) {
    const tasks = split(list, ({ group, i }) => group.task[i]);
    const turns = byTurns(tasks.map((task) => byTurns(split(task, (row) => row.group))));
    const isPictured = ({ group, i }) => group.picture[i] !== null;
    return [...turns.filter(isPictured), ...turns.filter((row) => !isPictured(row))];
  }

  const { texts, pictures, groups } = await unpack($("rows").textContent);
  const rows = mixed(groups.flatMap((group) => group.id.map((_, i) => ({ group, i }))));
  const number = new Intl.NumberFormat("en");
  let lower = null; // of all texts, made at the first search
  let found = rows;
  let start = 0;

  const last = (list) => list[list.length - 1];
  const right = (row, column) => row.group.right[column][row.i];
  const isRight = (row) => last(row.group.right)[row.i];
  const value = (row) => last(row.group.values)[row.i];

  // --- Filters -----------------------------------------------------------------------------------

  const RESULTS = {
    "right": (row) => isRight(row) === "1",
    "wrong": (row) => isRight(row) === "0",
    "wrong, then right": (row) => right(row, 0) === "0" && isRight(row) === "1",
    "right, then wrong": (row) => right(row, 0) === "1" && isRight(row) === "0",
  };
  const FACETS = {
    group: (row) => row.group.name,
    source: (row) => texts[row.group.source[row.i]],
    task: (row) => texts[row.group.task[row.i]],
    kind: (row) => texts[row.group.kind[row.i]],
  };

  function offer(select, counts) {
    for (const [name, n] of counts) {
      if (n > 0) select.append(new Option(`${name} (${number.format(n)})`, name));
    }
    select.closest("label").hidden = select.options.length < 3; // "all" and one choice are none
  }

  for (const [name, of] of Object.entries(FACETS)) {
    const counts = new Map();
    for (const row of rows) {
      const choice = of(row);
      if (choice) counts.set(choice, (counts.get(choice) || 0) + 1);
    }
    offer($(name), [...counts].sort((a, b) => name === "group" ? 0 : a[0] < b[0] ? -1 : 1));
  }
  offer($("result"), Object.entries(RESULTS).map(([name, is]) => [name, rows.filter(is).length]));
  $("order").closest("label").hidden = !rows.some((row) => value(row) !== null);

  function searched(row, hits) {
    const { group, i } = row;
    const numbers = [group.id[i], group.prompt[i], group.image[i], ...group.references[i]];
    for (const said of [...group.replies, ...(group.reasons || [])]) {
      if (said[i] !== null) numbers.push(said[i]);
    }
    return hits.every((hit) => numbers.some((n) => hit[n]));
  }

  function hitsOf(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && lower === null) lower = texts.map((text) => text.toLowerCase());
    return words.map((word) => Uint8Array.from(lower, (text) => text.includes(word)));
  }

  function filtered() {
    const tests = Object.entries(FACETS)
      .filter(([name]) => $(name).value)
      .map(([name, of]) => (row) => of(row) === $(name).value);
    if ($("result").value) tests.push(RESULTS[$("result").value]);
    if ($("pictured").checked) tests.push((row) => row.group.picture[row.i] !== null);
    const hits = hitsOf($("search").value);
    if (hits.length) tests.push((row) => searched(row, hits));
    return ordered(rows.filter((row) => tests.every((test) => test(row))));
  }

  function ordered(list) {
    const sign = { lowest: 1, highest: -1 }[$("order").value];
    if (!sign) return list;
    const having = list.filter((row) => value(row) !== null);
    const others = list.filter((row) => value(row) === null);
    return [...having.sort((a, b) => sign * (value(a) - value(b))), ...others];
  }

  // --- Cards -------------------------------------------------------------------------------------

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function drawn(tag, attributes) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  const fileName = (row) => texts[row.group.image[row.i]];

  function corners(points) {
    const [a, b, c, d] = points;
    const all = points.length === 4 ? [a, b, c, b, c, d, a, d] : points;
    return all.map((each, i) => each + (i % 2 ? " " : ",")).join("").trim();
  }

  // A dark outline below the line keeps it visible on any picture.
  function outline(points, className) {
    const shape = { points: corners(points), "vector-effect": "non-scaling-stroke" };
    return [drawn("polygon", { ...shape, class: `halo ${className}` }), drawn("polygon", { ...shape, class: className })];
  }

  function boxClass(group, column) {
    return column === group.labels.length - 1 ? "box latest" : `box earlier-${column % 3}`;
  }

  function boxes({ group, i }) {
    const shapes = group.truth[i].flatMap((points) => outline(points, "box truth"));
    group.boxes.forEach((column, c) => {
      if (Array.isArray(column[i])) shapes.push(...column[i].flatMap((points) => outline(points, boxClass(group, c))));
    });
    return shapes;
  }

  function picture(row) {
    const uri = pictures[row.group.picture[row.i]];
    if (!uri) {
      const name = fileName(row);
      return element("p", "absent", name ? `Not pictured here: ${name}` : "No image");
    }
    if (!row.group.truth) {
      const image = element("img");
      image.src = uri;
      image.alt = fileName(row);
      return image;
    }
    // The picture is small, but the drawing keeps the pixels of the released image as its unit.
    const [width, height] = row.group.size[row.i];
    const frame = drawn("svg", { class: "picture", viewBox: `0 0 ${width} ${height}`, role: "img" });
    frame.setAttribute("aria-label", fileName(row));
    const image = drawn("image", { width, height, preserveAspectRatio: "none", href: uri });
    frame.append(image, ...boxes(row));
    return frame;
  }

  function swatch(className) {
    const frame = drawn("svg", { class: "swatch", viewBox: "0 0 26 10", "aria-hidden": "true" });
    const line = { x1: 1, x2: 25, y1: 5, y2: 5 };
    frame.append(drawn("line", { ...line, class: `halo ${className}` }), drawn("line", { ...line, class: className }));
    return frame;
  }

  function term(label, row, className) {
    const made = element("dt", "", label);
    if (row.group.truth) made.prepend(swatch(className));
    return made;
  }

  function folded(summary, lines) {
    const made = element("details");
    const list = element("ul");
    list.append(...lines.map((text) => element("li", "", text)));
    made.append(element("summary", "", summary), list);
    return made;
  }

  function truth(row) {
    const [first, ...others] = row.group.references[row.i].map((n) => texts[n]);
    const made = element("dd", "truth");
    made.append(element("span", "", first));
    if (others.length) made.append(folded(`${others.length} more`, others));
    return made;
  }

  function before({ group, i }) {
    const lines = group.history ? group.history[i].map((n) => texts[n]) : [];
    const n = lines.length / 2;
    return n ? [folded(`after ${n} earlier question${n > 1 ? "s" : ""}`, lines)] : [];
  }

  function why({ group, i }, column) {
    const reason = group.reasons && group.reasons[column][i];
    return reason ? [element("p", "why", texts[reason])] : [];
  }

  function said(row, column) {
    const { group, i } = row;
    const reply = group.replies[column][i];
    if (reply === null) return element("em", "", "not asked");
    if (!texts[reply].trim()) return element("em", "", "empty");
    return element("span", "", texts[reply]);
  }

  function judged(row, column) {
    const { group, i } = row;
    const made = element("span", "judged");
    const box = group.boxes && group.boxes[column][i];
    const value = group.values[column][i];
    if (typeof box === "string") made.append(element("span", "value", box));
    else if (value !== null) made.append(element("span", "value", `${group.measure} ${value.toFixed(2)}`));
    else if (why(row, column).length) made.append(element("span", "value", "no score"));
    const is = right(row, column);
    if (is !== "-") {
      const mark = element("span", is === "1" ? "mark right" : "mark", is === "1" ? "✓" : "✗");
      mark.title = is === "1" ? "right" : "wrong";
      mark.setAttribute("role", "img");
      mark.setAttribute("aria-label", mark.title);
      made.append(mark);
    }
    return made;
  }

  function card(row) {
    const { group, i } = row;
    const made = element("article", "card");
    const kind = group.reasons ? group.task : group.kind;
    const about = [group.name, texts[kind[i]]].filter(Boolean).join(" · ");
    const prompt = element("p", "prompt", texts[group.prompt[i]]);
    prompt.title = texts[group.id[i]];
    made.append(picture(row), element("p", "kind", about), ...before(row), prompt);
    const list = element("dl");
    list.append(term("truth", row, "box truth"), truth(row));
    group.labels.forEach((label, column) => {
      const reply = element("dd", column === group.labels.length - 1 ? "latest" : "");
      if (group.measure) reply.classList.add("measured");
      if (group.reasons) reply.classList.add("explained");
      reply.append(said(row, column), judged(row, column), ...why(row, column));
      list.append(term(label, row, boxClass(group, column)), reply);
    });
    made.append(list);
    return made;
  }

  // --- The page of cards -------------------------------------------------------------------------

  function show() {
    const end = Math.min(start + CARDS, found.length);
    $("cards").replaceChildren(...found.slice(start, end).map(card));
    $("status").textContent = found.length
      ? `${number.format(start + 1)}–${number.format(end)} of ${number.format(found.length)} rows`
      : "No row has all of this.";
    $("previous").disabled = start === 0;
    $("next").disabled = end >= found.length;
  }

  function refresh() {
    found = filtered();
    start = 0;
    show();
  }

  function turn(by) {
    start += by;
    show();
    $("browser").scrollIntoView({ block: "start" });
  }

  let waiting;
  $("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 150);
  });
  $("browser").addEventListener("change", (event) => event.target.id !== "search" && refresh());
  $("browser").addEventListener("submit", (event) => event.preventDefault());
  $("browser").addEventListener("reset", () => setTimeout(refresh));
  $("previous").addEventListener("click", () => turn(-CARDS));
  $("next").addEventListener("click", () => turn(CARDS));
  for (const link of document.querySelectorAll("[data-group]")) {
    link.addEventListener("click", () => {
      $("browser").reset();
      $("group").value = groups.length > 1 ? groups[link.dataset.group].name : "";
    });
  }
  $("browser").hidden = false;
  show();
})();
