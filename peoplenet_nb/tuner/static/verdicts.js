// Boxes that are right, false or missed, told apart by line and sign, not only by colour.
//
// Right: the box as ever, and a tick in a disc. False: dashed, and a cross in a square. Missed: the labelled box,
// dotted, and a bar in a diamond. Colours are of Okabe and Ito's set, which every kind of sight tells apart.

import { DARK, INK, strokeTwice, unitOf } from "./pen.js";
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
  const unit = unitOf(canvas);
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
  context.beginPath();
  context.rect(Math.round(x1), Math.round(y1), Math.round(x2 - x1), Math.round(y2 - y1));
  strokeTwice({ context, unit }, colour, 2.5, { dash, halo: 1.5 });
}

/** The sign of a kind, centred on the lower right corner of a box. */
export function sign(context, x, y, kind, unit, radius = 7) {
  const { colour, shape } = SIGNS[kind];
  if (!shape) return;
  const r = radius * unit;
  context.beginPath();
  if (shape === "disc") context.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === "square") context.rect(x - r, y - r, 2 * r, 2 * r);
  else {
    for (const [dx, dy] of [[0, -1], [1, 0], [0, 1], [-1, 0]]) context.lineTo(x + 1.25 * dx * r, y + 1.25 * dy * r);
    context.closePath();
  }
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
  context.strokeStyle = DARK;
  context.stroke();
}
