"use strict";
// Makes every column of the results sortable: a button in its heading; again turns the order round. Filters,
// sorts and enlarges photos. Without this script tables and photos stand in the order of the study.
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
    const textual = column === 0 || head.dataset.sort === "text";
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

  // Photos to look at

  const RANGES = [[0, 1], [0, 0.6], [0.6, 0.9], [0.9, 1]]; // as the options are told
  const probability = (item) => parseFloat(item.dataset.probability);
  const ORDERS = [
    null,
    (a, b) => probability(a) - probability(b),
    (a, b) => probability(b) - probability(a),
    (a, b) => a.querySelector(".file").textContent.localeCompare(
      b.querySelector(".file").textContent, undefined, { numeric: true }),
  ];

  function arrange(controls, list, items) {
    const chosen = (name) => controls.querySelector(`[name="${name}"]`).value;
    const [kind, label, bin, order] = ["kind", "class", "probability", "order"].map(chosen);
    const [low, high] = RANGES[bin || 0];
    let shown = 0;
    for (const item of items) {
      item.hidden = Boolean(kind && !item.dataset.kinds.split(" ").includes(kind)
        || label && item.dataset.class !== label
        || bin && !(probability(item) >= low && probability(item) <= high));
      shown += !item.hidden;
    }
    // What was not asked has no probability, and stands last.
    const known = items.filter((item) => order === "0" || order === "3" || !isNaN(probability(item)));
    const unknown = items.filter((item) => !known.includes(item));
    list.append(...(ORDERS[order] ? [...known].sort(ORDERS[order]) : known), ...unknown);
    controls.querySelector("output").textContent = `${shown} of ${items.length} photos`;
  }

  const dialog = document.createElement("dialog");
  const picture = document.createElement("img");
  const told = document.createElement("div");
  const nav = document.createElement("nav");
  let current = null;
  picture.alt = "";
  told.className = "told";
  dialog.setAttribute("aria-label", "photo");
  dialog.append(picture, told, nav);

  function enlarge(item) {
    current = item;
    picture.src = item.querySelector("img").src;
    told.replaceChildren(...[...item.children].slice(1).map((child) => child.cloneNode(true)));
    if (!dialog.open) dialog.showModal();
  }

  function step(by) {
    const shown = [...current.parentElement.children].filter((item) => !item.hidden);
    const next = shown[shown.indexOf(current) + by];
    if (next) enlarge(next);
  }

  for (const [words, act] of [["← previous", () => step(-1)], ["close", () => dialog.close()],
    ["next →", () => step(1)]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.addEventListener("click", act);
    nav.append(button);
  }
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => current.querySelector("button").focus());

  for (const list of document.querySelectorAll("ul.photos")) {
    const controls = list.previousElementSibling;
    const items = [...list.children];
    controls.hidden = false;
    controls.addEventListener("change", () => arrange(controls, list, items));
    arrange(controls, list, items);
    for (const item of items) {
      item.querySelector("button").addEventListener("click", () => enlarge(item));
    }
    document.body.append(dialog);
  }
})();
