// The map: tracks that sound alike lie close together.
import { address } from "./api.js";
import * as catalogue from "./catalogue.js";
import { fill, h, icon, problem, say } from "./dom.js";
import { emptyLibrary } from "./empty-library.js";
import { count, percent } from "./format.js";
import { genreColour, genreName, resolved } from "./genres.js";
import * as player from "./player.js";
import { correct, genreOf, playButton, sound, trackArtist, trackTitle } from "./tracks.js";

export function mount(root, { about }) {
  let alive = true, off = () => {};
  load();
  return () => { alive = false; off(); };

  async function load() {
    fill(root, h(".skeleton.wide.map-wait"));
    try {
      if ((await catalogue.stats()).tracks > MOST_POINTS) return large(root);
      const points = await catalogue.map();
      if (!alive) return;
      if (points.length) off = draw(root, points, about); else fill(root, emptyLibrary());
    } catch (error) {
      if (alive) fill(root, error.status === 404 ? emptyLibrary() : problem(error, { title: "The map cannot be drawn", retry: load }));
    }
  }
}

// Of larger libraries the server draws the map itself: all that is known of every track would be too much to send.
const MOST_POINTS = 20_000;

function large(root) {
  fill(root, h("iframe.map-page", { src: address("map", { format: "html" }), title: "Map of the library" }));
}

