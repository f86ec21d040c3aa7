// Sound files out of what was dropped or chosen, folders included.

const SOUND = /\.(mp3|flac|wav|wave|ogg|oga|opus|m4a|m4b|mp4|aac|aif|aiff|aifc|wma|ape|wv|mka|webm|au|caf|mpc|tta|amr|ac3|mp2|spx)$/i;
/** More at once would keep the page and the server busy for longer than anybody waits. */
export const MOST = 500;

const isSound = file => SOUND.test(file.name) || file.type.startsWith("audio/");

/** From an input: of a folder only the sounds, of chosen files all (whoever chose one wants to know what is wrong with it). */
export function fromInput(input) {
  const files = [...input.files];
  return input.webkitdirectory ? files.filter(isSound) : files;
}

export async function fromDrop(transfer) {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  for (const entry of entries) await walk(entry, found, false);
  return found;
}

async function walk(entry, found, inside) {
  if (found.length > MOST) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file && (!inside || isSound(file))) found.push(file);
    return;
  }
  const reader = entry.createReader();
  // A reader gives at most a hundred entries at a time.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
    if (!some.length) return;
    for (const child of some.sort((a, b) => a.name.localeCompare(b.name))) await walk(child, found, true);
  }
}
