// Everything that is drawn over a frame, on layers of their own.
//
// One decision to know: only the overlay is drawn again when a slider moves. The picture, the heatmap (one
// pixel a cell, enlarged by the style sheet) and the grid keep their own canvases. Many boxes are drawn as one
// path a class, without letters: thousands of labels could not be read and would cost the display's speed.

import { Fate } from "./decode.js";

const FEW = 150; // up to here every box has a halo and its label
const FEW_DASHED = 400; // dashes are dear: beyond, suppressed boxes are plain thin lines
const INK = "rgba(12, 12, 16, 0.85)";

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

/** One pixel a cell: brighter and denser where a class's coverage is higher. */
export function paintHeat(canvas, frame, c) {
  const { rows, cols } = frame.shape;
  canvas.width = cols;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(cols, rows);
  for (let e = frame.starts[c]; e < frame.starts[c + 1]; e++) {
    const coverage = Math.min(1, Math.max(0, frame.coverage[e]));
    const at = 4 * (frame.cell(e) % frame.perClass);
    image.data.set(viridis(coverage), at);
    image.data[at + 3] = 255 * 0.75 * Math.min(1, 0.15 + 1.2 * coverage);
  }
  context.putImageData(image, 0, 0);
}

/** The network's cells as thin lines, every fifth a little stronger. */
export function paintGrid(canvas, shape) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const stepX = (shape.stride * shape.scale[0] * canvas.width) / shape.frameSize[0];
  const stepY = (shape.stride * shape.scale[1] * canvas.height) / shape.frameSize[1];
  for (const [colour, every] of [
    ["rgba(255,255,255,0.13)", 1],
    ["rgba(255,255,255,0.25)", 5],
  ]) {
    context.strokeStyle = colour;
    context.beginPath();
    for (let i = 0; i <= shape.cols; i += every) {
      context.moveTo(Math.round(i * stepX) + 0.5, 0);
      context.lineTo(Math.round(i * stepX) + 0.5, canvas.height);
    }
    for (let j = 0; j <= shape.rows; j += every) {
      context.moveTo(0, Math.round(j * stepY) + 0.5);
      context.lineTo(canvas.width, Math.round(j * stepY) + 0.5);
    }
    context.stroke();
  }
}

function rect(context, x1, y1, x2, y2) {
  const left = Math.round(x1);
  const top = Math.round(y1);
  context.rect(left, top, Math.max(1, Math.round(x2) - left), Math.max(1, Math.round(y2) - top));
}

/**
 * Draw what the toggles ask for.
 * @param {HTMLCanvasElement} canvas
 * @param result of `decode`
 * @param view {boxes, labels, candidates, suppressed}
 * @param marks {only: Set of detections to mark, text} of an A/B comparison, or null
 */
export function paintOverlay(canvas, result, view, marks = null) {
  const context = canvas.getContext("2d");
  const unit = canvas.width / Math.max(1, canvas.clientWidth || canvas.width);
  context.clearRect(0, 0, canvas.width, canvas.height);
  const scale = canvas.width / result.frame.shape.frameSize[0];
  if (result.frame.shape.hasBoxes && (view.candidates || view.suppressed)) {
    paintCandidates(context, result, view, scale, unit);
  }
  if (view.boxes) paintBoxes(context, result, view, scale, unit, marks);
}

function paintCandidates(context, result, view, scale, unit) {
  const { frame, candidates } = result;
  const { box, shape } = frame;
  const sx = shape.scale[0] * scale;
  const sy = shape.scale[1] * scale;
  const lost = (i) => candidates.fate[i] === Fate.SUPPRESSED || candidates.fate[i] === Fate.MERGED;
  const dashed = view.suppressed && candidates.fate.filter((_, i) => lost(i)).length <= FEW_DASHED;
  for (const faint of [true, false]) {
    if (faint ? !view.candidates : !view.suppressed) continue;
    context.lineWidth = unit;
    context.globalAlpha = faint ? 0.35 : 0.8;
    context.setLineDash(!faint && dashed ? [5 * unit, 4 * unit] : []);
    shape.labels.forEach((_, c) => {
      context.strokeStyle = shape.colours[c];
      context.beginPath();
      forClass(candidates, frame, c, (i, e) => {
        if (candidates.fate[i] === Fate.EMPTY || (!faint && !lost(i))) return;
        rect(context, box.x1[e] * sx, box.y1[e] * sy, box.x2[e] * sx, box.y2[e] * sy);
      });
      context.stroke();
    });
  }
  context.setLineDash([]);
  if (view.suppressed) paintLines(context, result, sx, sy, unit);
  context.globalAlpha = 1;
}

function forClass(candidates, frame, c, visit) {
  for (let e = frame.starts[c]; e < frame.starts[c + 1]; e++) {
    const i = candidates.indexOf[e];
    if (i >= 0) visit(i, e);
  }
}

