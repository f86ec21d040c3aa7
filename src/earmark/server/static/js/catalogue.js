// What the page asks of the library, and its tracks in the shape that the views use.
import { address, get, send, upload } from "./api.js";
import { stem } from "./format.js";

let roots = [];

export function normal(given) {
  const root = roots.find(place => given.path.startsWith(place));
  const place = (root ? given.path.slice(root.length) : given.path.replace(/^.*[\\/](?=[^\\/]*[\\/][^\\/]*$)/, "")).replace(/^[\\/]/, "");
  const folder = place.replace(/[\\/]?[^\\/]*$/, "");
  return { ...given, name: given.name ?? stem(given.path), place, folder, correction: given.correction ?? null };
}

/** Tracks that fit: { search, label, sure: all | sure | unsure | fixed, sort, offset, limit }. */
export async function find({ search = "", label = "", sure = "all", sort = "path", offset = 0, limit = 50 }, options) {
  const page = await get("tracks", { search, label, unsure: { sure: false, unsure: true }[sure], corrected: sure === "fixed" ? true : undefined, sort, offset, limit }, options);
  return { ...page, tracks: page.tracks.map(normal) };
}

export const track = async (id, options) => normal(await get(`tracks/${id}`, {}, options));

export async function classify(id, { signal } = {}) {
  return send("POST", `tracks/${id}/classify`, undefined, { params: { full: true, timeline: true, spectrogram: true }, signal });
}

const matched = ({ score, ...given }) => ({ score, track: normal(given) });

export const similarTracks = async ({ id, n }) => (await send("POST", "similar", { seeds: [id], n })).tracks.map(matched);
export const similarToFile = async (file, n) => (await upload("similar", file, { n })).tracks.map(matched);
export const playlist = async given => (await send("POST", "playlist", given)).tracks.map(matched);
export const stats = () => get("stats");
export const map = async () => (await get("map")).points.map(({ x, y, ...given }) => ({ x, y, track: normal(given) }));
export const manifestAddress = () => address("corrections");
export const playlistFile = tracks => send("POST", "playlist", { tracks: tracks.map(t => t.id) }, { accept: "audio/x-mpegurl" });
