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

/** Where the library's folders are, so that tracks are shown by their place in them. */
export async function learnRoots() {
  try { roots = (await stats()).roots.toSorted((a, b) => b.length - a.length); } catch { roots = []; }
}

/** Tracks that fit: { search, label, sure: all | sure | unsure | fixed, sort, offset, limit }. */
export async function find({ search = "", label = "", sure = "all", sort = "path", offset = 0, limit = 50 }, options) {
  const page = await get("tracks", { search, label, unsure: { sure: false, unsure: true }[sure], corrected: sure === "fixed" ? true : undefined, sort, offset, limit }, options);
  return { ...page, tracks: page.tracks.map(normal) };
}

export const track = async (id, options) => normal(await get(`tracks/${id}`, {}, options));

/** Hear all of a track again, for its timeline and spectrogram. */
export const classify = (id, { signal } = {}) => send("POST", `tracks/${id}/classify`, undefined, { params: { full: true, timeline: true, spectrogram: true }, signal });

const matched = ({ score, ...given }) => ({ score, track: normal(given) });

export const similarTracks = async ({ id, n }) => (await send("POST", "similar", { tracks: [id], n })).tracks.map(matched);
export const similarToFile = async (file, n) => (await upload("similar", file, { n })).tracks.map(matched);

/** One of { tracks }, { tracks, to } and { mood }, with n and per_artist. */
export const playlist = async given => (await send("POST", "playlist", given)).tracks.map(matched);
export const playlistFile = tracks => send("POST", "playlist", { list: tracks.map(one => one.id) }, { accept: "audio/x-mpegurl" });

export const stats = () => get("stats");
export const map = async () => (await get("map", { format: "json" })).points.map(({ x, y, ...given }) => ({ x, y, track: normal(given) }));

export const keep = (id, label) => send("PUT", `tracks/${id}/correction`, { label });
export const takeBack = id => send("DELETE", `tracks/${id}/correction`);
export const manifestAddress = () => address("corrections");
