// One sound at a time: an audio element, what is queued, and the bar at the bottom of the page.
import { fill, h, icon, say, toast } from "./dom.js";
import { clock } from "./format.js";

const audio = new Audio();
audio.preload = "metadata";
const events = new EventTarget();
let queue = [], place = -1, wanted = null, duration = NaN;

export const current = () => queue[place] ?? null;
export const isPlaying = key => !audio.paused && current()?.key === key;
export const time = () => audio.currentTime;
export const length = () => (Number.isFinite(audio.duration) ? audio.duration : duration);

/** Calls `run` whenever what plays, whether it plays, or where changes; returns how to stop that. */
export function onPlayer(run) {
  events.addEventListener("change", run);
  return () => events.removeEventListener("change", run);
}
const changed = () => events.dispatchEvent(new Event("change"));

/** Play a list of items `{ key, src, title, subtitle, seconds }` from one of them on. */
export function play(items, at = 0, from = null) {
  queue = Array.isArray(items) ? items : [items];
  start(at, from);
}

function start(at, from = null) {
  place = at;
  const item = current();
  if (!item) return close();
  duration = item.seconds ?? NaN;
  wanted = from;
  audio.src = item.src;
  resume();
  say(`Playing ${item.title}`);
  changed();
}

function resume() {
  audio.play().catch(error => {
    if (error.name === "NotAllowedError") toast("The browser wants a click before it plays sound.");
  });
}

/** Play or pause an item; another item starts from its beginning. */
export function toggle(item, items = [item]) {
  if (current()?.key !== item.key) return play(items, Math.max(0, items.findIndex(i => i.key === item.key)));
  if (audio.paused) resume(); else audio.pause();
}

/** Go to a second of an item, and make it the current one, paused, if it is not. */
export function seek(item, seconds) {
  if (current()?.key !== item.key) {
    queue = [item]; place = 0; duration = item.seconds ?? NaN; wanted = seconds;
    audio.src = item.src;
  } else if (audio.readyState > 0) audio.currentTime = Math.max(0, Math.min(seconds, length() || seconds));
  else wanted = seconds;
  changed();
}

export function close() {
  audio.pause();
  audio.removeAttribute("src");
  audio.load();
  queue = []; place = -1;
  changed();
}

let covered = null, view = "Earmark";

/** What the window is called while nothing plays. */
export function entitle(name) {
  view = name;
  if (audio.paused) document.title = view;
}

/** The bar steps aside while a stage on the screen shows the same sound. */
export function cover(key, visible) {
  if (visible) covered = key; else if (covered === key) covered = null;
  changed();
}

/** Forget an item whose sound is no longer there. */
export function forget(key) {
  if (current()?.key === key) close();
}

const go = step => { if (queue[place + step]) start(place + step); };

audio.addEventListener("loadedmetadata", () => { if (wanted !== null) { audio.currentTime = wanted; wanted = null; } changed(); });
audio.addEventListener("ended", () => { if (queue[place + 1]) go(1); else changed(); });
audio.addEventListener("error", () => {
  const item = current();
  if (!item || !audio.src) return;
  toast(`This browser cannot play ${item.title}: it does not know the format, or the file is gone.`);
  close();
});
for (const name of ["pause", "seeked", "durationchange"]) audio.addEventListener(name, changed);

// timeupdate comes four times a second; a play head that moves smoothly needs every frame.
function frame() {
  changed();
  if (!audio.paused) requestAnimationFrame(frame);
}
audio.addEventListener("play", () => requestAnimationFrame(frame));

const bar = document.getElementById("player");
const title = h("b"), subtitle = h("span"), now = h("span.number"), whole = h("span.number");
const range = h("input", { type: "range", min: 0, step: .1, "aria-label": "Position", oninput: () => seek(current(), Number(range.value)) });
const button = h("button.play", { type: "button", onclick: () => toggle(current(), queue) });
const previous = h("button.icon", { type: "button", "aria-label": "Previous", onclick: () => (audio.currentTime > 3 || !place ? seek(current(), 0) : go(-1)) }, icon("previous", 20));
const next = h("button.icon", { type: "button", "aria-label": "Next", onclick: () => go(1) }, icon("next", 20));
fill(bar, h(".buttons", {}, previous, button, next), h(".what", {}, title, subtitle), h(".seek", {}, now, range, whole),
  h("button.icon", { type: "button", "aria-label": "Close the player", onclick: close }, icon("close", 20)));

let drawn = null;
onPlayer(() => {
  const item = current();
  bar.hidden = !item || (covered === item.key && queue.length < 2);
  if (!item) { document.title = view; drawn = null; return; }
  const state = `${item.key}|${audio.paused}|${place}|${queue.length}`;
  if (state !== drawn) {
    drawn = state;
    title.textContent = item.title;
    subtitle.textContent = item.subtitle ?? "";
    fill(button, icon(audio.paused ? "play" : "pause", 22));
    button.setAttribute("aria-label", audio.paused ? `Play ${item.title}` : `Pause ${item.title}`);
    previous.hidden = next.hidden = queue.length < 2;
    next.disabled = !queue[place + 1];
    document.title = audio.paused ? view : `${item.title} – Earmark`;
  }
  const all = length();
  now.textContent = clock(audio.currentTime);
  whole.textContent = clock(all);
  range.max = Number.isFinite(all) ? all : 1;
  range.value = audio.currentTime;
  range.setAttribute("aria-valuetext", `${clock(audio.currentTime)} of ${clock(all)}`);
  range.style.setProperty("--at", `${Number.isFinite(all) && all ? 100 * audio.currentTime / all : 0}%`);
});

document.addEventListener("keydown", event => {
  if (event.key !== " " || !current() || event.target.closest("button, a, input, select, textarea, summary, dialog, [role=slider], [role=application]")) return;
  event.preventDefault();
  toggle(current(), queue);
});
