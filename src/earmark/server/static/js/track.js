// One track of the library, looked at closely.
import { answerBlock } from "./hear.js";
import { music } from "./bars.js";
import * as catalogue from "./catalogue.js";
import { fill, h, icon, problem } from "./dom.js";
import { clock } from "./format.js";
import { similarTo } from "./similar.js";
import { stage } from "./stage.js";
import { saveCsv, saveJson, savePng } from "./save.js";
import { add, has } from "./basket.js";
import { correct, genreOf, sound, trackArtist, trackTitle } from "./tracks.js";

const back = () => h("p", {}, h("a.back", { href: "#/library" }, icon("left", 18), "Library"));

export function mount(root, { about, rest }) {
  const id = Number(rest[0]), ask = new AbortController();
  let release = null;
  load();
  return () => { ask.abort(); release?.(); };

  async function load() {
    fill(root, h(".progress", {}, h("p.soft", { role: "status" }, "Looking it up"), h(".skeleton.big"), h(".skeleton.wide")));
    let track;
    try { track = await catalogue.track(id, { signal: ask.signal }); } catch (error) {
      if (error.name !== "AbortError") fill(root, back(), problem(error, { title: "This track cannot be shown", retry: load }));
      return;
    }
    draw(track);
    hear(track);
  }

  function draw(track) {
    const genre = h("span.stands", {}, genreOf(track));
    fill(root, h("article.answer", {}, back(),
      h("header.title", {}, h("div", {}, h("h1", {}, trackTitle(track)), h("p.soft.number", {}, [trackArtist(track), track.album, track.year, track.seconds && clock(track.seconds), ...music(track)].filter(Boolean).join(" · ")), h("p.small.soft.folder", {}, track.place)),
        h(".row", {}, genre,
          h("button.button.compact", { type: "button", onclick: () => correct(track, () => fill(genre, genreOf(track))) }, icon("edit", 18), "Fix the genre"),
          h("button.button.compact", { type: "button", disabled: has(track.id), onclick: event => { add(track); event.currentTarget.disabled = true; } }, icon("plus", 18), "Seed a playlist"))),
      h(".closely", {}, track.reason ? problem({ message: track.reason }, { title: "This file was not heard" }) : [answerBlock(track, about), h(".skeleton.wide", { role: "status", "aria-label": "Hearing all of it" })]),
      !track.reason && similarTo({ id: track.id, still: () => !ask.signal.aborted })));
  }

  async function hear(track) {
    const place = root.querySelector(".closely");
    if (!place || track.reason) return;
    try {
      const result = await catalogue.classify(track.id, { signal: ask.signal });
      const show = stage(result, sound(track), { unsureBelow: about.unsureBelow });
      release = show.release;
      fill(place, answerBlock(result, about), show.node,
        h(".row.saves", { role: "group", "aria-label": "Save the result" }, h("span.label", {}, "Save the result"),
          h("button.button.compact", { type: "button", onclick: () => saveJson([result], trackTitle(track)) }, icon("download", 18), "JSON"),
          h("button.button.compact", { type: "button", onclick: () => saveCsv([result], trackTitle(track), { bundle: about.bundle }) }, "CSV"),
          h("button.button.compact", { type: "button", onclick: () => savePng(result, trackTitle(track), about) }, "PNG")));
    } catch (error) {
      if (error.name !== "AbortError") fill(place, answerBlock(track, about), problem(error, { title: "It cannot be heard again", retry: () => hear(track) }));
    }
  }
}
