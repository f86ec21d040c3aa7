// The library's tracks: search, filters, pages.
import * as catalogue from "./catalogue.js";
import { debounce, empty, fill, h, icon, problem, say, segments } from "./dom.js";
import { emptyLibrary } from "./empty-library.js";
import { count } from "./format.js";
import { genreName } from "./genres.js";
import { trackRow } from "./tracks.js";

const SORTS = [["path", "Folder"], ["artist", "Artist"], ["title", "Title"], ["-confidence", "Surest first"], ["confidence", "Least sure first"], ["year", "Year"], ["seconds", "Shortest first"], ["-added", "Newest first"]];
// Kept between visits to the view.
const wanted = { search: "", label: "", sure: "all", sort: "path", offset: 0, limit: 50 };

export function mount(root, { about, params }) {
  for (const name of ["label", "search", "sure"]) if (params.has(name)) Object.assign(wanted, { [name]: params.get(name), offset: 0 });
  wanted.limit = Math.min(500, Math.max(1, Number(params.get("limit")) || 50));
  let ask = new AbortController();
  const found = h("p.small.soft.found", { role: "status" }), list = h("div.list"), pages = h("nav.pages", { "aria-label": "Pages" });
  const change = given => { Object.assign(wanted, { offset: 0 }, given); load(); };
  const field = h("input", { type: "search", id: "search", value: wanted.search, placeholder: "Artist, title, album or file", autocomplete: "off", oninput: debounce(() => change({ search: field.value.trim() }), 220) });
  const labels = h("select", { id: "label", onchange: () => change({ label: labels.value }) },
    h("option", { value: "" }, "All genres"), about.labels.map(label => h("option", { value: label, selected: label === wanted.label }, genreName(label))));
  const sorts = h("select", { id: "sort", onchange: () => change({ sort: sorts.value }) }, SORTS.map(([value, text]) => h("option", { value, selected: value === wanted.sort }, text)));
  fill(root,
    h("form.filters", { role: "search", onsubmit: event => event.preventDefault() },
      h("label.field.grow", { htmlFor: "search" }, h("span", {}, "Search"), field),
      h("label.field", { htmlFor: "label" }, h("span", {}, "Genre"), labels),
      h("div.field", {}, h("span", { "aria-hidden": "true" }, "Certainty"), segments("sure", "Certainty", [["all", "All"], ["sure", "Sure"], ["unsure", "Unsure"], ["fixed", "Fixed by you"]], wanted.sure, sure => change({ sure }))),
      h("label.field", { htmlFor: "sort" }, h("span", {}, "Order"), sorts)),
    h(".list-head", {}, found, h("a.button.quiet.compact", { href: catalogue.manifestAddress(), download: "corrections.csv", hidden: true }, icon("download", 18), "Your corrections as a training manifest")),
    list, pages);

  async function load() {
    ask.abort();
    ask = new AbortController();
    list.setAttribute("aria-busy", "true");
    if (!list.children.length) fill(list, h("ul.tracks", {}, Array.from({ length: 8 }, () => h("li.track.skeleton"))));
    try {
      draw(await catalogue.find(wanted, { signal: ask.signal }));
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(pages); fill(found);
      if (error.status === 404) { root.querySelector(".filters").hidden = true; fill(list, emptyLibrary()); } else fill(list, problem(error, { title: "The library cannot be shown", retry: load }));
    }
    list.removeAttribute("aria-busy");
  }

  function draw({ tracks, total, corrections }) {
    const filtered = wanted.search || wanted.label || wanted.sure !== "all";
    root.querySelector(".list-head a").hidden = !corrections;
    if (!total) {
      fill(pages);
      found.textContent = filtered ? "Nothing found." : "";
      root.querySelector(".filters").hidden = !filtered;
      fill(list, filtered ? empty({ art: "search", title: "Nothing like that here", text: "No track fits all of this.", extra: h("button.button", { type: "button", onclick: reset }, "Show all tracks") }) : emptyLibrary());
      return;
    }
    root.querySelector(".filters").hidden = false;
    found.textContent = filtered ? `${count(total, "track")} found` : count(total, "track");
    fill(list, h("ul.tracks", { "aria-label": "Tracks" }, tracks.map(track => row(track, tracks))));
    const last = wanted.offset + tracks.length;
    fill(pages, total > wanted.limit && [
      h("button.button.compact", { type: "button", disabled: !wanted.offset, onclick: () => turn(-wanted.limit) }, icon("left", 18), "Back"),
      h("span.soft.number.small", {}, `${wanted.offset + 1} to ${last} of ${total.toLocaleString("en")}`),
      h("button.button.compact", { type: "button", disabled: last >= total, onclick: () => turn(wanted.limit) }, "On", icon("right", 18))]);
  }

  const row = (track, tracks) => trackRow(track, { tracks, changed: () => { root.querySelector(".list-head a").hidden = false; } });

  async function turn(step) {
    wanted.offset = Math.max(0, wanted.offset + step);
    await load();
    root.scrollIntoView();
    // The buttons are new ones: the focus stays on the way, or turns round at an end.
    const [before, after] = pages.querySelectorAll("button");
    [step > 0 ? after : before, step > 0 ? before : after].find(button => button && !button.disabled)?.focus({ preventScroll: true });
    say(pages.querySelector("span")?.textContent ?? "");
  }

  function reset() {
    Object.assign(wanted, { search: "", label: "", sure: "all", offset: 0 });
    field.value = labels.value = "";
    root.querySelector("input[name=sure][value=all]").checked = true;
    load();
    field.focus();
  }

  load();
  return () => ask.abort();
}
