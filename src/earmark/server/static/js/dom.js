// Elements, icons and messages. Text from outside always goes in as text, never as markup.

/** An element: h("button.primary", { onclick, "aria-label": "Play" }, ...children). */
export function h(what, given = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name in node && !name.includes("-") && !["list", "form", "role"].includes(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  append(node, children);
  return node;
}

export function append(node, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === undefined || child === null || typeof child === "boolean") continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

export const fill = (node, ...children) => { node.replaceChildren(); return append(node, children); };

const PATHS = {
  hear: "M3 12h2M8 7v10M12 4v16M16 8v8M19 12h2",
  listen: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11a7 7 0 0 0 14 0M12 18v3",
  library: "M4 5v14M9 5v14M13.5 5.6l5.4 13.2",
  runs: "M4 20h16M7 16v-5M12 16V5M17 16v-8",
  play: "fM8 5.2v13.6a.8.8 0 0 0 1.2.7l10.6-6.8a.8.8 0 0 0 0-1.4L9.2 4.5A.8.8 0 0 0 8 5.2z",
  pause: "fM7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  stop: "fM7 6h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1z",
  next: "fM6 5.5v13l9-6.5zM16 5.5h2.5v13H16z",
  previous: "fM18 5.5v13L9 12zM5.5 5.5H8v13H5.5z",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.5l4.5 4.5L19 7.5",
  warning: "M12 4 2.8 19.5h18.4zM12 10v4.2M12 17v.2",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5.5M12 7.6v.2",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  auto: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zfM12 3a9 9 0 0 1 0 18z",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M4.5 19.5h15",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5 20 20",
  file: "M7 3.5h7l4.5 4.5v11a1.5 1.5 0 0 1-1.5 1.5H7A1.5 1.5 0 0 1 5.5 19V5A1.5 1.5 0 0 1 7 3.5zM14 3.5V8h4.5",
  folder: "M3.5 18V6.5A1.5 1.5 0 0 1 5 5h4.5l2 2.5H19a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5H5A1.5 1.5 0 0 1 3.5 18z",
  edit: "M4.5 19.5l1-4.200L16 4.800a1.700 1.700 0 0 1 2.400 0l.8.8a1.700 1.700 0 0 1 0 2.400L8.700 18.5zM14 7l3 3",
  list: "M4 6.5h11M4 12h11M4 17.5h7M18 13v8M14 17h8",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  up: "M12 19V6M6.5 11 12 5.5 17.5 11",
  undo: "M8 5 4 9l4 4M4 9h10a5.5 5.5 0 0 1 0 11h-3",
  map: "M6 8.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM17 7.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM12.5 14.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM6 19.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM18 20a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  open: "M14 4.5h5.5V10M19.5 4.5 11 13M17 14v4a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 5 18V9a1.5 1.5 0 0 1 1.5-1.5H10",
};

const SVG = "http://www.w3.org/2000/svg";

/** An icon drawn as strokes; parts of its path after an "f" are filled. Always decoration: name the button instead. */
export function icon(name, size = 22) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true", focusable: "false" })) svg.setAttribute(key, value);
  const [strokes, filled] = PATHS[name].split("f");
  for (const [d, solid] of [[strokes, false], [filled, true]]) {
    if (!d) continue;
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    path.setAttribute("fill", solid ? "currentColor" : "none");
    if (!solid) for (const [key, value] of Object.entries({ stroke: "currentColor", "stroke-width": 1.9, "stroke-linecap": "round", "stroke-linejoin": "round" })) path.setAttribute(key, value);
    svg.append(path);
  }
  return svg;
}

/** Tell a screen reader. */
export function say(text) {
  const place = document.getElementById("say");
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 30);
}

/** A short message at the edge; it goes by itself, unless it offers something to do and is being read. */
export function toast(text, action) {
  const node = h(".toast", {}, h("span", {}, text));
  if (action) node.append(h("button", { type: "button", onclick: () => { node.remove(); action.run(); } }, action.name));
  document.getElementById("toasts").append(node);
  let left = action ? 8000 : 4500;
  const timer = setInterval(() => {
    if (node.matches(":hover, :focus-within")) return;
    left -= 500;
    if (left <= 0) { clearInterval(timer); node.remove(); }
  }, 500);
}

/** An error as a box: the server's sentence, and a way on. */
export function problem(error, { retry, title } = {}) {
  const busy = error.status === 503;
  const head = title ?? (busy ? "The server is busy" : error.title ?? "That did not work");
  return h(busy ? ".problem.busy" : ".problem", { role: "alert" }, icon("warning"), h("strong", {}, head), h("p", {}, error.message),
    retry && h(".row", {}, h("button.button.compact", { type: "button", onclick: retry }, "Try again")));
}

export function empty({ art, title, text, extra }) {
  return h(".empty", {}, art && h(".art", {}, icon(art, 56)), h("h2", {}, title), text && h("p", {}, text), extra);
}

/** A modal dialog with a heading and a close button; resolves when it closes. */
export function dialog(title, content, { className = "" } = {}) {
  const id = `d${Math.random().toString(36).slice(2)}`;
  const node = h("dialog", { "aria-labelledby": id, className },
    h("header", {}, h("h2", { id }, title), h("button.icon", { type: "button", "aria-label": "Close", onclick: () => node.close() }, icon("close"))),
    content);
  node.addEventListener("click", event => { if (event.target === node) node.close(); });
  node.addEventListener("close", () => node.remove());
  document.body.append(node);
  node.showModal();
  return node;
}

/** One of several, as a row of radio buttons. */
export function segments(name, label, options, chosen, change) {
  return h("fieldset", {}, h("legend.unseen", {}, label), h(".segments", {}, options.map(([value, text]) =>
    h("label", {}, h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => change(value) }), text))));
}

/** Offer data as a file. */
export function save(name, data, type) {
  const url = URL.createObjectURL(data instanceof Blob ? data : new Blob([data], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function debounce(run, wait) {
  let timer;
  return (...given) => { clearTimeout(timer); timer = setTimeout(() => run(...given), wait); };
}