function draw(root, points, about) {
  const hidden = new Set(), colours = new Map();
  let scale = 1, left = 0, top = 0, wide = 0, high = 0, chosen = null, pointed = null, waiting = false;
  const canvas = h("canvas", { tabindex: 0, role: "application", "aria-roledescription": "map", "aria-label": `Map of ${count(points.length, "track")}`, "aria-describedby": "map-help" });
  const tip = h(".tip", { hidden: true }), card = h(".map-card", { "aria-live": "polite" });
  const counts = new Map();
  for (const { track } of points) counts.set(track.label, (counts.get(track.label) ?? 0) + 1);
  const zoom = (name, picture, run) => h("button.icon", { type: "button", "aria-label": name, title: name, onclick: run }, picture);
  fill(root, h(".map", {},
    h(".canvas", {}, canvas, tip, h(".zoom", {}, zoom("Zoom in", icon("plus", 20), () => magnify(1.5)), zoom("Zoom out", h("span", {}, "−"), () => magnify(1 / 1.5)), zoom("Show all", icon("undo", 18), () => { fit(); redraw(); }))),
    h("aside", {}, card,
      h("fieldset", {}, h("legend.label", {}, "Shown"), h(".legend", {}, about.labels.filter(label => counts.has(label)).map(label => h("label", { style: { "--genre": genreColour(label) } },
        h("input.unseen", { type: "checkbox", checked: true, onchange: event => { if (event.currentTarget.checked) hidden.delete(label); else hidden.add(label); redraw(); } }), h("span.dot"), genreName(label), h("span.soft.small.number", {}, counts.get(label)))))),
      h("p.small.soft", { id: "map-help" }, "Tracks that sound alike lie close together; the directions mean nothing. Rings are tracks that Earmark is unsure of. Drag to move, wheel to zoom; arrow keys go from track to track, Enter plays."))));
  tell(null);

  const x = point => left + point.x * scale, y = point => top + point.y * scale;
  const shown = point => !hidden.has(point.track.label);
  const colour = label => colours.get(label) ?? (colours.set(label, resolved(genreColour(label))), colours.get(label));

  function fit() {
    scale = Math.min(wide, high) - 48;
    left = (wide - scale) / 2; top = (high - scale) / 2;
  }

  function magnify(by, cx = wide / 2, cy = high / 2) {
    const next = Math.min(40 * Math.max(wide, high), Math.max(.5 * Math.min(wide, high), scale * by));
    left = cx - (cx - left) * next / scale; top = cy - (cy - top) * next / scale;
    scale = next;
    redraw();
  }

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  }

  function paint() {
    const density = devicePixelRatio || 1, c = canvas.getContext("2d");
    c.setTransform(density, 0, 0, density, 0, 0);
    c.clearRect(0, 0, wide, high);
    const size = points.length > 5000 ? 2.5 : points.length > 800 ? 4 : 6.5;
    const playing = player.current()?.key;
    for (const point of points) {
      if (!shown(point)) continue;
      const px = x(point), py = y(point);
      if (px < -9 || py < -9 || px > wide + 9 || py > high + 9) continue;
      c.beginPath();
      c.arc(px, py, size, 0, 7);
      if (point.track.unsure && !point.track.correction) { c.lineWidth = Math.min(2, size / 2); c.strokeStyle = colour(point.track.label); c.stroke(); } else { c.fillStyle = colour(point.track.correction || point.track.label); c.fill(); }
      if (playing === `track:${point.track.id}`) ring(c, px, py, size + 6, resolved("var(--accent)"));
    }
    for (const point of [pointed, chosen]) if (point && shown(point)) ring(c, x(point), y(point), size + 4, resolved("var(--ink)"));
  }

  function ring(c, px, py, radius, tone) {
    c.beginPath(); c.arc(px, py, radius, 0, 7); c.lineWidth = 2; c.strokeStyle = tone; c.stroke();
  }

  function near(px, py, reach) {
    let best = null, least = reach * reach;
    for (const point of points) {
      if (!shown(point)) continue;
      const d = (x(point) - px) ** 2 + (y(point) - py) ** 2;
      if (d < least) { least = d; best = point; }
    }
    return best;
  }

  function tell(point) {
    if (!point) return fill(card, h("p.soft", {}, "Point at a track, or click one to hear it."));
    const { track } = point;
    fill(card, h(".row", {}, playButton(track), h("div.names", {}, h("a.title", { href: `#/library/track/${track.id}` }, trackTitle(track)), h("span.artist.soft", {}, trackArtist(track) || track.folder))),
      h(".row", {}, genreOf(track), h("span.soft.small.number", {}, percent(track.confidence)), h("button.button.quiet.compact", { type: "button", onclick: () => correct(track, () => { tell(point); redraw(); }) }, "Fix")));
  }

  function choose(point, { play = false } = {}) {
    chosen = point;
    tell(point);
    if (point && play) player.toggle(sound(point.track));
    redraw();
  }

  let drag = null;
  const at = event => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", event => { drag = { from: at(event), left, top, moved: false }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", event => {
    const [px, py] = at(event);
    if (drag) {
      const dx = px - drag.from[0], dy = py - drag.from[1];
      drag.moved ||= Math.hypot(dx, dy) > 4;
      if (drag.moved) { left = drag.left + dx; top = drag.top + dy; redraw(); }
      return;
    }
    pointed = near(px, py, 14);
    canvas.style.cursor = pointed ? "pointer" : "grab";
    tip.hidden = !pointed;
    if (pointed) {
      const { track } = pointed;
      fill(tip, h("strong", {}, trackTitle(track)), h("span", {}, [trackArtist(track), track.unsure ? `unsure, ${genreName(track.label)}?` : genreName(track.label)].filter(Boolean).join(" · ")));
      tip.style.left = `clamp(110px, ${px}px, calc(100% - 110px))`;
      tip.style.top = `${py > 80 ? py - 64 : py + 22}px`;
    }
    redraw();
  });
  canvas.addEventListener("pointerup", event => {
    if (drag && !drag.moved) { const found = near(...at(event), 16); if (found) choose(found, { play: true }); }
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { pointed = null; tip.hidden = true; redraw(); });
  canvas.addEventListener("wheel", event => { event.preventDefault(); magnify(Math.exp(-event.deltaY / 400), ...at(event)); }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way) {
      const from = chosen ? [x(chosen), y(chosen)] : [wide / 2, high / 2];
      let best = null, least = Infinity;
      for (const point of points) {
        if (point === chosen || !shown(point)) continue;
        const dx = x(point) - from[0], dy = y(point) - from[1], along = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1] + dy * way[0]);
        if (along <= 0) continue;
        const cost = along + 2 * aside;
        if (cost < least) { least = cost; best = point; }
      }
      if (best) {
        choose(best);
        say(`${trackTitle(best.track)}, ${trackArtist(best.track)}, ${best.track.unsure ? "unsure" : genreName(best.track.label)}`);
        const px = x(best), py = y(best);
        if (px < 20 || py < 20 || px > wide - 20 || py > high - 20) { left += wide / 2 - px; top += high / 2 - py; redraw(); }
      }
    } else if (event.key === "Enter" || event.key === " ") { if (chosen) choose(chosen, { play: true }); }
    else if (event.key === "+") magnify(1.4);
    else if (event.key === "-") magnify(1 / 1.4);
    else if (event.key === "0") { fit(); redraw(); }
    else if (event.key === "Escape") choose(null);
    else return;
    event.preventDefault();
  });

  const sized = new ResizeObserver(() => {
    const box = canvas.parentElement.getBoundingClientRect(), density = devicePixelRatio || 1;
    if (!box.width) return;
    const before = wide;
    wide = box.width; high = box.height;
    canvas.width = Math.round(wide * density); canvas.height = Math.round(high * density);
    if (!before) fit();
    paint();
  });
  sized.observe(canvas.parentElement);
  const themed = () => { colours.clear(); redraw(); };
  const system = matchMedia("(prefers-color-scheme: dark)");
  addEventListener("themechange", themed);
  system.addEventListener("change", themed);
  let heard = null;
  const quiet = player.onPlayer(() => { const key = player.current()?.key; if (key !== heard) { heard = key; redraw(); } });
  return () => { sized.disconnect(); removeEventListener("themechange", themed); system.removeEventListener("change", themed); quiet(); };
}
