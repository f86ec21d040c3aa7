// Listen: the microphone, live, a genre every second.
import { liveBars, meaning, nearest } from "./bars.js";
import { answerBlock } from "./hear.js";
import { fill, h, icon, problem, say } from "./dom.js";
import { clock, percent } from "./format.js";
import { allLabels, genreColour, genreName, resolved } from "./genres.js";
import { MAGMA } from "./magma.js";
import * as microphone from "./microphone.js";
import * as player from "./player.js";
import { saveCsv, saveJson } from "./save.js";

const SHOWN_SECONDS = 60, COLUMNS_PER_SECOND = 12, ROWS = 96;

export function mount(root, { about }) {
  let session = null, timer = null, moments = [], lastSaid = null;
  const answer = h(".live-answer", { "aria-live": "off" });
  const live = liveBars(about.labels, about.unsureBelow), list = h(".live-bars", {}, live.node);
  const button = h("button.button.primary.start", { type: "button", onclick: () => (session ? stop() : start()) });
  const level = h(".level", { "aria-hidden": "true" }, h("i"));
  const facts = h("dl.live-facts.number", { hidden: true });
  const trouble = h("div"), sum = h("section.sum", { "aria-label": "All in all" });
  const sound = h("canvas", { width: SHOWN_SECONDS * COLUMNS_PER_SECOND, height: ROWS, role: "img", "aria-label": "Spectrogram of the last minute" });
  const ribbon = h("canvas", { width: SHOWN_SECONDS * COLUMNS_PER_SECOND, height: 90, role: "img", "aria-label": "Genres over the last minute" });
  const frame = h("figure.live-stage", { hidden: true }, h(".glass", {}, sound, ribbon), h(".axis.number", { "aria-hidden": "true" }, h("span", {}, "a minute ago"), h("span", {}, "now")));
  fill(root, h(".listen", {},
    h("header", {}, h("h1", {}, "What is playing?"), h("p.lede", {}, "Let Earmark hear the room. It names the genre of the last half minute, once a second; the sound goes to this machine’s server and is not kept.")),
    h(".console", {}, button, level, facts), trouble, h(".live-verdict", {}, answer, list), sum, frame));

  function controls() {
    fill(button, icon(session ? "stop" : "listen", 22), session ? "Stop" : moments.length ? "Start again" : "Start listening");
    button.classList.toggle("primary", !session);
    button.classList.toggle("running", Boolean(session));
    level.hidden = !session;
  }

  async function start() {
    fill(trouble); fill(sum);
    player.close();
    button.disabled = true;
    fill(button, h("span.spinner"), "Asking for the microphone");
    try {
      session = await microphone.open({
        moment, closed, whole,
        level: value => { level.firstChild.style.transform = `scaleX(${Math.min(1, Math.max(0, 1 + Math.log10(value + 1e-6) / 2.6))})`; },
      });
    } catch (error) {
      session = null;
      fill(trouble, problem(error, { title: "Earmark cannot listen", retry: start }));
    }
    button.disabled = false;
    if (session) {
      moments = []; lastSaid = null;
      clear(sound); clear(ribbon);
      facts.hidden = frame.hidden = false;
      fill(answer, h("p.genre.pending", {}, "Listening"), h("p.soft", {}, "The first answer comes after a second of sound."));
      live.update({});
      timer = setInterval(column, 1000 / COLUMNS_PER_SECOND);
      say("Listening.");
    }
    controls();
    if (session) button.focus();
  }

  function stop() { session?.stop(); }

  function closed(error) {
    session = null;
    clearInterval(timer);
    controls();
    if (error) fill(trouble, problem(error, { title: "Listening has ended", retry: start }));
    else say("Stopped.");
  }

  function moment(said, latency) {
    moments.push(said);
    if (moments.length > SHOWN_SECONDS * 4) moments.shift();
    fill(facts, h("div", {}, h("dt", {}, "Heard"), h("dd", {}, clock(said.at))),
      h("div", {}, h("dt", {}, "Latency"), h("dd", { className: "latency" }, latency === null ? "–" : `${latency.toFixed(2)} s`)),
      h("div", {}, h("dt", {}, "Rests on"), h("dd", {}, `the last ${Math.round(said.seconds)} s`)));
    const quiet = said.label === null;
    const words = quiet ? "nothing to hear" : said.unsure ? "unsure" : genreName(said.label);
    if (quiet) {
      fill(answer, h("p.genre.pending", {}, said.problem === "too-short" ? "Listening" : "Silence"), h("p.soft", {}, said.problem === "too-short" ? "A second of sound is needed." : "There is nothing to hear. Is the right microphone chosen, and near the music?"));
      live.update({});
    } else {
      fill(answer,
        said.unsure ? h("p.genre.unsure", {}, "Unsure") : h("p.genre", {}, genreName(said.label)),
        h("p.confidence.number", {}, said.unsure ? nearest(said, about.unsureBelow) : `${percent(said.confidence)} likely`),
        said.unsure && h("p.meaning.soft", {}, meaning(said, about)));
      live.update(said.probabilities);
    }
    // Once a second would be too much to listen to: a screen reader is told of changes only.
    if (words !== lastSaid) { lastSaid = words; say(quiet || said.unsure ? words : `${words}, ${percent(said.confidence)}`); }
  }

  /** The answer for all that was heard, once it is over. */
  function whole(result) {
    fill(sum, h("h2", {}, "All in all"), answerBlock(result, about),
      h(".row.saves", { role: "group", "aria-label": "Save the result" }, h("span.label", {}, "Save the result"),
        h("button.button.compact", { type: "button", onclick: () => saveJson([result], "Heard") }, icon("download", 18), "JSON"),
        h("button.button.compact", { type: "button", onclick: () => saveCsv([result], "Heard", about) }, "CSV")));
    fill(answer);
  }

  const spectrum = new Uint8Array(1024);

  /** One more column at the right edge of both pictures. */
  function column() {
    if (!session) return;
    const bins = spectrum.subarray(0, session.analyser.frequencyBinCount);
    session.analyser.getByteFrequencyData(bins);
    const c = shift(sound), high = sound.height, x = sound.width - 1, top = Math.min(11025, session.rate / 2);
    for (let row = 0; row < high; row++) {
      // Rows are spread like pitch: the lower half of the picture for what lies below about 1 kHz.
      const hz = 40 * (top / 40) ** (1 - row / high);
      const [r, g, b] = MAGMA[bins[Math.min(bins.length - 1, Math.round(hz / (session.rate / 2) * bins.length))]];
      c.fillStyle = `rgb(${r} ${g} ${b})`;
      c.fillRect(x, row, 1, 1);
    }
    const said = moments.at(-1), d = shift(ribbon);
    let y = ribbon.height;
    d.clearRect(x, 0, 1, ribbon.height);
    if (!said || said.label === null) return;
    for (const label of allLabels()) {
      const part = ribbon.height * (said.probabilities[label] ?? 0);
      d.fillStyle = colours(label);
      d.fillRect(x, y - part, 1, part + .5);
      y -= part;
    }
  }

  const known = new Map();
  const colours = label => known.get(label) ?? (known.set(label, resolved(genreColour(label))), known.get(label));
  const themed = () => known.clear();
  addEventListener("themechange", themed);

  controls();
  return () => { removeEventListener("themechange", themed); stop(); clearInterval(timer); };
}

function shift(canvas) {
  const c = canvas.getContext("2d");
  c.drawImage(canvas, -1, 0);
  return c;
}

const clear = canvas => canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
