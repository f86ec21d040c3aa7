// Playlist: like some tracks, from one to another, or a mixture of genres.
import * as basket from "./basket.js";
import * as catalogue from "./catalogue.js";
import { empty, fill, h, icon, problem, save, say, segments, toast } from "./dom.js";
import { emptyLibrary } from "./empty-library.js";
import { clock, count, fileName } from "./format.js";
import { genreColour, genreName } from "./genres.js";
import { picker } from "./picker.js";
import * as player from "./player.js";
import { sound, trackArtist, trackRow, trackTitle } from "./tracks.js";

// Kept between visits to the view.
const wanted = { way: "seeds", mood: {}, n: 25, perArtist: 3, from: null, to: null };
let made = null;

export function mount(root, { about }) {
  const setting = h(".setting"), list = h(".made");
  const make = h("button.button.primary", { type: "submit" }, "Make the playlist");
  const n = h("input", { type: "number", id: "count", min: 2, max: 500, value: wanted.n, onchange: () => { wanted.n = Number(n.value) || 25; } });
  const cap = h("input", { type: "number", id: "cap", min: 0, max: 100, value: wanted.perArtist, onchange: () => { wanted.perArtist = Math.max(0, Number(cap.value) || 0); } });
  fill(root, h(".playlist", {},
    h("form.builder", { onsubmit: event => { event.preventDefault(); build(); } },
      segments("way", "Kind of playlist", [["seeds", "Like these"], ["path", "From A to B"], ["mood", "A mood"]], wanted.way, way => { wanted.way = way; draw(); }),
      setting,
      h(".row.limits", {}, h("label.field", { htmlFor: "count" }, h("span", {}, "Tracks"), n), h("label.field", { htmlFor: "cap" }, h("span", {}, "Of one artist at most (0: any)"), cap)),
      h(".row", {}, make)),
    list));
  draw();
  if (made) show();
  else fill(list, empty({ art: "list", title: "Nothing made yet", text: "Choose what it should sound like. Versions of one song come once." }));
  catalogue.find({ limit: 1 }).then(({ total }) => { if (!total) fill(root, emptyLibrary()); }).catch(error => { if (error.status === 404) fill(root, emptyLibrary()); });

  function draw() {
    if (wanted.way === "seeds") {
      const seeds = basket.all();
      fill(setting, picker("Add a track", { chosen: track => { basket.add(track); draw(); setting.querySelector("input").focus(); } }),
        seeds.length ? h("ul.seeds", { "aria-label": "Seeds" }, seeds.map(seed => h("li", {}, h("span", {}, seed.name), h("button.icon", { type: "button", "aria-label": `Remove ${seed.name}`, onclick: () => { basket.remove(seed.id); draw(); setting.querySelector("input").focus(); } }, icon("close", 16)))))
          : h("p.soft.small", {}, "Find tracks here, or press + beside them in the list."));
    } else if (wanted.way === "path") {
      fill(setting, ["from", "to"].map(end => {
        const words = end === "from" ? "Begin with" : "End with", track = wanted[end];
        return track ? h(".end", {}, h("span.label", {}, words), h("div", {}, h("strong", {}, trackTitle(track)), h("span.soft.small", {}, trackArtist(track))), h("button.icon", { type: "button", "aria-label": `Choose another track to ${words.toLowerCase()}`, onclick: () => { wanted[end] = null; draw(); } }, icon("close", 16)))
          : picker(words, { chosen: found => { wanted[end] = found; draw(); (setting.querySelector("input") ?? make).focus(); } });
      }), h("p.soft.small", {}, "Each step is a short one, so the music turns from the first song into the last."));
    } else {
      fill(setting, h("ul.mood", { "aria-label": "Mixture of genres" }, about.labels.map(label => {
        const share = h("output.number.small", {}, wanted.mood[label] ? String(wanted.mood[label]) : "–");
        const range = h("input", { type: "range", id: `mood-${label}`, min: 0, max: 10, step: 1, value: wanted.mood[label] ?? 0, style: { "--track": genreColour(label), "--at": `${10 * (wanted.mood[label] ?? 0)}%` }, oninput: () => {
          wanted.mood[label] = Number(range.value);
          range.style.setProperty("--at", `${10 * range.value}%`);
          share.textContent = range.value > 0 ? range.value : "–";
        } });
        return h("li", {}, h("label", { htmlFor: range.id }, genreName(label)), range, share);
      })), h("p.soft.small", {}, "Parts of a mixture: jazz 7 and blues 3 finds music between the two, more jazz than blues."));
    }
  }

  async function build() {
    const mood = Object.fromEntries(Object.entries(wanted.mood).filter(([, share]) => share > 0));
    const lacking = { seeds: !basket.all().length && "Add a track that it should sound like first.", path: !(wanted.from && wanted.to) && "Choose the first and the last track first.", mood: !Object.keys(mood).length && "Move a genre up first." }[wanted.way];
    if (lacking) { fill(list, h("p.notice", { role: "alert" }, icon("info", 18), h("span", {}, lacking))); setting.querySelector("input")?.focus(); return; }
    make.disabled = true;
    fill(list, h("ul.tracks", {}, Array.from({ length: 6 }, () => h("li.track.skeleton"))));
    try {
      const given = { seeds: { tracks: basket.all().map(seed => seed.id) }, path: { tracks: [wanted.from?.id], to: wanted.to?.id }, mood: { mood } }[wanted.way];
      made = (await catalogue.playlist({ ...given, n: wanted.n, per_artist: wanted.perArtist })).map(match => match.track);
      show();
      say(`${count(made.length, "track")}.`);
    } catch (error) {
      fill(list, problem(error, { title: "No playlist" }));
    }
    make.disabled = false;
  }

  function show() {
    if (!made.length) return fill(list, empty({ art: "list", title: "No track fits", text: "Nothing in the library comes close, or every fitting track is a seed already." }));
    const seconds = made.reduce((sum, track) => sum + (track.seconds ?? 0), 0);
    const act = (name, picture, run, disabled) => track => h("button.icon", { type: "button", disabled, "aria-label": `${name} ${trackTitle(track)}`, title: name, onclick: run }, icon(picture, 20));
    fill(list, h(".list-head", {}, h("h2", {}, count(made.length, "track"), h("span.soft.number", {}, ` · ${clock(seconds)}`)), h(".row", {},
      h("button.button.compact", { type: "button", onclick: () => player.play(made.map(sound)) }, icon("play", 18), "Play all"),
      h("button.button.compact", { type: "button", onclick: keep }, icon("download", 18), "Save as M3U8"))),
    h("ol.tracks", { "aria-label": "Playlist" }, made.map((track, i) => trackRow(track, { tracks: made, place: i + 1, actions: [
      act("Move up", "up", () => { made.splice(i - 1, 0, ...made.splice(i, 1)); show(); focus(i - 1, "Move up"); }, i === 0)(track),
      act("Leave out", "close", () => { made.splice(i, 1); show(); focus(Math.min(i, made.length - 1), "Leave out"); })(track)] }))));
  }

  const focus = (place, name) => list.querySelectorAll("li.track")[place]?.querySelector(`[title="${name}"]:not(:disabled), a`)?.focus();

  async function keep() {
    try {
      save(`${fileName("Earmark playlist")}.m3u8`, await catalogue.playlistFile(made), "audio/x-mpegurl");
      toast("Saved. Its paths are those of this machine’s library.");
    } catch (error) { toast(error.message); }
  }
}
