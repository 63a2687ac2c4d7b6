// The two small charts: how coverage is spread, and how many boxes each frame of the clip has.
//
// Counts are drawn on a logarithmic scale, since thousands of empty cells stand beside
// the few that matter.

import { histogram } from "./explain.js";
import { fontOf, unitOf } from "./pen.js";

const BINS = 50;
const PAD = 4;

/** The theme's colours, as the style sheet resolved them. */
export function themeOf(element) {
  const style = getComputedStyle(element);
  return {
    text: style.getPropertyValue("--pnb-text").trim() || "#333",
    faint: style.getPropertyValue("--pnb-faint").trim() || "#888",
    line: style.getPropertyValue("--pnb-line").trim() || "#ccc",
  };
}

/** One histogram a class, side by side; remembers its bins until the frame changes. */
export class Histograms {
  constructor(canvas) {
    this.canvas = canvas;
    this.frame = null;
    this.bins = [];
  }

  /** Which class and threshold lie under a point in CSS pixels, or null. */
  at(x) {
    const classes = this.bins.length;
    const width = this.canvas.clientWidth / classes;
    const c = Math.min(classes - 1, Math.max(0, Math.floor(x / width)));
    const value = (x - c * width - PAD) / (width - 2 * PAD);
    return { c, value: Math.min(1, Math.max(0, value)) };
  }

  paint(frame, thresholds, theme) {
    if (this.frame !== frame) {
      this.frame = frame;
      this.bins = frame.shape.labels.map((_, c) => histogram(frame, c, BINS));
    }
    const { canvas, bins } = this;
    const context = canvas.getContext("2d");
    const unit = unitOf(canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.font = fontOf(11, unit);
    const width = canvas.width / bins.length;
    const pad = PAD * unit;
    const base = canvas.height - 14 * unit;
    const tallest = Math.log1p(Math.max(1, ...bins.map((counts) => Math.max(...counts))));
    bins.forEach((counts, c) => {
      const left = c * width + pad;
      const inner = width - 2 * pad;
      const bar = inner / BINS;
      const at = left + thresholds[c] * inner;
      counts.forEach((count, i) => {
        const height = (Math.log1p(count) / tallest) * (base - 16 * unit);
        context.globalAlpha = left + (i + 1) * bar <= at ? 0.3 : 1;
        context.fillStyle = frame.shape.colours[c];
        if (count) context.fillRect(left + i * bar, base - Math.max(unit, height), Math.max(1, bar - unit / 2), Math.max(unit, height));
      });
      context.globalAlpha = 1;
      context.fillStyle = theme.line;
      context.fillRect(left, base, inner, unit);
      context.fillStyle = theme.text;
      context.fillRect(at - unit, 14 * unit, 2 * unit, base - 14 * unit + 3 * unit);
      context.fillText(frame.shape.labels[c], left, 10 * unit);
      const text = thresholds[c].toFixed(3);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(left + inner - 2 * half, Math.max(left, at - half)), canvas.height - 2 * unit);
    });
  }
}

/** Boxes per frame, a class upon the other; a line for settings A; a mark at the frame on screen. */
export function paintStrip(canvas, counts, countsA, shape, frame, theme) {
  const context = canvas.getContext("2d");
  const unit = unitOf(canvas);
  const classes = shape.labels.length;
  const frames = counts.length / classes;
  context.clearRect(0, 0, canvas.width, canvas.height);
  const sums = (list) => Array.from({ length: frames }, (_, f) => {
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += list[f * classes + c];
    return sum;
  });
  const totals = sums(counts);
  const totalsA = countsA ? sums(countsA) : [];
  const most = Math.max(1, ...totals, ...totalsA);
  const step = canvas.width / frames;
  const top = 12 * unit;
  const tall = canvas.height - top;
  for (let c = 0; c < classes; c++) {
    context.fillStyle = shape.colours[c];
    context.beginPath();
    for (let f = 0; f < frames; f++) {
      let below = 0;
      for (let b = 0; b < c; b++) below += counts[f * classes + b];
      const height = (counts[f * classes + c] / most) * tall;
      const left = Math.round(f * step);
      const wide = Math.max(1, Math.round((f + 1) * step) - left - (step > 4 ? 1 : 0));
      if (height) context.rect(left, canvas.height - (below / most) * tall - height, wide, height);
    }
    context.fill();
  }
  if (countsA) {
    context.strokeStyle = theme.text;
    context.lineWidth = 1.5 * unit;
    context.beginPath();
    totalsA.forEach((total, f) => context.lineTo((f + 0.5) * step, canvas.height - (total / most) * tall));
    context.stroke();
  }
  const x = (frame + 0.5) * step;
  context.fillStyle = theme.text;
  context.fillRect(x - unit, 0, 2 * unit, canvas.height);
  context.font = fontOf(11, unit);
  const note = `${totals[frame] ?? 0} of at most ${most}`;
  const wide = context.measureText(note).width;
  context.fillText(note, x + wide + 8 * unit > canvas.width ? x - wide - 5 * unit : x + 5 * unit, 10 * unit);
}
