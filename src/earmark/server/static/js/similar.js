// Tracks of the library that sound like what was heard.
import { ApiError } from "./api.js";
import { fill, h, problem } from "./dom.js";
import { similarToFile, similarTracks } from "./catalogue.js";
import { trackRow } from "./tracks.js";

const COUNT = 8;

/** A section that fills itself: like a track of the library ({ id }), or like an uploaded sound ({ file }). */
export function similarTo({ id, file, still = () => true }) {
  const list = h("div", {}, h("ul.tracks", { "aria-busy": "true" }, Array.from({ length: 3 }, () => h("li.track.skeleton"))));
  load(list, { id, file, still });
  return h("section.similar", { "aria-label": "Similar tracks" }, h("h3", {}, "Sounds like, in your library"), list);
}

async function load(list, { id, file, still }) {
  try {
    const matches = id !== undefined ? await similarTracks({ id, n: COUNT }) : await similarToFile(file, COUNT);
    if (!still()) return;
    const tracks = matches.map(match => match.track);
    if (!tracks.length) return fill(list, h("p.soft", {}, "There is nothing else to compare with yet."));
    fill(list, h("ul.tracks", {}, matches.map(({ track, score }) => trackRow(track, { tracks, score }))));
  } catch (error) {
    if (!still() || error.name === "AbortError") return;
    const none = error instanceof ApiError && error.status === 404;
    fill(list, none ? h("p.soft", {}, error.message) : problem(error, { title: "No similar tracks", retry: () => load(list, { id, file, still }) }));
  }
}