/** From the middle of each suppressed or merged box to the middle of the box that it lost to. */
function paintLines(context, { frame, candidates }, sx, sy, unit) {
  const { x1, y1, x2, y2 } = frame.box;
  context.strokeStyle = "white";
  context.globalAlpha = 0.7;
  context.lineWidth = unit;
  context.beginPath();
  for (let i = 0; i < candidates.count; i++) {
    if (candidates.by[i] < 0) continue;
    for (const [which, e] of [candidates.entry[i], candidates.entry[candidates.by[i]]].entries()) {
      const x = ((x1[e] + x2[e]) / 2) * sx;
      const y = ((y1[e] + y2[e]) / 2) * sy;
      if (which) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
  }
  context.stroke();
}

function paintBoxes(context, result, view, scale, unit, marks) {
  const { detections, frame } = result;
  const { labels, colours } = frame.shape;
  const { xyxy, classId, count } = detections;
  const few = count <= FEW;
  const strokeAll = (wanted, colour, width) => {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    for (let i = 0; i < count; i++) {
      if (!wanted(i)) continue;
      const at = 4 * i;
      rect(context, xyxy[at] * scale, xyxy[at + 1] * scale, xyxy[at + 2] * scale, xyxy[at + 3] * scale);
    }
    context.stroke();
  };
  if (few) strokeAll(() => true, INK, 4 * unit);
  labels.forEach((_, c) => strokeAll((i) => classId[i] === c, colours[c], (few ? 2 : 1) * unit));
  if (marks) {
    context.setLineDash([3 * unit, 3 * unit]);
    strokeAll((i) => marks.only.has(i), "white", 3 * unit);
    context.setLineDash([]);
  }
  if (!view.labels || !few) return;
  context.font = `600 ${Math.round(12 * unit)}px system-ui, sans-serif`;
  context.textBaseline = "alphabetic";
  // The weak first, so that the confident stand in front.
  const order = Array.from(classId.keys()).sort((a, b) => detections.confidence[a] - detections.confidence[b]);
  for (const i of order) {
    const mark = marks?.only.has(i) ? `${marks.text} ` : "";
    const text = `${mark}${labels[classId[i]]} ${detections.confidence[i].toFixed(2)}`;
    plate(context, text, xyxy[4 * i] * scale, xyxy[4 * i + 1] * scale, colours[classId[i]], unit);
  }
}

const widths = new Map();

function plate(context, text, left, top, colour, unit) {
  const key = `${context.font}|${text}`;
  if (!widths.has(key)) {
    if (widths.size > 5000) widths.clear();
    widths.set(key, context.measureText(text).width);
  }
  const width = widths.get(key) + 8 * unit;
  const height = 16 * unit;
  const x = Math.max(0, Math.min(left - unit, context.canvas.width - width));
  const y = Math.max(0, top - height);
  context.fillStyle = colour;
  context.fillRect(x, y, width, height);
  context.fillStyle = "#101014";
  context.fillText(text, x + 4 * unit, y + 12 * unit);
}

/** The cell under the pointer, the box it predicts, and the box that it lost to. */
export function paintPointer(canvas, shape, reports, point = null) {
  const context = canvas.getContext("2d");
  const unit = canvas.width / Math.max(1, canvas.clientWidth || canvas.width);
  const scale = canvas.width / shape.frameSize[0];
  context.clearRect(0, 0, canvas.width, canvas.height);
  const stroke = (box, colour, dash) => {
    context.setLineDash(dash.map((v) => v * unit));
    for (const [width, style] of [
      [3.5, "rgba(0,0,0,0.6)"],
      [1.5, colour],
    ]) {
      context.lineWidth = width * unit;
      context.strokeStyle = style;
      context.beginPath();
      rect(context, ...box.map((v) => v * scale));
      context.stroke();
    }
  };
  for (const report of reports) {
    const [w, h] = [shape.stride * shape.scale[0], shape.stride * shape.scale[1]];
    stroke([report.col * w, report.row * h, (report.col + 1) * w, (report.row + 1) * h], "#ffffff", []);
    if (report.xyxy) stroke(report.xyxy, shape.colours[report.class_id], [6, 3]);
    if (report.by) stroke(report.by, "#ffffff", [2, 2]);
  }
  context.setLineDash([]);
  if (!point) return;
  context.lineWidth = 2 * unit;
  context.strokeStyle = "white";
  context.beginPath();
  const [x, y, r] = [point.x * scale, point.y * scale, 7 * unit];
  context.moveTo(x - r, y);
  context.lineTo(x + r, y);
  context.moveTo(x, y - r);
  context.lineTo(x, y + r);
  context.stroke();
}
