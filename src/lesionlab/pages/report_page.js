
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = Array.from(table.querySelectorAll("thead th"));
  const body = table.tBodies[0];
  headers.forEach((header, column) => header.addEventListener("click", () => {
    const isAscending = header.getAttribute("aria-sort") !== "ascending";
    headers.forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
    const sign = isAscending ? 1 : -1;
    const rows = Array.from(body.rows).sort((first, second) => compare(first.cells[column], second.cells[column], sign));
    body.append(...rows);
  }));
}
function compare(first, second, sign) {
  if (!("value" in first.dataset)) return sign * first.textContent.localeCompare(second.textContent, undefined, { numeric: true });
  const [a, b] = [Number(first.dataset.value), Number(second.dataset.value)];
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
  return sign * (a - b);
}
