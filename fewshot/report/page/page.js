"use strict";
// Makes every column of the results sortable: a button in its heading; again turns the order round.
// Without this script the tables stand in the order of the study.
(() => {
  const number = (cell) => parseFloat(cell.textContent.replace(/[,<]/g, ""));

  function compare(first, second, textual, sign) {
    if (textual) {
      return sign * first.textContent.localeCompare(second.textContent, undefined, { numeric: true });
    }
    const [a, b] = [number(first), number(second)];
    if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b); // what is not known comes last either way
    return sign * (a - b);
  }

  function sort(table, head) {
    const heads = [...table.tHead.rows[0].cells];
    const column = heads.indexOf(head);
    const before = head.getAttribute("aria-sort");
    const textual = column === 0;
    // Numbers begin with the largest, names with A.
    const order = before === "none" ? (textual ? "ascending" : "descending")
      : before === "ascending" ? "descending" : "ascending";
    heads.forEach((other) => other.setAttribute("aria-sort", other === head ? order : "none"));
    const sign = order === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((a, b) => compare(a.cells[column], b.cells[column], textual, sign)));
  }

  for (const table of document.querySelectorAll("table.results")) {
    for (const head of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sort(table, head));
    }
  }
})();
