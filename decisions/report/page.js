"use strict";
// Draws every figure of the page in the colours of its paper; again for another theme, and for print.
(() => {
  const palette = JSON.parse(document.getElementById("palette").textContent);
  const swap = new Map(Object.values(palette));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const printWidth = 680; // pixels of an A4 page between its margins
  const narrowest = 34; // pixels that "100%" takes
  const figures = [...document.querySelectorAll("script[data-chart]")].map((script) => ({
    place: document.getElementById(script.dataset.chart),
    text: script.textContent,
  }));

  // The texts of a grid's cells are left out where cells are too narrow for them.
  function fit(trace, width) {
    if (trace.type === "heatmap" && width < narrowest * (trace.x.length + 3)) delete trace.texttemplate;
  }

  function draw(isDark, width) {
    for (const { place, text } of figures) {
      const coloured = isDark ? text.replace(/"(#[0-9a-f]{6})"/g, (all, c) => `"${swap.get(c) || c}"`) : text;
      const figure = JSON.parse(coloured);
      if (width) {
        figure.layout.width = width;
        figure.layout.height = Math.round(0.8 * figure.layout.height);
        figure.layout.paper_bgcolor = figure.layout.plot_bgcolor = "#ffffff";
      }
      for (const trace of figure.data) fit(trace, width || place.clientWidth);
      Plotly.react(place, figure.data, figure.layout, { displayModeBar: false, responsive: !width });
      place.style.minHeight = "";
    }
    document.documentElement.dataset.drawn = String(figures.length);
  }

  draw(dark.matches);
  dark.addEventListener("change", () => draw(dark.matches));
  addEventListener("beforeprint", () => draw(false, printWidth));
  addEventListener("afterprint", () => draw(dark.matches));
})();
