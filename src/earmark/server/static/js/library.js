// Library: four pages under one heading.
import { fill, h, icon } from "./dom.js";
import * as map from "./map.js";
import * as numbers from "./numbers.js";
import * as playlist from "./playlist.js";
import * as track from "./track.js";
import * as search from "./search.js";

const PAGES = { tracks: ["library", "Tracks", search], playlist: ["list", "Playlist", playlist], map: ["map", "Map", map], numbers: ["runs", "Numbers", numbers] };

export function mount(root, given) {
  const [page, ...rest] = given.rest;
  if (page === "track") return track.mount(root, { ...given, rest });
  const name = PAGES[page] ? page : "tracks";
  const body = h(".page", { dataset: { page: name } });
  fill(root, h("header.library-head", {}, h("h1", {}, "Library"),
    h("nav.segments", { "aria-label": "Library" }, Object.entries(PAGES).map(([key, [picture, text]]) =>
      h("a", { href: `#/library/${key}`, "aria-current": key === name ? "page" : undefined }, icon(picture, 18), text)))), body);
  return PAGES[name][2].mount(body, { ...given, rest });
}

