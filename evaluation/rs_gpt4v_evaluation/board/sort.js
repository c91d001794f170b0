"use strict";
// Makes the tables sortable: each head becomes a button. Rows move within their group alone, and
// those that are not ranked with the others, or have no score, stay below them.
document.getElementById("sorting").hidden = false;
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];

  function sort(index, descending) {
    const sign = descending ? -1 : 1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      const keyed = rows.map((row, i) => {
        const { value, apart } = row.cells[index].dataset;
        const number = Number(value);
        const missing = value === undefined || value === "";
        return { row, i, class: missing ? 2 : apart === undefined ? 0 : 1, key: Number.isNaN(number) ? value : number };
      });
      const order = (a, b) => typeof a.key === "number" && typeof b.key === "number"
        ? a.key - b.key : String(a.key).localeCompare(String(b.key), "en");
      keyed.sort((a, b) => a.class - b.class || (a.class === 2 ? 0 : sign * order(a, b)) || a.i - b.i);
      body.append(...keyed.map(({ row }) => row));
    }
    heads.forEach((head, i) => {
      if (i === index) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  heads.forEach((head, index) => {
    if (head.dataset.sort === undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const descending = before === null ? head.dataset.sort === "number" : before === "ascending";
      sort(index, descending);
    });
  });
}
