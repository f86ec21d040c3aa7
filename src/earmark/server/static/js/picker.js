// A field that finds a track of the library by a few letters (the combobox of the ARIA practices).
import * as catalogue from "./catalogue.js";
import { debounce, fill, h } from "./dom.js";
import { genreChip } from "./genres.js";
import { trackArtist, trackTitle } from "./tracks.js";

let number = 0;

export function picker(label, { chosen, placeholder = "Artist or title" }) {
  const id = `pick${++number}`;
  let found = [], at = -1, ask = null;
  const list = h("ul.options", { role: "listbox", id: `${id}-list`, "aria-label": label, hidden: true });
  const input = h("input", { type: "text", id, role: "combobox", "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-autocomplete": "list", autocomplete: "off", placeholder });
  const close = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); at = -1; };
  const take = track => { input.value = ""; close(); chosen(track); };

  const look = debounce(async () => {
    ask?.abort();
    const text = input.value.trim();
    if (!text) return close();
    ask = new AbortController();
    try {
      found = (await catalogue.find({ search: text, limit: 8 }, { signal: ask.signal })).tracks;
    } catch { return; }
    fill(list, found.length ? found.map((track, i) => h("li", { role: "option", id: `${id}-${i}`, "aria-selected": "false", onpointerdown: event => { event.preventDefault(); take(track); } },
      h("span.title", {}, trackTitle(track)), h("span.soft.small", {}, trackArtist(track) || track.folder), genreChip(track.label, { unsure: track.unsure })))
      : h("li.soft", { role: "option", "aria-disabled": "true" }, "No track is called that."));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    at = -1;
  }, 160);

  function move(to) {
    const options = list.querySelectorAll("[role=option]:not([aria-disabled])");
    if (!options.length) return;
    at = (to + options.length) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === at)));
    options[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[at].id);
  }

  input.addEventListener("input", look);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", event => {
    if (event.key === "ArrowDown") move(at + 1);
    else if (event.key === "ArrowUp") move(at < 0 ? -1 : at - 1);
    else if (event.key === "Enter") { if (at >= 0) take(found[at]); else if (found.length === 1 && !list.hidden) take(found[0]); }
    else if (event.key === "Escape" && !list.hidden) close();
    else return;
    event.preventDefault();
  });
  return h("div.picker", {}, h("label.field", { htmlFor: id }, h("span", {}, label), input), list);
}
