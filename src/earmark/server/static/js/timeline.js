// The genres over time, as numbers.

/** Stretches of the timeline without overlap: the last window may reach back over the one before it. */
export function stretches(timeline) {
  let end = 0;
  return timeline.map(point => {
    const start = Math.max(point.start, end);
    end = point.start + point.seconds;
    const [label, confidence] = ranked(point.probabilities)[0];
    return { start, end, label, confidence, probabilities: point.probabilities };
  }).filter(s => s.end > s.start);
}

/** Genres by falling probability. */
export const ranked = probabilities => Object.entries(probabilities).sort((a, b) => b[1] - a[1]);

/** From which probability on a stretch is sure: none is, where the sound itself gives reason to doubt. */
export const sureFrom = (result, unsureBelow) => (result.doubt && result.doubt !== "between genres" ? Infinity : unsureBelow);
