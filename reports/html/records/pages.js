// What script adds to pages that are whole without it: sorting, filters, copying, columns, and two
// systems query by query. It loads nothing and stores nothing.
"use strict";

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function button(text, action) {
  const element = make("button", { type: "button" }, text);
  element.addEventListener("click", () => action(element));
  return element;
}

// ---- Details that hold the target of a link open
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  let closed = false;
  for (let each = target; each; each = each.parentElement) {
    if (each.tagName === "DETAILS" && !each.open) closed = each.open = true;
  }
  if (closed) target.scrollIntoView();
}

// ---- Copying commands and citations
function copyButtons() {
  if (!navigator.clipboard) return;
  for (const box of document.querySelectorAll("pre")) {
    const copy = button("Copy", async (self) => {
      await navigator.clipboard.writeText(box.textContent);
      self.textContent = "Copied";
      setTimeout(() => { self.textContent = "Copy"; }, 1500);
    });
    copy.className = "copy";
    box.before(copy);
  }
}

// ---- Sorting: numbers by value, texts by letters; rows stay within their tbody
function keyOf(row, column) {
  const cell = row.cells[column];
  const text = (cell ? cell.textContent : "").trim();
  const shown = cell && cell.querySelector("a") ? cell.querySelector("a").textContent : text;
  const number = parseFloat(shown.replace("\u2212", "-").replace(/,/g, ""));
  return { text, number };
}

function sortBy(table, column, up) {
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("over"));
    const keys = new Map(rows.map((row) => [row, keyOf(row, column)]));
    const filled = rows.filter((row) => keys.get(row).text);
    const numeric = filled.length && filled.every((row) => !Number.isNaN(keys.get(row).number));
    rows.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (!x.text || !y.text) return (x.text ? 0 : 1) - (y.text ? 0 : 1);
      const order = numeric ? x.number - y.number : x.text.localeCompare(y.text);
      return up ? order : -order;
    });
    body.append(...rows);
  }
}

function sortable() {
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.tagName !== "TH" || table.querySelectorAll("tbody tr").length < 3) return;
      const sort = button("", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        sortBy(table, column, up);
      });
      sort.className = "sort";
      sort.append(...head.childNodes);
      head.append(sort);
    });
  }
}

// ---- Claims of one verdict
function filters() {
  const claims = [...document.querySelectorAll(".claim[data-verdicts]")];
  const words = (claim) => claim.dataset.verdicts.split("|").filter(Boolean);
  const known = new Map();
  for (const claim of claims) {
    for (const word of new Set(words(claim))) known.set(word, (known.get(word) || 0) + 1);
  }
  const first = document.getElementById("headlines") || document.getElementById("claims");
  if (!first || known.size < 2) return;
  const select = make("select", {}, make("option", { value: "" }, `all ${claims.length} claims`));
  for (const [word, n] of known) select.append(make("option", { value: word }, `${word} (${n})`));
  select.addEventListener("change", () => {
    for (const claim of claims) {
      claim.hidden = Boolean(select.value) && !words(claim).includes(select.value);
    }
    if (select.value) {
      for (const box of document.querySelectorAll("details.claims")) {
        if (box.querySelector(".claim:not([hidden])")) box.open = true;
      }
    }
  });
  first.after(make("p", { class: "tools" }, make("label", {}, "Show ", select)));
}

// ---- Columns of wide tables
function columns() {
  for (const table of document.querySelectorAll("table.results.wide")) {
    const heads = [...table.tHead.rows[0].cells].slice(1);
    const box = make("details", { class: "tools" }, make("summary", {}, `Columns: ${heads.length}`));
    const show = (column, shown) => {
      for (const row of table.rows) if (row.cells[column]) row.cells[column].hidden = !shown;
    };
    heads.forEach((head, place) => {
      const tick = make("input", { type: "checkbox" });
      tick.checked = true;
      tick.addEventListener("change", () => show(place + 1, tick.checked));
      box.append(make("label", {}, tick, ` ${head.textContent} `));
    });
    table.parentElement.before(box);
  }
}

