"use strict";
// Customer search: the server filters, sorts, counts and formats; this script displays the results.
(() => {
  const form = document.getElementById("filters");
  const [summary, where, before, after, card] = ["summary", "where", "before", "after", "card"]
    .map((id) => document.getElementById(id));
  const colour = (role) => getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim();
  let page = 0;
  let newest = 0; // number of the newest request; responses to older ones are ignored

  async function request(path, values) {
    const headers = { Accept: "application/json" };
    const response = await fetch(`${path}?${new URLSearchParams(values)}`, { headers });
    if (response.status === 401) location.assign("/login");
    const content = await response.json();
    if (!response.ok) throw new Error(content.error ? content.error.message : "the server did not respond");
    return content;
  }

  function fill(table, headings, rows, action) {
    const cell = (tag, text, isNumber) => {
      const element = document.createElement(tag);
      element.textContent = text;
      if (isNumber) element.className = "n";
      return element;
    };
    const head = document.createElement("tr");
    headings.forEach(([text, isNumber]) => {
      const heading = cell("th", text, isNumber);
      heading.scope = "col";
      head.append(heading);
    });
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(...rows.map((row) => {
      const line = document.createElement("tr");
      row.forEach((text, k) => {
        const element = cell(k ? "td" : "th", text, headings[k][1]);
        if (!k) element.scope = "row";
        if (!k && action) {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = text;
          button.addEventListener("click", () => show(text));
          element.replaceChildren(button);
        }
        line.append(element);
      });
      return line;
    }));
  }

  async function list() {
    const own = ++newest;
    const values = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
    try {
      const found = await request("/explore/customers", { ...values, page });
      if (own !== newest) return;
      summary.textContent = found.summary;
      fill(document.getElementById("customers"), found.headings, found.rows, true);
      where.textContent = `page ${page + 1} of ${Math.max(found.pages, 1)}`;
      before.disabled = page === 0;
      after.disabled = page + 1 >= found.pages;
      form.dataset.shown = String(own);
    } catch (error) {
      summary.textContent = error.message;
    }
  }

  async function show(id) {
    try {
      const found = await request("/explore/customer", { id });
      card.hidden = false;
      document.getElementById("card-title").textContent = found.title;
      card.querySelector(".note").textContent = found.note;
      card.querySelector("dl").replaceChildren(...found.facts.map(([name, value, note]) => {
        const fact = document.createElement("div");
        const [term, details, strong, small] = ["dt", "dd", "strong", "span"]
          .map((tag) => document.createElement(tag));
        term.textContent = name; strong.textContent = value; small.textContent = note;
        details.append(strong, small);
        fact.append(term, details);
        return fact;
      }));
      fill(document.getElementById("reasons"), found.reasons.headings, found.reasons.rows);
      fill(document.getElementById("history"), found.history.headings, found.history.rows);
      const axis = { gridcolor: colour("rule"), zerolinecolor: colour("rule"), fixedrange: true, automargin: true };
      Plotly.react("card-chart", [{ type: "bar", x: found.chart.x, y: found.chart.y, marker: { color: colour("accent") }, width: 864e5 * found.chart.days }], {
        height: 220, margin: { l: 8, r: 8, t: 8, b: 8 }, paper_bgcolor: colour("paper"), plot_bgcolor: colour("paper"),
        font: { color: colour("ink"), size: 12 }, xaxis: { ...axis, type: "date" }, yaxis: { ...axis, title: { text: found.chart.unit } },
      }, { displayModeBar: false, responsive: true });
      card.focus();
      card.scrollIntoView();
    } catch (error) {
      summary.textContent = error.message;
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
