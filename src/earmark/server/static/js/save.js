// A result as JSON, CSV or PNG.
import { nearest } from "./bars.js";
import { save } from "./dom.js";
import { cell, clock, fileName, percent } from "./format.js";
import { allLabels, genreColour, genreName, resolved } from "./genres.js";
import { ranked, stretches, sureFrom } from "./timeline.js";

const plain = ({ spectrogram, ...rest }) => rest;

export function saveJson(results, name) {
  const rows = results.map(plain);
  save(`${fileName(name)}.json`, JSON.stringify(rows.length === 1 ? rows[0] : rows, null, 2) + "\n", "application/json");
}

const MUSIC = ["tempo", "tempo_confidence", "beat_strength", "key", "key_confidence", "loudness", "loudness_range", "dynamics"];
const COLUMNS = ["path", "label", "confidence", "unsure", "doubt", "heard", "decoded", "declared", "problems", ...MUSIC, "problem", "reason", "bundle"];

/** The columns of `earmark classify --format csv`: one table, whichever way the music was heard. */
export function saveCsv(results, name, { bundle } = {}) {
  const labels = allLabels();
  const rows = results.map(r => [
    ...COLUMNS.map(column => ({
      heard: () => r.heard.map(([start, end]) => `${Number(start.toPrecision(6))}-${Number(end.toPrecision(6))}`).join(" "),
      problems: () => r.problems.join(" "),
      bundle: () => r.bundle ?? bundle,
    })[column]?.() ?? r[column]),
    ...labels.map(label => r.probabilities[label]),
  ]);
  save(`${fileName(name)}.csv`, [[...COLUMNS, ...labels.map(label => `p:${label}`)], ...rows].map(row => row.map(cell).join(",") + "\n").join(""), "text/csv");
}

const WIDE = 1600, HIGH = 1000, EDGE = 80;

/** The result as a picture to show others. */
export async function savePng(result, title, { unsureBelow = 0 } = {}) {
  await document.fonts.ready;
  const canvas = document.createElement("canvas");
  canvas.width = WIDE; canvas.height = HIGH;
  const c = canvas.getContext("2d");
  const colour = name => resolved(`var(--${name})`);
  const text = (what, x, y, font, tone, align = "left", most = undefined) => { c.font = font; c.fillStyle = tone; c.textAlign = align; c.fillText(what, x, y, most); };
  const serif = '"Fraunces", Georgia, serif', sans = '"Instrument Sans", system-ui, sans-serif';
  c.fillStyle = colour("paper"); c.fillRect(0, 0, WIDE, HIGH);
  text(short(c, title, `600 34px ${sans}`, WIDE - 2 * EDGE), EDGE, 110, `600 34px ${sans}`, colour("ink"));
  const unsure = result.unsure;
  text(unsure ? "Unsure" : genreName(result.label), EDGE - 4, 260, `${unsure ? "italic 450" : "500"} 150px ${serif}`, colour("ink"), "left", 700);
  text(unsure ? nearest(result, unsureBelow) : `${percent(result.confidence)} likely`, EDGE, 320, `500 32px ${sans}`, colour("soft"));
  const rows = ranked(result.probabilities).slice(0, 6);
  rows.forEach(([label, p], i) => {
    const y = 168 + i * 38;
    text(genreName(label), 1000, y + 9, `${i ? 400 : 600} 24px ${sans}`, colour("ink"), "right", 180);
    c.fillStyle = colour("hair"); rounded(c, 1020, y - 9, 390, 18);
    c.fillStyle = resolved(genreColour(label)); rounded(c, 1020, y - 9, Math.max(4, 390 * p), 18);
    text(percent(p), WIDE - EDGE, y + 9, `500 24px ${sans}`, colour("ink"), "right");
  });
  const top = 430, high = 340, strip = 90, wide = WIDE - 2 * EDGE;
  const total = result.spectrogram?.seconds ?? result.decoded ?? 1;
  if (result.spectrogram) {
    const image = new Image();
    image.src = result.spectrogram.png;
    await image.decode();
    c.imageSmoothingQuality = "high";
    c.drawImage(image, EDGE, top, wide, high);
  }
  for (const s of stretches(result.timeline ?? [])) {
    const x = EDGE + wide * s.start / total, w = Math.max(1, wide * (Math.min(s.end, total) - s.start) / total - 2);
    let y = top + high + 6 + strip;
    for (const [label, p] of ranked(s.probabilities)) {
      const part = strip * p;
      c.fillStyle = resolved(genreColour(label));
      c.fillRect(x, y - part, w, part);
      y -= part;
    }
    if (w > 90) text(s.confidence < sureFrom(result, unsureBelow) ? "Unsure" : genreName(s.label), x + 10, top + high + strip - 4, `600 20px ${sans}`, colour("paper"), "left", w - 20);
  }
  text("0:00", EDGE, top + high + strip + 40, `400 22px ${sans}`, colour("soft"));
  text(clock(total), WIDE - EDGE, top + high + strip + 40, `400 22px ${sans}`, colour("soft"), "right");
  text("Heard by Earmark", WIDE / 2, HIGH - 50, `500 24px ${serif}`, colour("soft"), "center");
  const blob = await new Promise(resolve => canvas.toBlob(resolve, "image/png"));
  save(`${fileName(title)}.png`, blob, "image/png");
}

function short(c, text, font, most) {
  c.font = font;
  let cut = text;
  while (cut.length > 4 && c.measureText(cut).width > most) cut = `${cut.slice(0, -2).trimEnd()}…`;
  return cut;
}

function rounded(c, x, y, w, h) {
  c.beginPath();
  c.roundRect(x, y, w, h, h / 2);
  c.fill();
}
