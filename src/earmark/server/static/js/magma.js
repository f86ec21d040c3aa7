// The colour map "magma" (S. van der Walt and N. Smith, CC0) at a few places, blended between them.
const STOPS = [[0, 0, 3], [20, 13, 53], [59, 15, 111], [100, 26, 128], [140, 41, 128], [183, 55, 121], [222, 73, 104], [247, 113, 92], [254, 159, 109], [254, 206, 145], [251, 252, 191]];

export const MAGMA = Array.from({ length: 256 }, (_, i) => {
  const place = i / 255 * (STOPS.length - 1), low = Math.min(STOPS.length - 2, Math.floor(place)), share = place - low;
  return STOPS[low].map((v, k) => Math.round(v + (STOPS[low + 1][k] - v) * share));
});
