// Seeds for a playlist, kept by the browser between visits.
const KEY = "earmark.seeds", MOST = 20;
let seeds = [];
try { seeds = JSON.parse(localStorage.getItem(KEY) ?? "[]").filter(s => Number.isInteger(s?.id) && typeof s.name === "string"); } catch { seeds = []; }

const keep = () => { try { localStorage.setItem(KEY, JSON.stringify(seeds)); } catch { /* Then they last until the page is closed. */ } };

export const all = () => [...seeds];
export const has = id => seeds.some(seed => seed.id === id);
export const remove = id => { seeds = seeds.filter(seed => seed.id !== id); keep(); };
export const clear = () => { seeds = []; keep(); };

export function add(track) {
  if (!has(track.id)) seeds = [...seeds, { id: track.id, name: [track.title ? track.artist : null, track.title || track.name].filter(Boolean).join(" – ") }].slice(-MOST);
  keep();
}
