// Runs: the cross-validation reports of a folder, side by side.
import { address, get } from "./api.js";
import { empty, fill, h, icon, problem } from "./dom.js";

const points = value => `${(100 * value).toFixed(1)}%`;

export function mount(root) {
  let chosen = [];
  const body = h("div");
  fill(root, h(".runs", {}, h("header", {}, h("h1", {}, "Runs"), h("p.lede", {}, "Cross-validations of the folder that was served, on one scale. Folds by artist are the figures to quote; random folds flatter.")), body));
  load();

  async function load() {
    fill(body, h(".skeleton.wide"));
    try {
      const { runs } = await get("runs");
      if (runs.length) draw(runs); else none();
    } catch (error) {
      if (error.status === 404) none(error.message); else fill(body, problem(error, { title: "The runs cannot be shown", retry: load }));
    }
  }

  function none(reason) {
    fill(body, empty({ art: "runs", title: "No runs here", text: reason ?? "A run measures how well a model does on artists it has not heard.", extra: [h("p.small", {}, "Make one, then serve its folder:"), h("pre", {}, "earmark crossval gtzan --protocol artist5 -o runs/mine\nearmark serve --runs runs")] }));
  }

  function draw(runs) {
    const sides = h(".sides");
    const scale = v => `${(100 * v).toFixed(2)}%`;
    const choose = (name, on) => {
      chosen = on ? [...chosen, name].slice(-2) : chosen.filter(n => n !== name);
      for (const box of body.querySelectorAll("input[type=checkbox]")) box.checked = chosen.includes(box.value);
      reports(sides, runs);
    };
    fill(body,
      h(".scroll", { tabindex: 0, role: "region", "aria-label": "Runs" }, h("table.forest", {},
        h("caption.unseen", {}, "Runs with their accuracy and its 95% interval"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span.unseen", {}, "Show")), h("th", { scope: "col" }, "Run"), h("th", { scope: "col" }, "Protocol"), h("th.n", { scope: "col" }, "Clips"), h("th.plot", { scope: "col" }, h("span", {}, "Accuracy, 95% interval"), h(".scale", { "aria-hidden": "true" }, [0, .25, .5, .75, 1].map(v => h("span", { style: { left: scale(v) } }, `${100 * v}`)))), h("th.n", { scope: "col" }, "Accuracy"), h("th", { scope: "col" }, h("span.unseen", {}, "Report")))),
        h("tbody", {}, runs.map(run => h("tr", { className: run.error ? "broken" : run.grouped === false ? "flattering" : "" },
          h("td", {}, !run.error && run.report && h("input", { type: "checkbox", value: run.name, "aria-label": `Show the report of ${run.name}`, onchange: event => choose(run.name, event.currentTarget.checked) })),
          h("th", { scope: "row" }, run.name, h("span.small.soft", {}, [run.model, run.dataset].filter(Boolean).join(" · "))),
          run.error ? h("td", { colSpan: 5 }, h("span.bad.small", {}, run.error)) : [
            h("td", {}, run.protocol, run.grouped === false && h("span.badge.warn", { title: "Artists stand on both sides of these folds" }, "optimistic")),
            h("td.n", {}, run.clips?.toLocaleString("en")),
            h("td.plot", {}, run.accuracy && h(".interval", { role: "img", "aria-label": `${points(run.accuracy.value)}, between ${points(run.accuracy.low)} and ${points(run.accuracy.high)}` },
              h("i.chance", { style: { left: scale(1 / (run.labels || 10)) }, title: "By chance" }), h("i.range", { style: { left: scale(run.accuracy.low), width: scale(run.accuracy.high - run.accuracy.low) } }), h("i.point", { style: { left: scale(run.accuracy.value) } }))),
            h("td.n", {}, run.accuracy && h("strong", {}, points(run.accuracy.value))),
            h("td", {}, run.report && h("a.icon", { href: address(`runs/${encodeURIComponent(run.name)}/report`), target: "_blank", rel: "noopener", "aria-label": `Open the report of ${run.name}`, title: "Open the report" }, icon("open", 20)))]))))),
      h("p.small.soft", {}, "Choose one or two to read their reports here. The thin mark on each scale is chance."),
      sides);
    const best = runs.filter(run => run.report && !run.error).sort((a, b) => (b.grouped !== false) - (a.grouped !== false) || (b.accuracy?.value ?? 0) - (a.accuracy?.value ?? 0))[0];
    if (best) choose(best.name, true);
  }

  function reports(sides, runs) {
    const wanted = chosen.map(name => runs.find(run => run.name === name));
    sides.dataset.count = wanted.length;
    for (const node of [...sides.children]) if (!chosen.includes(node.dataset.name)) node.remove();
    for (const run of wanted) {
      if (sides.querySelector(`[data-name="${CSS.escape(run.name)}"]`)) continue;
      sides.append(h("section", { dataset: { name: run.name }, "aria-label": `Report of ${run.name}` }, h("h2", {}, run.name), h("iframe", { src: address(`runs/${encodeURIComponent(run.name)}/report`), title: `Report of ${run.name}` })));
    }
  }
}
