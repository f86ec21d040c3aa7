// Talking to the server. Every failure becomes an ApiError whose message is the server's own sentence.

export class ApiError extends Error {
  constructor(status, body = {}, retryAfter = null) {
    super(body.detail || body.title || `The server answered with ${status}.`);
    this.status = status;
    this.title = body.title;
    this.code = body.code ?? body.problem ?? null;
    this.retryAfter = retryAfter;
  }
}

const AWAY = { title: "The server does not answer", detail: "Look whether “earmark serve” is still running, then try again." };
const listeners = new Set();
let online = true;

/** Called with true or false when the server is found or lost. */
export const onConnection = run => listeners.add(run);

function seen(now) {
  if (now !== online) { online = now; for (const run of listeners) run(now); }
}

export function address(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return `v1/${path}${text ? `?${text}` : ""}`;
}

function asError(status, text, retryAfter) {
  let body = {};
  try { body = JSON.parse(text); } catch { /* Not from the API, so there is no sentence in it. */ }
  return new ApiError(status, typeof body === "object" && body ? body : {}, retryAfter ? Number(retryAfter) : null);
}

async function ask(path, params, options) {
  let answer;
  try {
    answer = await fetch(address(path, params), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    seen(false);
    throw new ApiError(0, AWAY);
  }
  seen(true);
  if (!answer.ok) throw asError(answer.status, await answer.text(), answer.headers.get("Retry-After"));
  return answer;
}

export const get = async (path, params, options = {}) => (await ask(path, params, options)).json();

export async function send(method, path, body, { params, accept, signal } = {}) {
  const headers = accept ? { Accept: accept } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await ask(path, params, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 204) return null;
  return answer.headers.get("Content-Type")?.includes("json") ? answer.json() : answer.text();
}

/** Upload one file. `progress` gets the share that was sent; fetch cannot tell it, so this is an XMLHttpRequest. */
export function upload(path, file, params, { progress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path, params));
    request.upload.onprogress = event => progress?.(event.total ? event.loaded / event.total : 1);
    request.upload.onload = () => progress?.(1);
    request.onload = () => {
      seen(true);
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(asError(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => { seen(false); reject(new ApiError(0, AWAY)); };
    request.onabort = () => reject(new DOMException("Aborted", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
  });
}

/** Trade the server's token for the page's cookie. */
export async function signIn(token) {
  await ask("session", {}, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
}

export function socketAddress(path) {
  const url = new URL(`v1/${path}`, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

export const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, seconds * 1000);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(new DOMException("Aborted", "AbortError")); });
});
