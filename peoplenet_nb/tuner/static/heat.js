// Coverage as colour, on a logarithmic scale: a face at 0.03 must be seen beside a person at 0.9.
//
// viridis steps evenly to the eye, and so do equal ratios of coverage along it; the legend shows which is which.

export const FAINTEST = 0.005; // the lowest threshold of any preset; cells below it stay clear
const TICKS = [0.005, 0.02, 0.1, 0.3, 1];

// Anchors of matplotlib's viridis (CC0), evenly spaced.
const VIRIDIS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

export function viridis(value) {
  const at = Math.min(1, Math.max(0, value)) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(at));
  return VIRIDIS[low].map((v, i) => Math.round(v + (at - low) * (VIRIDIS[low + 1][i] - v)));
}

/** Where on the scale a coverage stands: 0 at the faintest that is shown, 1 at a coverage of 1; below 0 unseen. */
export function heatPosition(coverage) {
  return coverage > 0 ? Math.min(1, 1 - Math.log(coverage) / Math.log(FAINTEST)) : -1;
}

/** One pixel a cell, in the colours of the legend. */
export function paintHeat(canvas, frame, c) {
  const { rows, cols } = frame.shape;
  canvas.width = cols;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(cols, rows);
  for (let e = frame.starts[c]; e < frame.starts[c + 1]; e++) {
    const place = heatPosition(frame.coverage[e]);
    if (place < 0) continue;
    const at = 4 * (frame.cell(e) % frame.perClass);
    image.data.set(viridis(place), at);
    image.data[at + 3] = 255 * (0.45 + 0.3 * place);
  }
  context.putImageData(image, 0, 0);
}

/** The colours as a CSS gradient. */
export const HEAT_GRADIENT = `linear-gradient(to right, ${VIRIDIS.map((rgb) => `rgb(${rgb})`).join(", ")})`;

/** `[text, per cent]` of the legend's ticks. */
export const HEAT_TICKS = TICKS.map((value) => [String(value), 100 * heatPosition(value)]);
