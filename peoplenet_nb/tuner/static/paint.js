// Everything that is drawn over a frame, on layers of their own.
//
// Only the overlay is drawn again when a slider moves. The picture, the heatmap (one pixel a cell, enlarged by
// the style sheet) and the grid keep their own canvases. Many boxes are drawn as one path a class, without
// letters: thousands of labels could not be read and would cost the display's speed.

import { Fate } from "./decode.js";
import { placeLabels } from "./labels.js";
import { DARK, fontOf, INK, penOn, strokeTwice } from "./pen.js";

const FEW = 150; // up to here every box has a halo and its label
const FEW_DASHED = 400; // dashes are dear: beyond, suppressed boxes are plain thin lines

/** The network's cells as thin lines, every fifth a little stronger. */
export function paintGrid(canvas, shape, zoom) {
  const scale = zoom.apply(canvas);
  const context = canvas.getContext("2d");
  const [stepX, stepY] = shape.scale.map((v) => v * shape.stride * scale);
  for (const [colour, every] of [
    ["rgba(255,255,255,0.13)", 1],
    ["rgba(255,255,255,0.25)", 5],
  ]) {
    context.strokeStyle = colour;
    context.beginPath();
    for (let i = 0; i <= shape.cols; i += every) {
      context.moveTo(Math.round(i * stepX) + 0.5, 0);
      context.lineTo(Math.round(i * stepX) + 0.5, shape.rows * stepY);
    }
    for (let j = 0; j <= shape.rows; j += every) {
      context.moveTo(0, Math.round(j * stepY) + 0.5);
      context.lineTo(shape.cols * stepX, Math.round(j * stepY) + 0.5);
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
 * @param {Zoom} zoom which part of the frame
 * @param result of `decode`
 * @param view {boxes, labels, candidates, suppressed}
 * @param marks {only: Set of detections to mark, text} of an A/B comparison, or null
 */
export function paintOverlay(canvas, zoom, result, view, marks = null) {
  const { scale, context, unit } = penOn(canvas, zoom);
  if (result.frame.shape.hasBoxes && (view.candidates || view.suppressed)) {
    paintCandidates(context, result, view, scale, unit);
  }
  if (!view.boxes) return;
  paintBoxes(context, result, scale, unit, marks);
  if (view.labels && result.detections.count <= FEW) paintLabels(context, result, zoom, scale, unit, marks);
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

function paintBoxes(context, result, scale, unit, marks) {
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
}

function paintLabels(context, { detections, frame }, zoom, scale, unit, marks) {
  const { labels, colours } = frame.shape;
  const { xyxy, classId, confidence } = detections;
  const left = Math.round(zoom.x * scale);
  const top = Math.round(zoom.y * scale);
  const picture = [left, top, left + context.canvas.width, top + context.canvas.height];
  const boxOf = (i) => Array.from(xyxy.subarray(4 * i, 4 * i + 4), (v) => v * scale);
  const seen = ([x1, y1, x2, y2]) => x2 > picture[0] && x1 < picture[2] && y2 > picture[1] && y1 < picture[3];
  const order = Array.from(classId.keys())
    .filter((i) => seen(boxOf(i)))
    .sort((a, b) => confidence[b] - confidence[a]);
  const [large, small] = [12, 10].map((size) => fontOf(size, unit, 600));
  const formsOf = (i) => {
    const score = confidence[i].toFixed(2);
    const mark = marks?.only.has(i) ? `${marks.text} ` : "";
    return [
      formOf(context, `${mark}${labels[classId[i]]} ${score}`, large, 16 * unit, unit),
      formOf(context, score, small, 12 * unit, unit),
    ];
  };
  const forms = order.map(formsOf);
  context.textBaseline = "middle";
  placeLabels(order.map(boxOf), forms, picture).forEach((place, k) => {
    if (!place) return;
    const { text, font, width, height } = forms[k][place.form];
    context.fillStyle = colours[classId[order[k]]];
    context.fillRect(place.x, place.y, width, height);
    context.font = font;
    context.fillStyle = DARK;
    context.fillText(text, place.x + 3 * unit, place.y + height / 2 + unit / 2);
  });
}

const widths = new Map();

function formOf(context, text, font, height, unit) {
  const key = `${font}|${text}`;
  if (!widths.has(key)) {
    if (widths.size > 5000) widths.clear();
    context.font = font;
    widths.set(key, context.measureText(text).width);
  }
  return { text, font, width: widths.get(key) + 6 * unit, height };
}

/** The cell under the pointer, the box it predicts, and the box that it lost to. */
export function paintPointer(canvas, zoom, shape, reports, point = null) {
  const pen = penOn(canvas, zoom);
  const { scale, context } = pen;
  const stroke = (box, colour, dash) => {
    context.beginPath();
    rect(context, ...box.map((v) => v * scale));
    strokeTwice(pen, colour, 1.5, { dash, halo: 2 });
  };
  for (const report of reports) {
    const [w, h] = [shape.stride * shape.scale[0], shape.stride * shape.scale[1]];
    stroke([report.col * w, report.row * h, (report.col + 1) * w, (report.row + 1) * h], "#ffffff", []);
    if (report.xyxy) stroke(report.xyxy, shape.colours[report.class_id], [6, 3]);
    if (report.by) stroke(report.by, "#ffffff", [2, 2]);
  }
  if (point) paintCross(pen, point, 7);
}

/** A cross at a point of the frame. */
export function paintCross(pen, { x, y }, size) {
  const { context, scale, unit } = pen;
  const r = size * unit;
  context.beginPath();
  for (const [dx, dy] of [[r, 0], [0, r]]) {
    context.moveTo(x * scale - dx, y * scale - dy);
    context.lineTo(x * scale + dx, y * scale + dy);
  }
  strokeTwice(pen, "white", 2);
}
