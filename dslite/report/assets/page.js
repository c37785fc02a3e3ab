"use strict";
// Sorts the table by a column, and keeps the order in the address, so that a link shows it.
(() => {
  const table = document.getElementById("runs");
  if (!table) return;
  const headings = [...table.tHead.rows[0].cells];
  const original = [...table.tBodies];
  const valueOf = (body, column) => {
    const cell = body.rows[0].cells[column];
    return column ? cell.dataset.value : cell.querySelector(".name").lastChild.textContent.trim();
  };
  const sort = (column, descending) => {
    const isText = headings[column].dataset.key === "name";
    const compared = (a, b) => {
      const [x, y] = [valueOf(a, column), valueOf(b, column)];
      if (x === "" || y === "") return (x === "") - (y === ""); // those without a figure come last
      const order = isText ? x.localeCompare(y, "en", { numeric: true }) : Number(x) - Number(y);
      return descending ? -order : order;
    };
    for (const body of [...original].sort(compared)) table.append(body);
    headings.forEach((heading, i) => {
      if (i === column) heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    });
  };
  const fromAddress = () => {
    const wanted = new URLSearchParams(location.hash.slice(1)).get("sort");
    if (!wanted) return;
    const column = headings.findIndex((heading) => heading.dataset.key === wanted.replace(/^-/, ""));
    if (column >= 0) sort(column, wanted.startsWith("-"));
  };
  headings.forEach((heading, column) => {
    heading.querySelector("button")?.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      sort(column, descending);
      history.replaceState(null, "", `#sort=${descending ? "-" : ""}${heading.dataset.key}`);
    });
  });
  addEventListener("hashchange", fromAddress);
  fromAddress();
})();
