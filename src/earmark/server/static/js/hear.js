// Hear: drop a song, see what it is.
import { bars, meaning, music, nearest } from "./bars.js";
import { fill, h, icon, problem, say, toast } from "./dom.js";
import { fromDrop, fromInput, MOST } from "./files.js";
import { bytes, clock, count, listed, percent, stem } from "./format.js";
import { genreChip, genreColour, genreName } from "./genres.js";
import { Queue } from "./queue.js";
import * as player from "./player.js";
import { saveCsv, saveJson, savePng } from "./save.js";
import { similarTo } from "./similar.js";
import { stage } from "./stage.js";
import { stretches } from "./timeline.js";

const queue = new Queue();
let chosen = null, shown = null, drawn = null, release = null, about = null;

const STATES = { waiting: "Waiting", sending: "Sending", hearing: "Listening", busy: "Server busy", failed: "Not heard" };

export function mount(root, { about: given }) {
  about = given;
  shown = drawn = null;
  const draw = () => redraw(root);
  queue.addEventListener("change", draw);
  const leave = dropZone(root);
  draw();
  return () => { queue.removeEventListener("change", draw); leave(); release?.(); release = null; };
}

function take(files) {
  if (!files.length) { toast("There was no sound file in it."); return; }
  if (files.length > MOST) toast(`Only the first ${MOST} files were taken. For whole libraries there is: earmark scan`);
  const fresh = queue.add(files.slice(0, MOST));
  chosen = fresh[0];
  say(`${count(files.length, "file")} taken.`);
  redrawSoon();
}
let redrawSoon = () => {};

/** Files can be dropped anywhere on the view. */
function dropZone(root) {
  let depth = 0;
  const mark = on => document.documentElement.classList.toggle("dropping", on);
  const hasFiles = event => event.dataTransfer?.types.includes("Files");
  const handlers = {
    dragenter: event => { if (hasFiles(event)) { depth++; mark(true); event.preventDefault(); } },
    dragover: event => { if (hasFiles(event)) { event.dataTransfer.dropEffect = "copy"; event.preventDefault(); } },
    dragleave: () => { depth = Math.max(0, depth - 1); if (!depth) mark(false); },
    drop: async event => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0; mark(false);
      take(await fromDrop(event.dataTransfer));
    },
  };
  for (const [name, run] of Object.entries(handlers)) document.addEventListener(name, run);
  redrawSoon = () => redraw(root);
  return () => { for (const [name, run] of Object.entries(handlers)) document.removeEventListener(name, run); mark(false); };
}

function choosers(primary) {
  const files = h("input", { type: "file", multiple: true, hidden: true, id: "choose-files", accept: "audio/*,.flac,.opus,.ape,.wv,.wma,.mka,.aiff", onchange: () => take(fromInput(files)) });
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true, id: "choose-folder", onchange: () => take(fromInput(folder)) });
  return [files, folder,
    h(primary ? "button.button.primary" : "button.button.compact", { type: "button", onclick: () => files.click() }, icon("file", 20), primary ? "Choose files" : "Hear another"),
    h(primary ? "button.button" : "button.button.compact", { type: "button", onclick: () => folder.click() }, icon("folder", 20), primary ? "Choose a folder" : "A folder")];
}

function redraw(root) {
  if (!queue.items.length) {
    release?.(); release = null; shown = drawn = chosen = null;
    if (!root.querySelector(".invite")) fill(root, invitation());
    return;
  }
  if (!queue.items.includes(chosen)) chosen = queue.items[0];
  const many = queue.items.length > 1;
  let frame = root.querySelector(".hear");
  if (!frame) {
    frame = h(".hear", {}, h("aside.queue", { "aria-label": "Files" }), h("section.answer", { "aria-label": "Result", tabIndex: -1 }));
    fill(root, h("h1.unseen", {}, "Hear"), frame);
  }
  frame.classList.toggle("many", many);
  const aside = frame.querySelector(".queue"), place = frame.querySelector(".answer");
  aside.hidden = !many;
  const states = `${chosen.key} ${queue.items.map(item => item.key + item.state)}`;
  if (many && states !== drawn) { drawn = states; drawQueue(aside); }
  const state = `${chosen.key}|${chosen.state}`;
  if (state === shown) { if (!chosen.result && !chosen.error) progress(place, chosen); return; }
  const before = shown;
  shown = state;
  release?.(); release = null;
  if (chosen.result) {
    drawResult(place, chosen);
    // The button that was pressed may be gone; who works by keyboard goes on at the answer.
    if (document.activeElement === document.body) place.focus({ preventScroll: true });
    if (before?.startsWith(chosen.key)) say(spoken(chosen));
  } else if (chosen.error) drawFailure(place, chosen);
  else { fill(place, waitingCard()); progress(place, chosen); }
}

