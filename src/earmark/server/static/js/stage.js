// The stage: spectrogram, genre timeline under it, and a play head that moves along both.
import { fill, h, icon } from "./dom.js";
import { clock, percent } from "./format.js";
import { genreColour, genreName } from "./genres.js";
import * as player from "./player.js";
import { ranked, stretches, sureFrom } from "./timeline.js";

const mel = hz => (hz < 1000 ? hz * 3 / 200 : 15 + Math.log(hz / 1000) / (Math.log(6.4) / 27));

function ticks(seconds) {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800].find(s => seconds / s <= 8) ?? 3600;
  return Array.from({ length: Math.floor(seconds / step - .35) + 1 }, (_, i) => i * step);
}

/**
 * @param result   classification with timeline and spectrogram
 * @param item     what the player plays: { key, src, title, subtitle, seconds }
 * @returns        the element and how to let go of it
 */
export function stage(result, item, { unsureBelow = 0 } = {}) {
  const picture = result.spectrogram;
  const total = picture?.seconds ?? result.declared ?? result.decoded ?? 1;
  const line = sureFrom(result, unsureBelow);
  const parts = stretches(result.timeline ?? []);
  const at = seconds => `${(100 * Math.min(1, Math.max(0, seconds / total))).toFixed(3)}%`;
  const here = seconds => parts.find(s => seconds >= s.start && seconds < s.end);

  const image = picture && h("img", { src: picture.png, alt: "", draggable: false });
  const tip = h(".tip.number", { hidden: true });
  const head = h(".playhead", { "aria-hidden": "true" });
  const ghost = h(".ghost", { hidden: true, "aria-hidden": "true" });
  const top = picture?.highest_hz ?? 11025;
  const lanes = h(".lanes", { role: "slider", tabindex: 0, "aria-label": "Position in the track", "aria-valuemin": 0, "aria-valuemax": total.toFixed(1) },
    picture && h(".picture", {}, image, [200, 1000, 4000].map(hz => h("span.hz", { style: { bottom: `${100 * mel(hz) / mel(top)}%` } }, hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`))),
    h(".genres", {}, parts.map(s => h(s.confidence < line ? ".window.doubtful" : ".window", { style: { left: at(s.start), width: `${100 * (s.end - s.start) / total}%` } },
      ranked(s.probabilities).map(([label, p]) => h("i", { style: { "--genre": genreColour(label), "flex-grow": p.toFixed(4) } })),
      h("span", {}, s.confidence < line ? "Unsure" : genreName(s.label))))),
    ghost, head, tip);
  const play = h("button.play", { type: "button", onclick: () => player.toggle(item) });
  const now = h("span.number.now");
  const said = h("span.said");
  const node = h("figure.stage", {},
    h(".controls", {}, play, h(".where", {}, h("span", {}, now, h("span.soft.number", {}, ` / ${clock(total)}`)), said)),
    lanes,
    h(".axis.number", { "aria-hidden": "true" }, ticks(total).map(s => h("span", { style: { left: at(s) } }, clock(s)))),
    h("figcaption.small.soft", {}, picture ? "Low sounds at the bottom, loud ones bright. Below: how likely each genre is, stretch by stretch. Click, or use the arrow keys, to go there." : "How likely each genre is, stretch by stretch; striped parts were not heard. Click, or use the arrow keys, to go there."));

  const place = event => {
    const box = lanes.getBoundingClientRect();
    return total * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const words = seconds => {
    const part = here(seconds);
    if (!part) return "not heard";
    return part.confidence < line ? `unsure, ${genreName(part.label)} ${percent(part.confidence)}` : `${genreName(part.label)} ${percent(part.confidence)}`;
  };
  lanes.addEventListener("pointerdown", event => {
    if (event.button) return;
    lanes.setPointerCapture(event.pointerId);
    player.seek(item, place(event));
  });
  lanes.addEventListener("pointermove", event => {
    const seconds = place(event);
    if (lanes.hasPointerCapture(event.pointerId)) player.seek(item, seconds);
    ghost.hidden = tip.hidden = false;
    ghost.style.left = at(seconds);
    tip.style.left = `clamp(70px, ${at(seconds)}, calc(100% - 70px))`;
    tip.textContent = `${clock(seconds)} · ${words(seconds)}`;
  });
  lanes.addEventListener("pointerleave", () => { ghost.hidden = tip.hidden = true; });
  lanes.addEventListener("keydown", event => {
    const from = player.current()?.key === item.key ? player.time() : 0;
    const to = { ArrowRight: from + 1, ArrowUp: from + 1, ArrowLeft: from - 1, ArrowDown: from - 1, PageUp: from + 10, PageDown: from - 10, Home: 0, End: total - .1 }[event.key];
    if (to !== undefined) player.seek(item, Math.max(0, Math.min(total - .05, to)));
    else if (event.key === " " || event.key === "Enter") player.toggle(item);
    else return;
    event.preventDefault();
  });

  let drawn = null;
  function draw() {
    const mine = player.current()?.key === item.key;
    const seconds = mine ? player.time() : 0, playing = mine && player.isPlaying(item.key);
    head.style.left = at(seconds);
    now.textContent = clock(seconds);
    lanes.setAttribute("aria-valuenow", seconds.toFixed(1));
    lanes.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(total)}, ${words(seconds)}`);
    const part = here(seconds);
    const state = `${playing}|${part?.start}`;
    if (state === drawn) return;
    drawn = state;
    fill(play, icon(playing ? "pause" : "play", 24));
    play.setAttribute("aria-label", playing ? "Pause" : `Play ${item.title}`);
    said.textContent = words(seconds);
    said.style.setProperty("--genre", part ? genreColour(part.label) : "var(--other)");
  }
  draw();
  const watch = new IntersectionObserver(([seen]) => player.cover(item.key, seen.isIntersecting), { threshold: .9 });
  watch.observe(play);
  const off = player.onPlayer(draw);
  return { node, release: () => { off(); watch.disconnect(); player.cover(item.key, false); } };
}
