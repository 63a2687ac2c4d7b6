// Boxes that are right, false or missed, told apart by line and sign, not only by colour.
//
// Right: the box as ever, and a tick in a disc. False: dashed, and a cross in a square. Missed: the labelled box,
// dotted, and a bar in a diamond. Colours are of Okabe and Ito's set, which every kind of sight tells apart.

import { INK } from "./paint.js";
import { Verdict } from "./truths.js";

export const SIGNS = {
  right: { colour: "#009e73", dash: [], shape: "disc", text: "right" },
  false: { colour: "#d55e00", dash: [7, 4], shape: "square", text: "false" },
  missed: { colour: "#f0e442", dash: [1.5, 3.5], shape: "diamond", text: "missed" },
  ignored: { colour: "#b0b4ba", dash: [2, 6], shape: null, text: "not judged" },
};
const KIND = { [Verdict.RIGHT]: "right", [Verdict.FALSE]: "false", [Verdict.IGNORED]: "ignored" };

/**
 * Mark the boxes of a frame.
 * @param {HTMLCanvasElement} canvas that has the boxes already
 * @param judged {verdict, missed} of `matchFrame`
 */
export function paintVerdicts(canvas, zoom, detections, judged, truths) {
  const context = canvas.getContext("2d");
  const scale = (canvas.width * zoom.factor) / zoom.width; // as `zoom.apply` left it
  const unit = canvas.width / Math.max(1, canvas.clientWidth || canvas.width);
  const marked = [];
  for (let i = 0; i < detections.count; i++) {
    if (judged.verdict[i]) marked.push([KIND[judged.verdict[i]], detections.xyxy.subarray(4 * i, 4 * i + 4)]);
  }
  for (const r of judged.missed) marked.push(["missed", truths.box(r)]);
  for (const [kind, box] of marked) if (kind !== "right") outline(context, Array.from(box, (v) => v * scale), SIGNS[kind], unit);
  for (const [kind, box] of marked) sign(context, box[2] * scale, box[3] * scale, kind, unit);
}

function outline(context, [x1, y1, x2, y2], { colour, dash }, unit) {
  context.lineCap = "butt";
  for (const [width, style, pattern] of [
    [4, INK, []],
    [2.5, colour, dash],
  ]) {
    context.setLineDash(pattern.map((v) => v * unit));
    context.lineWidth = width * unit;
    context.strokeStyle = style;
    context.strokeRect(Math.round(x1), Math.round(y1), Math.round(x2 - x1), Math.round(y2 - y1));
  }
  context.setLineDash([]);
}

/** The sign of a kind, centred on the lower right corner of a box. */
export function sign(context, x, y, kind, unit, radius = 7) {
  const { colour, shape } = SIGNS[kind];
  if (!shape) return;
  const r = radius * unit;
  context.beginPath();
  if (shape === "disc") context.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === "square") context.rect(x - r, y - r, 2 * r, 2 * r);
  else polygon(context, [[x, y - 1.25 * r], [x + 1.25 * r, y], [x, y + 1.25 * r], [x - 1.25 * r, y]]);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 1.5 * unit;
  context.strokeStyle = INK;
  context.stroke();
  const k = r * 0.5;
  context.beginPath();
  if (shape === "disc") {
    context.moveTo(x - k, y);
    context.lineTo(x - 0.2 * k, y + 0.8 * k);
    context.lineTo(x + 1.1 * k, y - 0.9 * k);
  } else if (shape === "square") {
    for (const side of [1, -1]) {
      context.moveTo(x - k, y - side * k);
      context.lineTo(x + k, y + side * k);
    }
  } else {
    context.moveTo(x - k, y);
    context.lineTo(x + k, y);
  }
  context.lineWidth = 2 * unit;
  context.strokeStyle = "#101014";
  context.stroke();
}

function polygon(context, points) {
  for (const [i, [x, y]] of points.entries()) {
    if (i) context.lineTo(x, y);
    else context.moveTo(x, y);
  }
  context.closePath();
}
