// Runs in the audio thread: takes the microphone's samples and hands them over in blocks of about a twentieth of a second.
class Tap extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(sampleRate / 20 / 128) * 128;
    this.block = new Float32Array(this.size);
    this.filled = 0;
  }

  process([input]) {
    if (!input.length) return true;
    for (let i = 0; i < input[0].length; i++) {
      let sum = 0;
      for (const channel of input) sum += channel[i];
      this.block[this.filled++] = sum / input.length;
      if (this.filled === this.size) {
        this.port.postMessage(this.block, [this.block.buffer]);
        this.block = new Float32Array(this.size);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("tap", Tap);
