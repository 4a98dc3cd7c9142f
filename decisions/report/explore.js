"use strict";
// Looks customers up: the server filters, sorts, counts and writes the numbers; this shows them.
(() => {
  const form = document.getElementById("filters");
  const [told, where, before, after, card] = ["told", "where", "before", "after", "card"].map((id) => document.getElementById(id));
  const colour = (role) => getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim();
  let page = 0;
  let asked = 0; // answers to older questions are thrown away

  async function ask(path, values) {
    const answer = await fetch(`${path}?${new URLSearchParams(values)}`, { headers: { Accept: "application/json" } });
    if (answer.status === 401) location.assign("/login");
    const content = await answer.json();
    if (!answer.ok) throw new Error(content.error ? content.error.message : "the server does not answer");
    return content;
  }

  function fill(table, headings, rows, action) {
    const cell = (tag, text, isNumber) => {
      const made = document.createElement(tag);
      made.textContent = text;
      if (isNumber) made.className = "n";
      return made;
    };
    const head = document.createElement("tr");
    headings.forEach(([text, isNumber]) => { const made = cell("th", text, isNumber); made.scope = "col"; head.append(made); });
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(...rows.map((row) => {
      const line = document.createElement("tr");
      row.forEach((text, k) => {
        const made = cell(k ? "td" : "th", text, headings[k][1]);
        if (!k) made.scope = "row";
        if (!k && action) {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = text;
          button.addEventListener("click", () => show(text));
          made.replaceChildren(button);
        }
        line.append(made);
      });
      return line;
    }));
  }

  async function list() {
    const mine = ++asked;
    const values = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
    try {
      const found = await ask("/explore/customers", { ...values, page });
      if (mine !== asked) return;
      told.textContent = found.told;
      fill(document.getElementById("customers"), found.headings, found.rows, true);
      where.textContent = `page ${page + 1} of ${Math.max(found.pages, 1)}`;
      before.disabled = page === 0;
      after.disabled = page + 1 >= found.pages;
      form.dataset.shown = String(mine);
    } catch (error) {
      told.textContent = error.message;
    }
  }

  async function show(id) {
    try {
      const found = await ask("/explore/customer", { id });
      card.hidden = false;
      document.getElementById("card-title").textContent = found.title;
      card.querySelector(".note").textContent = found.note;
      card.querySelector("dl").replaceChildren(...found.facts.map(([name, value, note]) => {
        const fact = document.createElement("div");
        const [term, said, strong, small] = ["dt", "dd", "strong", "span"].map((tag) => document.createElement(tag));
        term.textContent = name; strong.textContent = value; small.textContent = note;
        said.append(strong, small);
        fact.append(term, said);
        return fact;
      }));
      fill(document.getElementById("why"), found.why.headings, found.why.rows);
      fill(document.getElementById("history"), found.history.headings, found.history.rows);
      const axis = { gridcolor: colour("rule"), zerolinecolor: colour("rule"), fixedrange: true, automargin: true };
      Plotly.react("card-chart", [{ type: "bar", x: found.drawn.x, y: found.drawn.y, marker: { color: colour("accent") }, width: 864e5 * found.drawn.days }], {
        height: 220, margin: { l: 8, r: 8, t: 8, b: 8 }, paper_bgcolor: colour("paper"), plot_bgcolor: colour("paper"),
        font: { color: colour("ink"), size: 12 }, xaxis: { ...axis, type: "date" }, yaxis: { ...axis, title: { text: found.drawn.unit } },
      }, { displayModeBar: false, responsive: true });
      card.focus();
      card.scrollIntoView();
    } catch (error) {
      told.textContent = error.message;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const id = form.elements.id.value.trim();
    if (id) show(id);
    else { page = 0; list(); }
  });
  form.addEventListener("change", (event) => { if (event.target.tagName === "SELECT") { page = 0; list(); } });
  before.addEventListener("click", () => { page -= 1; list(); });
  after.addEventListener("click", () => { page += 1; list(); });
  list();
})();
