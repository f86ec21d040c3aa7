// The bundle's genres: their order gives each its colour, the same in every view.
import { h } from "./dom.js";
import { capital } from "./format.js";

const COLOURS = 12;
const SHOWN = { hiphop: "Hip-hop", rnb: "R&B", dnb: "Drum and bass" };
let labels = [];

export const setLabels = given => { labels = given; };
export const allLabels = () => labels;
export const genreName = label => SHOWN[label] ?? (label ? capital(label) : "No genre");

export function genreColour(label) {
  const place = labels.indexOf(label);
  if (place >= COLOURS) return `hsl(${(place * 137.5) % 360} 48% 52%)`;
  return place < 0 ? "var(--other)" : `var(--g${place})`;
}

const probe = h("span", { hidden: true });

/** A colour of the style sheet as a canvas takes it, in the theme of the moment. */
export function resolved(colour) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = colour;
  return getComputedStyle(probe).color;
}

export function genreChip(label, { unsure = false } = {}) {
  const style = { "--genre": genreColour(label) };
  return unsure
    ? h("span.chip", { style, title: `Unsure; most probably ${genreName(label)}` }, h("span.dot.hollow"), h("span.unsure", {}, "Unsure"), h("span.soft.maybe", {}, `${genreName(label)}?`))
    : h("span.chip", { style }, h("span.dot"), genreName(label));
}
