// A genre's probability as a bar, and the words for an answer.
import { h } from "./dom.js";
import { listed, percent } from "./format.js";
import { genreColour, genreName } from "./genres.js";
import { ranked, stretches } from "./timeline.js";

/** All genres as bars, the most probable first, with a mark where Earmark begins to be sure. */
export function bars(probabilities, { unsureBelow = null } = {}) {
  const rows = ranked(probabilities);
  return h("figure.bars", {},
    h("ol", { "aria-label": "Genres by probability" }, rows.map(([label, p], place) =>
      h(place ? "li" : "li.first", { style: { "--genre": genreColour(label) } },
        h("span.name", {}, genreName(label)),
        h("span.bar", { "aria-hidden": "true" }, h("i", { style: { width: `${(100 * p).toFixed(2)}%` } }),
          unsureBelow !== null && h("em", { style: { left: `${100 * unsureBelow}%` } })),
        h("span.share.number", {}, percent(p))))),
    unsureBelow !== null && h("figcaption.small.soft", {}, h("span.mark", { "aria-hidden": "true" }), `From ${percent(unsureBelow)} on, Earmark says a name.`));
}

/** Bars that stay in their places and only change their lengths: for answers that come every second. */
export function liveBars(labels, unsureBelow) {
  const node = bars(Object.fromEntries(labels.map((label, i) => [label, -i])), { unsureBelow });
  const rows = [...node.querySelectorAll("li")];
  const update = probabilities => {
    const top = ranked(probabilities)[0]?.[0];
    rows.forEach((row, i) => {
      const p = probabilities[labels[i]] ?? 0;
      row.classList.toggle("first", labels[i] === top);
      row.querySelector("i").style.width = `${(100 * p).toFixed(2)}%`;
      row.querySelector(".share").textContent = percent(p);
    });
  };
  update({});
  return { node, update };
}

/** "rock (38%), country (31%) or blues (12%)": what an unsure track could be. */
function candidates(probabilities) {
  const rows = ranked(probabilities);
  const most = rows[0][1];
  const near = rows.filter(([, p], place) => place < 2 || (place < 4 && p > most / 3)).slice(0, 3);
  return listed(near.map(([label, p]) => `${genreName(label)} (${percent(p)})`), "or");
}

/** Why an answer is unsure: the server's word for it, or what can be told from the figures. */
function doubtOf(result, below) {
  return result.doubt ?? (result.confidence >= (below ?? 1) ? "odd" : "between genres");
}

/** The line under "Unsure". */
export function nearest(result, below) {
  const share = `${genreName(result.label)}, at ${percent(result.confidence)}`;
  return doubtOf(result, below) === "between genres" ? `Most probably ${share}` : `The nearest is ${share}`;
}

/** What the confidence means, or why no name is said. */
export function meaning(result, about) {
  const below = about?.unsureBelow;
  if (!result.unsure) return `Calibrated: of ten answers as sure as this, about ${Math.max(1, Math.min(10, Math.round(result.confidence * 10)))} are right on music like what the model learned from.`;
  switch (doubtOf(result, below)) {
    case "unlike anything it has learnt": return "It sounds unlike anything the model has learnt, so a name would be a guess, whatever the bars say.";
    case "hardly any sound": return "There is hardly any sound in it, so a name would be a guess, whatever the bars say.";
    case "odd": return "It is very faint, or unlike what the model has learnt, so a name would be a guess, whatever the bars say.";
    default: {
      const line = below ? ` No genre reaches the ${percent(below)} from which on Earmark says a name; below that it was wrong too often.` : "";
      return `It could be ${candidates(result.probabilities)}.${line}${changes(result, below)}`;
    }
  }
}

/** Tempo, key and loudness in a few words; empty where they were not measured. */
export function music({ tempo, key, loudness }) {
  return [tempo && `${Math.round(tempo)} BPM`, key, Number.isFinite(loudness) && loudness !== null && `${Math.round(loudness)} LUFS`.replace("-", "−")].filter(Boolean);
}

/** A track that is one thing and then another is no hard case: say so. */
function changes(result, below) {
  const sure = stretches(result.timeline ?? []).filter(s => s.confidence >= (below ?? 1)).map(s => s.label);
  const turns = sure.filter((label, i) => label !== sure[i - 1]);
  if (new Set(turns).size < 2) return "";
  return turns.length > 4 ? ` Stretch by stretch it is sure, but of different ones: ${listed([...new Set(turns)].map(genreName))}.` : ` It changes on the way: first ${turns.map(genreName).join(", then ")}.`;
}

/** Probabilities as a thin strip of colours. */
export function strip(probabilities) {
  const rows = ranked(probabilities).filter(([, p]) => p > .02);
  return h("span.strip", { "aria-hidden": "true" }, rows.map(([label, p]) => h("i", { style: { "--genre": genreColour(label), "flex-grow": p.toFixed(3) } })));
}
