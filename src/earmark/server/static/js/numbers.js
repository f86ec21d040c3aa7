// The library in numbers.
import * as catalogue from "./catalogue.js";
import { fill, h, icon, problem } from "./dom.js";
import { emptyLibrary } from "./empty-library.js";
import { count, percent } from "./format.js";
import { genreColour, genreName } from "./genres.js";

export function mount(root) {
  load();
  async function load() {
    fill(root, h(".skeleton.wide"));
    try {
      const stats = await catalogue.stats();
      if (stats.tracks) draw(stats); else fill(root, emptyLibrary());
    } catch (error) {
      fill(root, error.status === 404 ? emptyLibrary() : problem(error, { retry: load }));
    }
  }

  function draw(s) {
    const hours = s.hours < 10 ? s.hours.toFixed(1) : Math.round(s.hours).toLocaleString("en");
    const failed = Object.entries(s.failed), missing = failed.reduce((n, [, k]) => n + k, 0);
    const most = Math.max(...s.genres.map(g => g.tracks));
    fill(root, h(".numbers", {},
      h("dl.tiles", {}, [["Tracks", s.tracks.toLocaleString("en")], ["Hours", hours], ["Unsure", percent(s.unsure / s.tracks)], ["With a genre in the tags", percent(s.tagged_genre / s.tracks)]].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd.number", {}, value)))),
      h("section", {}, h("h2", {}, "Genres"), h("p.soft.small", {}, "The striped part of a bar is what Earmark is unsure of, counted for the most probable genre."),
        h("ol.genre-bars", {}, s.genres.map(g => h("li", { style: { "--genre": genreColour(g.label) } },
          h("a.name", { href: `#/library/tracks?label=${encodeURIComponent(g.label)}&search=&sure=all` }, genreName(g.label)),
          h("span.bar", { "aria-hidden": "true" }, h("i", { style: { width: `${100 * (g.tracks - g.unsure) / most}%` } }), h("i.striped", { style: { width: `${100 * g.unsure / most}%` } })),
          h("span.number.small", {}, count(g.tracks, "track"), h("span.soft", {}, g.unsure ? `, ${g.unsure} unsure` : "")))))),
      s.decades.length > 0 && h("section", {}, h("h2", {}, "Decades"), h("p.soft.small", {}, `From the tags of ${count(s.tagged_year, "track")}.`), decades(s.decades)),
      missing > 0 && h("section", {}, h("h2", {}, "Not heard"), h("p.soft", {}, `${count(missing, "file")} could not be heard: `, failed.map(([code, n]) => `${n} ${code.replaceAll("-", " ")}`).join(", "), ". ", h("code", {}, "earmark errors"), " lists them with their reasons.")),
      s.outdated > 0 && h("p.notice.small", {}, icon("info", 18), h("span", {}, `${count(s.outdated, "track")} were heard by an older model. `, h("code", {}, "earmark scan"), " hears them anew."))));
  }
}

function decades(rows) {
  const most = Math.max(...rows.map(([, n]) => n)), first = rows[0][0], known = new Map(rows);
  const all = Array.from({ length: (rows.at(-1)[0] - first) / 10 + 1 }, (_, i) => first + 10 * i);
  return h("ol.decades", {}, all.map(decade => h("li", {}, h("span.number.small", {}, known.get(decade) ?? 0), h("i", { style: { height: `${Math.max(1, 100 * (known.get(decade) ?? 0) / most)}px` } }), h("span.small.soft.number", {}, `${decade}s`))));
}