// ---- Two systems, query by query
function parseCsv(text) {
  const rows = [[]];
  const cells = /("(?:[^"]|"")*"|[^,\n]*)(,|\n|$)/g;
  for (const [all, cell, end] of text.matchAll(cells)) {
    if (!all && !end) break;
    rows[rows.length - 1].push(cell.startsWith('"') ? cell.slice(1, -1).replace(/""/g, '"') : cell);
    if (end === "\n") rows.push([]);
  }
  return rows.filter((row) => row.length > 1);
}

function points(value) {
  const text = (100 * value).toFixed(1).replace("-", "\u2212");
  return value > 0 ? `+${text}` : text;
}

function compare() {
  const data = document.getElementById("data");
  const section = document.getElementById("compare");
  if (!data || !section) return;
  const [names, ...rows] = parseCsv(data.textContent);
  const options = () => names.slice(1).map((name, i) => make("option", { value: i + 1 }, name));
  const [first, second] = [make("select", {}, ...options()), make("select", {}, ...options())];
  const told = make("p", { "aria-live": "polite" });
  const body = make("tbody", {});
  const head = make("tr", {}, ...["query", "first", "second", "difference", ""].map(
    (text) => (text ? make("th", { scope: "col" }, text) : make("td", {})),
  ));
  const table = make("table", { class: "forest" }, make("thead", {}, head), body);
  const box = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Queries" });
  box.append(table);

  function line([query, a, b]) {
    const gap = a - b;
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    svg.setAttribute("viewBox", "0 0 200 14");
    svg.setAttribute("class", `strip ${gap > 0 ? "up" : "down"}`);
    svg.setAttribute("aria-hidden", "true");
    for (const [css, d] of [["zero", "M100 0V14"], ["bar", `M100 7H${100 + 95 * gap}`]]) {
      const path = document.createElementNS(ns, "path");
      path.setAttribute("class", css);
      path.setAttribute("d", d);
      svg.append(path);
    }
    return make("tr", {}, make("th", { scope: "row" }, query),
      ...[a.toFixed(3), b.toFixed(3), points(gap)].map((text) => make("td", { class: "num" }, text)),
      make("td", {}, svg));
  }

  function show() {
    const [i, j] = [Number(first.value), Number(second.value)];
    const both = rows.filter((row) => row[i] !== "" && row[j] !== "")
      .map((row) => [row[0], Number(row[i]), Number(row[j])]);
    const gaps = both.map(([, a, b]) => a - b);
    const better = gaps.filter((gap) => gap > 0).length;
    const worse = gaps.filter((gap) => gap < 0).length;
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / (gaps.length || 1);
    told.textContent = `Of ${both.length} queries that both have, the first is better on ${better}, `
      + `the same on ${both.length - better - worse} and worse on ${worse}; mean difference `
      + `${points(mean)} points.`;
    both.sort((x, y) => (y[1] - y[2]) - (x[1] - x[2]));
    const differing = both.filter(([, a, b]) => a !== b);
    const shown = differing.length > 40
      ? [...differing.slice(0, 20), ...differing.slice(-20)] : differing;
    body.replaceChildren(...shown.map(line));
    history.replaceState(null, "", `#${i}-${j}`);
  }

  const asked = /^#(\d+)-(\d+)$/.exec(location.hash);
  const width = names.length - 1;
  // The best system beside the base, unless the address names two.
  const means = names.slice(1).map((_, i) => {
    const known = rows.map((row) => row[i + 1]).filter((value) => value !== "");
    return known.reduce((sum, value) => sum + Number(value), 0) / (known.length || 1);
  });
  const base = Math.max(1, names.indexOf(data.dataset.base));
  const best = means.map((mean, i) => [i + 1 === base ? -Infinity : mean, i + 1]);
  first.value = asked && asked[1] <= width ? asked[1] : best.sort((a, b) => b[0] - a[0])[0][1];
  second.value = asked && asked[2] <= width ? asked[2] : base;
  first.addEventListener("change", show);
  second.addEventListener("change", show);
  section.append(
    make("h2", {}, "Two systems, query by query"),
    make("p", { class: "tools" }, make("label", {}, "First ", first), " ",
      make("label", {}, "second ", second)),
    told,
    make("p", { class: "caption" }, "The queries that differ most: up to 20 at either end."),
    box,
  );
  section.hidden = false;
  show();
}

compare();
filters();
columns();
sortable();
copyButtons();
reveal();
addEventListener("hashchange", reveal);