function invitation() {
  return h(".invite", {},
    h(".zone", {},
      h(".waves", { "aria-hidden": "true" }, Array.from({ length: 41 }, (_, i) => h("i", { style: { "--i": i, "--tall": (.18 + .82 * Math.abs(Math.sin(i * .9) * Math.cos(i * .37))).toFixed(3) } }))),
      h("h1", {}, "Drop a song, see what it is."),
      h("p.lede", {}, "One file, several, or a whole folder. Everything is heard on this machine; nothing leaves it."),
      h(".row", {}, choosers(true)),
      h("p.small.soft", {}, "MP3, FLAC, WAV, Ogg, Opus, M4A and most others. Or ", h("a", { href: "#/listen" }, "let it listen to the room"), ".")),
    about?.labels?.length && h("p.knows.small.soft", {}, "It knows ", listed(about.labels.map(genreName)), ", and says “unsure” rather than guess."));
}

function drawQueue(aside) {
  const done = queue.done, open = queue.open.length, failed = queue.items.filter(i => i.error).length;
  const rows = queue.items.map(item => h("li", {},
    h("button", { type: "button", "aria-current": item === chosen ? "true" : undefined, onclick: () => { chosen = item; redrawSoon(); } },
      h("span.name", {}, item.name),
      item.result ? h("span.state", {}, genreChip(item.result.label, { unsure: item.result.unsure }), h("span.soft.number", {}, percent(item.result.confidence)))
        : h("span.state.soft", {}, item.error ? h("span.bad", {}, STATES.failed) : STATES[item.state]))));
  const at = aside.querySelector("ol")?.scrollTop ?? 0, focused = aside.contains(document.activeElement) ? [...aside.querySelectorAll("ol button")].indexOf(document.activeElement) : -1;
  const words = [open ? `${queue.items.length - open} of ${queue.items.length} heard` : `${count(done.length, "file")} heard`, failed && `${failed} not`].filter(Boolean).join(", ");
  fill(aside, h("header", {}, h("h2", {}, words), h(".meter", { role: "progressbar", "aria-label": "Files heard", "aria-valuemin": 0, "aria-valuemax": queue.items.length, "aria-valuenow": queue.items.length - open },
    h("i", { style: { width: `${100 * (1 - open / queue.items.length)}%` } }))),
    h("ol", {}, rows),
    h("footer.row", {}, h("button.button.compact", { type: "button", disabled: !done.length, onclick: () => saveCsv(done.map(i => i.result), "earmark", about) }, icon("download", 18), "All as CSV"),
      h("button.button.compact", { type: "button", disabled: !done.length, onclick: () => saveJson(done.map(i => i.result), "earmark") }, "JSON")));
  aside.querySelector("ol").scrollTop = at;
  if (focused >= 0) aside.querySelectorAll("ol button")[focused]?.focus({ preventScroll: true });
}

const waitingCard = () => h(".progress", {}, h("h2"), h("p.soft", { role: "status" }), h(".meter", { role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 }, h("i")),
  h(".ghosts", { "aria-hidden": "true" }, h(".skeleton.big"), h(".skeleton.wide"), h(".skeleton.thin")),
  h(".row", {}, h("button.button.compact", { type: "button", onclick: () => { queue.clear(); } }, "Stop")));

