// The microphone as blocks of samples, and the connection that names them.
import { socketAddress } from "./api.js";

const REFUSED = {
  NotAllowedError: "The browser may not use the microphone. Allow it for this page (the symbol beside the address), then start again.",
  NotFoundError: "There is no microphone. Connect one, then start again.",
  NotReadableError: "The microphone is in use by another program. Close that, then start again.",
};

/**
 * Open microphone and connection.
 *
 * @param on  callbacks: moment(answer, latency in seconds), level(0 to 1), whole(answer for all of it), closed(error or null)
 * @returns   { stop, analyser, rate }
 */
export async function open(on) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("Browsers give the microphone only to pages of this machine (localhost) or over HTTPS. Open the page there.");
  }
  let stream;
  try {
    // What makes speech clearer spoils music.
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  } catch (error) {
    throw new Error(REFUSED[error.name] ?? `The microphone cannot be used (${error.message}).`);
  }
  const context = new AudioContext();
  let socket = null, ended = false, stopping = false;
  const release = () => { for (const track of stream.getTracks()) track.stop(); context.close().catch(() => {}); };
  try {
    await context.audioWorklet.addModule("static/js/listen-worklet.js");
    await context.resume();
    socket = await connect(context.sampleRate);
  } catch (error) {
    release();
    throw error;
  }
  const finish = error => {
    if (ended) return;
    ended = true;
    release();
    socket.close();
    on.closed(error);
  };
  const source = context.createMediaStreamSource(stream), tap = new AudioWorkletNode(context, "tap"), analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  analyser.smoothingTimeConstant = 0;
  analyser.minDecibels = -95; analyser.maxDecibels = -20;
  source.connect(analyser);
  source.connect(tap);

  // When the sound up to a second was complete here: the answer's latency counts from then.
  let sent = 0;
  const marks = [];
  tap.port.onmessage = ({ data }) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    let power = 0;
    for (const v of data) power += v * v;
    on.level(Math.sqrt(power / data.length));
    socket.send(data.buffer);
    sent += data.length;
    marks.push([sent / context.sampleRate, performance.now()]);
  };
  socket.onmessage = ({ data }) => {
    const said = JSON.parse(data);
    // Too little sound for a whole answer is no failure of listening.
    if (said.detail && stopping) return finish(null);
    if (said.detail) return finish(Object.assign(new Error(said.detail), { title: said.title, status: said.status }));
    if (said.whole) { on.whole(said.whole); return finish(null); }
    if (said.at === undefined) return;
    while (marks.length > 1 && marks[0][0] < said.at - 1e-6) marks.shift();
    on.moment(said, marks.length ? (performance.now() - marks[0][1]) / 1000 : null);
  };
  socket.onclose = event => finish(stopping ? null : new Error(event.reason || "The server ended the connection. Look whether “earmark serve” is still running."));
  stream.getAudioTracks()[0].addEventListener("ended", () => finish(new Error("The microphone was taken away. Connect it again, then start again.")));
  // The answer for all that was heard comes last; nobody waits long for it.
  const stop = () => {
    stopping = true;
    for (const track of stream.getTracks()) track.stop();
    tap.port.onmessage = null;
    if (socket.readyState !== WebSocket.OPEN) return finish(null);
    socket.send(JSON.stringify({ end: true }));
    setTimeout(() => finish(null), 3000);
  };
  return { stop, analyser, rate: context.sampleRate };
}

function connect(rate) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(socketAddress("listen"));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ sample_rate: rate, format: "f32le" }));
    // Sound that is sent before the server is ready would only have to be caught up with.
    socket.onmessage = ({ data }) => {
      const said = JSON.parse(data);
      if (said.detail) reject(new Error(said.detail)); else if (said.ready) resolve(socket);
    };
    socket.onclose = event => reject(new Error(event.reason || "The server does not take the connection. Look whether “earmark serve” is still running, then try again."));
  });
}
