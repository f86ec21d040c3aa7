// Tracks of the library: their words, their rows, and what can be done with one.
import { address } from "./api.js";
import { strip } from "./bars.js";
import { add, has, remove } from "./basket.js";
import * as catalogue from "./catalogue.js";
import { dialog, fill, h, icon, say, toast } from "./dom.js";
import { clock, percent } from "./format.js";
import { allLabels, genreChip, genreColour, genreName } from "./genres.js";
import * as player from "./player.js";

export const trackTitle = track => track.title || track.name;
export const trackArtist = track => (track.title ? track.artist : null) || "";

export const sound = track => ({
  key: `track:${track.id}`, src: address(`tracks/${track.id}/audio`), title: trackTitle(track),
  subtitle: trackArtist(track) || genreLine(track), seconds: track.seconds,
});

const genreLine = track => (track.correction ? genreName(track.correction) : track.unsure ? "Unsure" : genreName(track.label));

/** The genre as it stands: corrected by hand, named, or unsure. */
export function genreOf(track) {
  if (track.correction) return h("span.chip", { style: { "--genre": genreColour(track.correction) } }, h("span.dot"), genreName(track.correction), h("span.badge", { title: `Earmark heard ${track.unsure ? "nothing for sure" : genreName(track.label)}` }, icon("check", 13), "yours"));
  return genreChip(track.label, { unsure: track.unsure });
}

/** A button that plays a track among others, and shows whether it plays. */
export function playButton(track, tracks = [track]) {
  const button = h("button.mini-play", { type: "button", onclick: () => player.toggle(sound(track), tracks.map(sound)) });
  let drawn = null;
  const draw = () => {
    if (drawn !== null && !button.isConnected) return off();
    const playing = player.isPlaying(`track:${track.id}`);
    if (playing === drawn) return;
    drawn = playing;
    fill(button, icon(playing ? "pause" : "play", 18));
    button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${trackTitle(track)}`);
  };
  const off = player.onPlayer(draw);
  draw();
  return button;
}

/**
 * A row of a list of tracks.
 *
 * @param options  tracks (for playing on), score (how alike, 0 to 1), place (number in front), actions (further buttons)
 */
export function trackRow(track, options = {}) {
  const { tracks, score, place, actions, changed } = options;
  let node = null;
  const fixed = () => {
    const fresh = trackRow(track, options);
    node.replaceWith(fresh);
    // An undo comes later, to the row that stands there now.
    node = fresh;
    fresh.querySelector("[title='Fix the genre']")?.focus();
    changed?.();
  };
  const more = actions ?? [
    h("a.icon", { href: `#/library/track/${track.id}`, "aria-label": `Look at ${trackTitle(track)} closely`, title: "Look closely" }, icon("hear", 20)),
    h("button.icon", { type: "button", "aria-label": `Fix the genre of ${trackTitle(track)}`, title: "Fix the genre", onclick: () => correct(track, fixed) }, icon("edit", 20)),
    seedButton(track)];
  node = h("li.track", { dataset: { id: track.id } },
    place !== undefined && h("span.place.number.soft", {}, place),
    playButton(track, tracks),
    h("div.names", {}, h("a.title", { href: `#/library/track/${track.id}` }, trackTitle(track)), h("span.artist.soft", {}, [trackArtist(track), track.album].filter(Boolean).join(" · ") || track.folder || "")),
    h("div.heard", {}, genreOf(track), strip(track.probabilities ?? {})),
    score === undefined ? h("span.share.number.soft", { title: "How sure" }, track.correction ? "" : percent(track.confidence)) : h("span.share", { title: `Likeness ${score.toFixed(2)} of 1` }, h("span.alike", { "aria-hidden": "true" }, h("i", { style: { width: `${100 * Math.max(.03, score)}%` } })), h("span.unseen", {}, `likeness ${score.toFixed(2)}`)),
    h("span.length.number.soft", {}, track.seconds ? clock(track.seconds) : ""),
    h("div.actions", {}, more));
  return node;
}

function seedButton(track) {
  const button = h("button.icon", { type: "button", onclick: () => { if (has(track.id)) remove(track.id); else { add(track); toast(`${trackTitle(track)} is a seed now.`, { name: "To the playlist", run: () => { location.hash = "#/library/playlist"; } }); } draw(); } });
  const draw = () => {
    const inside = has(track.id);
    fill(button, icon(inside ? "check" : "plus", 20));
    button.setAttribute("aria-pressed", inside);
    button.setAttribute("aria-label", `Use ${trackTitle(track)} as a seed for a playlist`);
    button.title = inside ? "Is a seed for a playlist" : "Use as a seed for a playlist";
  };
  draw();
  return button;
}

/** Ask for the right genre, keep it, and tell whoever shows the track. */
export function correct(track, changed) {
  const labels = allLabels(), known = track.correction && !labels.includes(track.correction);
  const other = h("input", { type: "text", id: "other-genre", maxLength: 60, value: known ? track.correction : "", placeholder: "For example bossa nova", autocomplete: "off", oninput: () => { if (other.value) form.querySelector("[value='']").checked = true; } });
  const ranked = [...labels].sort((a, b) => (track.probabilities?.[b] ?? 0) - (track.probabilities?.[a] ?? 0));
  const now = track.correction ?? null;
  const form = h("form.correct", { onsubmit: async event => {
    event.preventDefault();
    const label = (new FormData(form).get("genre") || other.value).trim();
    if (!label) { other.focus(); return; }
    try {
      await keep(track, label);
      box.close();
      changed?.(track);
      toast(`Kept: ${trackTitle(track)} is ${genreName(label)}.`, { name: "Undo", run: async () => { try { await (now ? keep(track, now) : takeBack(track)); changed?.(track); } catch (error) { toast(error.message); } } });
    } catch (error) { say(error.message); fill(wrong, error.message); }
  } },
    h("p.soft.small", {}, track.unsure ? "Earmark was unsure." : `Earmark heard ${genreName(track.label)} (${percent(track.confidence)}).`, " What you say here is kept, wins over what was heard, and can be exported to train with."),
    h("fieldset", {}, h("legend.unseen", {}, "Genre"), h(".choices", {}, ranked.map(label => h("label", { style: { "--genre": genreColour(label) } },
      h("input", { type: "radio", name: "genre", value: label, checked: label === (now ?? (track.unsure ? null : track.label)) }), h("span.dot"), h("span", {}, genreName(label)), h("span.soft.number.small", {}, percent(track.probabilities?.[label] ?? 0)))),
    h("label.another", {}, h("input", { type: "radio", name: "genre", value: "", checked: known, onchange: () => other.focus() }), h("span", {}, "Another:"), h("span.unseen", {}, "genre")))),
    h("label.field", { htmlFor: "other-genre" }, h("span", {}, "Another genre"), other));
  const wrong = h("p.bad.small", { role: "alert" });
  form.append(wrong, h(".row", {}, h("button.button.primary", { type: "submit" }, "Keep it"),
    now && h("button.button", { type: "button", onclick: async () => { try { await takeBack(track); box.close(); changed?.(track); toast("Taken back."); } catch (error) { fill(wrong, error.message); } } }, "Take my word back")));
  const box = dialog(trackTitle(track), form);
}

async function keep(track, label) {
  await catalogue.keep(track.id, label);
  track.correction = label;
}

async function takeBack(track) {
  await catalogue.takeBack(track.id);
  track.correction = null;
}
