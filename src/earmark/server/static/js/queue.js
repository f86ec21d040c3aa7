// Files on their way to an answer: sent two at a time, tried again when the server is busy.
import { pause, upload } from "./api.js";

const AT_ONCE = 2, TRIES = 6;

let number = 0;

export class Queue extends EventTarget {
  items = [];
  #running = 0;

  add(files) {
    const fresh = files.map(file => ({
      key: `file:${++number}`, file, name: file.name, src: URL.createObjectURL(file),
      state: "waiting", share: 0, result: null, error: null, whole: true, stop: new AbortController(),
    }));
    this.items.push(...fresh);
    this.#changed();
    this.#next();
    return fresh;
  }

  retry(item, { whole = item.whole } = {}) {
    Object.assign(item, { state: "waiting", share: 0, error: null, whole, stop: new AbortController() });
    this.#changed();
    this.#next();
  }

  clear() {
    for (const item of this.items) { item.stop.abort(); URL.revokeObjectURL(item.src); }
    this.items = [];
    this.#changed();
  }

  get done() { return this.items.filter(item => item.result); }
  get open() { return this.items.filter(item => !item.result && !item.error); }

  #changed() { this.dispatchEvent(new Event("change")); }

  #next() {
    while (this.#running < AT_ONCE) {
      const item = this.items.find(one => one.state === "waiting");
      if (!item) return;
      item.state = "sending";
      this.#running++;
      this.#hear(item).finally(() => { this.#running--; this.#changed(); this.#next(); });
      this.#changed();
    }
  }

  async #hear(item) {
    const params = item.whole ? { full: true, timeline: true, embedding: true, spectrogram: true } : { windows: 3, timeline: true, embedding: true };
    for (let attempt = 1; ; attempt++) {
      try {
        item.result = await upload("classify", item.file, params, {
          signal: item.stop.signal,
          progress: share => { item.share = share; item.state = share < 1 ? "sending" : "hearing"; this.#changed(); },
        });
        item.state = "done";
        return;
      } catch (error) {
        if (error.name === "AbortError") { item.state = "gone"; return; }
        if (error.status === 503 && attempt < TRIES) {
          Object.assign(item, { state: "busy", wait: error.retryAfter ?? 2, busy: error.message });
          this.#changed();
          try { await pause(item.wait, item.stop.signal); } catch { item.state = "gone"; return; }
          continue;
        }
        Object.assign(item, { state: "failed", error });
        return;
      }
    }
  }
}
