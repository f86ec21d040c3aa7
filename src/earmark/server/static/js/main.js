// The page's frame: which view is shown, the theme, the dialog about the model.
import { get, onConnection, signIn } from "./api.js";
import { learnRoots } from "./catalogue.js";
import { dialog, fill, h, icon, problem, toast } from "./dom.js";
import { capital, listed, percent } from "./format.js";
import { genreName, setLabels } from "./genres.js";
import * as hear from "./hear.js";
import * as library from "./library.js";
import * as listen from "./listen.js";
import * as player from "./player.js";
import * as runs from "./runs.js";

const VIEWS = { hear, listen, library, runs };
const root = document.getElementById("view");
let leave = null, about = null, first = true;

async function learn() {
  const given = await get("about");
  setLabels(given.model.labels);
  if (given.catalogue) await learnRoots();
  about = { ...given.model, version: given.version, bundle: given.model.id, unsureBelow: given.model.unsure_below, catalogue: given.catalogue, runs: given.runs };
}

async function show() {
  const [name, ...rest] = (location.hash.replace(/^#\/?/, "") || "hear").split("?")[0].split("/").map(decodeURIComponent);
  const view = VIEWS[name] ? name : "hear";
  leave?.();
  leave = null;
  for (const box of document.querySelectorAll("dialog[open]")) box.close();
  for (const link of document.querySelectorAll(".views a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  player.entitle(`${capital(view)} – Earmark`);
  if (!about) {
    try { await learn(); } catch (error) {
      fill(root, h("h1.unseen", {}, "Earmark"), error.status === 401 ? door() : problem(error, { retry: show }));
      return;
    }
  }
  root.replaceChildren();
  leave = VIEWS[view].mount(root, { about, rest, params: new URLSearchParams(location.hash.split("?")[1] ?? "") }) ?? null;
  // A screen reader starts to read at the new view; the first one is read from the top anyway.
  if (!first) { root.focus({ preventScroll: true }); scrollTo(0, 0); }
  first = false;
}

/** What stands before a server with a token. */
function door() {
  const token = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
  const wrong = h("p.bad", { role: "alert" });
  return h("form.door", { onsubmit: async event => {
    event.preventDefault();
    try { await signIn(token.value.trim()); show(); } catch (error) { fill(wrong, error.message); token.select(); }
  } }, h("h2", {}, "This Earmark wants its token"), h("p.soft", {}, "It was given to “earmark serve” when it was started. This browser then remembers it for a month."),
    h("label.field", { htmlFor: "token" }, h("span", {}, "Token"), token), wrong, h("button.button.primary", { type: "submit" }, "Go in"));
}

const THEMES = [["auto", "auto", "as the system has it"], ["light", "sun", "light"], ["dark", "moon", "dark"]];

function themeButton() {
  const button = document.getElementById("theme");
  const now = () => Math.max(0, THEMES.findIndex(([name]) => name === document.documentElement.dataset.theme));
  const draw = () => {
    const [, picture, words] = THEMES[now()];
    fill(button, icon(picture, 21));
    button.setAttribute("aria-label", `Theme: ${words}. Change it`);
    button.title = `Theme: ${words}`;
  };
  button.addEventListener("click", () => {
    const [name] = THEMES[(now() + 1) % THEMES.length];
    if (name === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = name;
    try { if (name === "auto") localStorage.removeItem("earmark.theme"); else localStorage.setItem("earmark.theme", name); } catch { /* It holds until the page is closed. */ }
    draw();
    dispatchEvent(new Event("themechange"));
  });
  draw();
}

function aboutButton() {
  const button = document.getElementById("about-open");
  fill(button, icon("info", 21));
  button.setAttribute("aria-label", "About the model");
  button.title = "About the model";
  button.addEventListener("click", async () => {
    if (!about) { try { await learn(); } catch (error) { toast(error.message); return; } }
    const best = about.scores?.artist5 ?? Object.values(about.scores ?? {})[0];
    dialog("What does the hearing", h(".about", {},
      h("dl.facts", {},
        h("dt", {}, "Model"), h("dd", {}, about.name),
        h("dt", {}, "Knows"), h("dd", {}, listed(about.labels.map(genreName))),
        best?.accuracy && [h("dt", {}, "Right"), h("dd", {}, `${(100 * best.accuracy.value).toFixed(1)}% of the time${best.protocol?.grouped ? " on artists it has not heard" : ""} (between ${Math.round(100 * best.accuracy.low)} and ${Math.round(100 * best.accuracy.high)})`)],
        best?.sure && [h("dt", {}, "When sure"), h("dd", {}, `${percent(best.sure.precision)} of its answers are right; it is sure of ${percent(best.sure.coverage)} of what it hears`)],
        h("dt", {}, "Unsure"), h("dd", {}, `below ${percent(about.unsureBelow)}`),
        about.licence && [h("dt", {}, "Licence"), h("dd", {}, about.licence)],
        h("dt", {}, "Earmark"), h("dd", {}, about.version ?? "")),
      h("p.soft.small", {}, "It knows these genres and nothing else: other music comes out as the nearest of them, or unsure. For builders: ", h("a", { href: "v1/openapi.json" }, "the API’s description"), ".")));
  });
}

for (const link of document.querySelectorAll(".views a")) link.prepend(icon(link.dataset.view, 20));
themeButton();
aboutButton();
let knocking = null;
onConnection(online => {
  clearInterval(knocking);
  if (!online) knocking = setInterval(() => get("health").catch(() => {}), 3000);
  const banner = document.getElementById("offline");
  banner.hidden = online;
  banner.textContent = online ? "" : "The server does not answer. What you see may be old; look whether “earmark serve” is still running.";
});
addEventListener("hashchange", show);
show();
