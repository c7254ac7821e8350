"use strict";
// A click on a heading sorts its table: up, down, as it was. Rows of published numbers and totals stay below.
{
  const scales = {k: 1e3, M: 1e6, G: 1e9, B: 1e9, T: 1e12, min: 60, h: 3600};
  const value = (cell) => {
    const text = cell.textContent.trim().replaceAll(",", "");
    const parts = [...text.matchAll(/(\d[\d.]*(?:e[-+]?\d+)?) ?(min|h|[kMGTB])?(?![a-z])/g)];
    if (/^[-+]?\d/.test(text) === false || parts.length === 0) return text === "–" ? null : text;
    const several = /^\d+ (h|min) \d/.test(text) ? parts : parts.slice(0, 1);
    const sum = several.reduce((total, part) => total + part[1] * (scales[part[2]] ?? 1), 0);
    return text.startsWith("-") ? -sum : sum;
  };
  const order = (one, other) => {
    if (one === null || other === null) return 0;
    if (typeof one === typeof other) return typeof one === "number" ? one - other : one.localeCompare(other);
    return typeof one === "number" ? -1 : 1;
  };
  for (const table of document.querySelectorAll("table.sorts")) {
    const body = table.tBodies[0], rows = [...body.rows];
    const fixed = (row) => row.classList.contains("paper") || row.classList.contains("total");
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      if (heading.textContent === "") return;
      const button = document.createElement("button");
      button.append(...heading.childNodes);
      heading.append(button);
      button.onclick = () => {
        const was = heading.getAttribute("aria-sort");
        const way = was === null ? "ascending" : was === "ascending" ? "descending" : null;
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        if (way !== null) heading.setAttribute("aria-sort", way);
        const moving = rows.filter((row) => fixed(row) === false).map((row) => [value(row.cells[column]), row]);
        const empty = moving.filter(([of]) => of === null), full = moving.filter(([of]) => of !== null);
        if (way !== null) full.sort(([one], [other]) => (way === "ascending" ? 1 : -1) * order(one, other));
        const sorted = way === null ? rows.filter((row) => fixed(row) === false) : [...full, ...empty].map(([, row]) => row);
        body.append(...sorted, ...rows.filter(fixed));
      };
    });
  }
}
