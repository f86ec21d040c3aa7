// Numbers as people read them.

export const percent = p => (p > 0 && p < .005 ? "<1%" : `${Math.round(p * 100)}%`);

export function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–:––";
  const s = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(s / 60) % 60, hours = Math.floor(s / 3600), rest = String(s % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export function bytes(n) {
  for (const unit of ["bytes", "kB", "MB"]) {
    if (n < 1000) return `${n < 10 && unit !== "bytes" ? n.toFixed(1) : Math.round(n)} ${unit}`;
    n /= 1000;
  }
  return `${n.toFixed(1)} GB`;
}

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const capital = text => text.charAt(0).toUpperCase() + text.slice(1);

/** "a, b or c". */
export const listed = (items, word = "and") => items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} ${word} ${items.at(-1)}`;

export const stem = name => name.replace(/^.*[\\/]/, "").replace(/\.[^.]{1,5}$/, "");

/** A name that every file system takes. */
export const fileName = text => text.replace(/[^\p{L}\p{N} ._-]+/gu, "_").replace(/^\.+/, "").slice(0, 80).trim() || "earmark";

/** One cell of a CSV file. */
export function cell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