function progress(place, item) {
  const card = place.querySelector(".progress");
  if (!card) return;
  const share = item.state === "waiting" ? 0 : item.state === "sending" ? item.share * .7 : .7;
  card.querySelector("h2").textContent = item.name;
  const words = {
    waiting: "Waiting for its turn", sending: `Sending ${bytes(item.file.size)}, ${percent(item.share)}`, hearing: "Listening to it",
    busy: `${item.busy ?? ""} Trying again in ${count(Math.round(item.wait ?? 2), "second")}.`,
  }[item.state] ?? "";
  const line = card.querySelector("p");
  if (line.textContent !== words) line.textContent = words;
  line.classList.toggle("busy", item.state === "busy");
  const meter = card.querySelector(".meter");
  meter.classList.toggle("endless", item.state === "hearing" || item.state === "busy");
  meter.firstChild.style.width = `${100 * share}%`;
  meter.setAttribute("aria-valuenow", Math.round(100 * share));
}

function drawFailure(place, item) {
  const long = item.error.code === "too-long" && item.whole;
  fill(place, h(".failed", {}, h("h2", {}, item.name), problem(item.error, { title: item.error.status === 422 ? "This file was not heard" : undefined, retry: long ? undefined : () => queue.retry(item) }),
    h(".row", {}, long && h("button.button.primary", { type: "button", onclick: () => queue.retry(item, { whole: false }) }, "Hear three stretches of it"), choosers(false))));
}

const spoken = ({ name, result }) => result.unsure
  ? `${name}: unsure. ${meaning(result, about)}`
  : `${name}: ${genreName(result.label)}, ${percent(result.confidence)}.`;

function heardWords(result) {
  const total = result.declared ?? result.decoded;
  // The last window may reach back over the one before it.
  const heard = stretches(result.heard.map(([start, end]) => ({ start, seconds: end - start, probabilities: result.probabilities }))).reduce((sum, s) => sum + s.end - s.start, 0);
  return heard > total * .98 ? "all of it heard" : `${clock(heard)} of it heard, in ${count(result.heard.length, "stretch", "stretches")}`;
}

function drawResult(place, item) {
  const result = item.result, seconds = result.spectrogram?.seconds ?? result.declared ?? result.decoded;
  const sound = { key: item.key, src: item.src, title: stem(item.name), subtitle: result.unsure ? "Unsure" : `${genreName(result.label)}, ${percent(result.confidence)}`, seconds };
  const show = stage(result, sound, { unsureBelow: about?.unsureBelow ?? 0 });
  const mine = `${shown}`;
  release = show.release;
  fill(place,
    h("header.title", {}, h("div", {}, h("h2", {}, stem(item.name)), h("p.soft.small.number", {}, [clock(seconds), heardWords(result), ...music(result)].join(" · "))),
      h(".row", {}, choosers(false), queue.items.length > 1 || h("button.icon", { type: "button", "aria-label": "Close this result", title: "Close", onclick: () => { player.forget(item.key); queue.clear(); } }, icon("close", 20)))),
    answerBlock(result, about),
    show.node,
    result.problems.length > 0 && h("p.notice.small", {}, icon("info", 18), h("span", {}, `Heard in spite of something odd in the file: ${listed(result.problems.map(p => p.replaceAll("-", " ").replaceAll("_", " ")))}.`)),
    h(".row.saves", { role: "group", "aria-label": "Save the result" }, h("span.label", {}, "Save the result"),
      h("button.button.compact", { type: "button", onclick: () => saveJson([result], stem(item.name)) }, icon("download", 18), "JSON"),
      h("button.button.compact", { type: "button", onclick: () => saveCsv([result], stem(item.name), about) }, "CSV"),
      h("button.button.compact", { type: "button", onclick: () => savePng(result, stem(item.name), { unsureBelow: about?.unsureBelow ?? 0 }) }, "PNG")),
    similarTo({ embedding: result.embedding, probabilities: result.probabilities, file: item.file, still: () => shown === mine }));
}

/** The answer in large letters, beside the bars. */
export function answerBlock(result, about) {
  const words = result.unsure
    ? [h("p.genre.unsure", {}, "Unsure"), h("p.confidence", {}, nearest(result, about?.unsureBelow))]
    : [h("p.genre", { style: { "--genre": genreColour(result.label) } }, genreName(result.label)), h("p.confidence.number", {}, `${percent(result.confidence)} likely`)];
  return h(result.unsure ? ".verdict.doubtful" : ".verdict", {}, h(".said", {}, words, h("p.meaning.soft", {}, meaning(result, about))), bars(result.probabilities, { unsureBelow: about?.unsureBelow ?? null }));
}
