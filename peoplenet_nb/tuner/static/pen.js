// What everything that is drawn on a canvas shares: the size of a CSS pixel, letters, and lines seen on any picture.

export const INK = "rgba(12, 12, 16, 0.85)";
export const DARK = "#101014"; // of letters on a bright plate

/** How many of a canvas's pixels a CSS pixel is. */
export const unitOf = (canvas) => canvas.width / Math.max(1, canvas.clientWidth || canvas.width);

/** A font of so many CSS pixels. */
export const fontOf = (size, unit, weight = "") => `${weight} ${Math.round(size * unit)}px system-ui, sans-serif`.trim();

/** Begin to draw on a layer, in frame pixels times `scale`. @returns {{context, scale: number, unit: number}} */
export function penOn(canvas, zoom) {
  return { scale: zoom.apply(canvas), context: canvas.getContext("2d"), unit: unitOf(canvas) };
}

/** Begin a path through points of the frame. */
export function path({ context, scale }, points, closed = false) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x * scale, y * scale);
  if (closed) context.closePath();
}

/** Stroke the path twice, dark and `halo` wider below, so that it is seen on any picture; a dash is the upper one's. */
export function strokeTwice({ context, unit }, colour, width, { dash = [], halo = 3, dark = INK } = {}) {
  for (const [style, more, pattern] of [
    [dark, halo, []],
    [colour, 0, dash],
  ]) {
    context.setLineDash(pattern.map((v) => v * unit));
    context.strokeStyle = style;
    context.lineWidth = (width + more) * unit;
    context.stroke();
  }
  context.setLineDash([]);
}
