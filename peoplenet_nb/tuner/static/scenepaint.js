// The lines and zones over the picture, on a layer of their own.

import { paintCross } from "./paint.js";
import { fontOf, INK, path, penOn, strokeTwice } from "./pen.js";
import { arrowOf } from "./scene.js";

const SCENE_COLOURS = { line: "#ffd23f", zone: "#5ad1ff" };

/**
 * @param {SceneEditor} editor what there is, and what is being drawn
 * @param {boolean} drawing whether points can be taken hold of
 * @param cursor {x, y} of the keyboard's pointer, or null
 * @param counted what was counted, by name
 */
export function paintScene(canvas, zoom, editor, { drawing, cursor, counted }) {
  const pen = penOn(canvas, zoom);
  pen.context.lineJoin = pen.context.lineCap = "round";
  editor.shapes.forEach((shape, index) => paintShape(pen, shape, drawing && index === editor.selected));
  if (editor.draft) paintDraft(pen, editor.draft);
  for (const shape of editor.shapes) plate(pen, zoom, shape, counted[shape.name] ?? "");
  if (cursor) paintCross(pen, cursor, 10);
}

function paintShape(pen, shape, selected) {
  const { context } = pen;
  const colour = SCENE_COLOURS[shape.kind];
  path(pen, shape.points, shape.kind === "zone");
  if (shape.kind === "zone") {
    context.globalAlpha = selected ? 0.16 : 0.08;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
  }
  strokeTwice(pen, colour, selected ? 3 : 2);
  if (shape.kind === "line") paintArrow(pen, shape, colour);
  if (selected) for (const point of shape.points) knob(pen, point, "white");
}

function paintArrow(pen, shape, colour) {
  const { context, scale, unit } = pen;
  const [from, to] = arrowOf(shape, (34 * unit) / scale);
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const barb = (side) => [to[0] - 0.3 * dx + side * 0.22 * dy, to[1] - 0.3 * dy - side * 0.22 * dx];
  context.beginPath();
  for (const run of [[from, to], [barb(1), to, barb(-1)]]) {
    run.forEach(([x, y], i) => (i ? context.lineTo(x * scale, y * scale) : context.moveTo(x * scale, y * scale)));
  }
  strokeTwice(pen, colour, 2);
  const word = [to[0] + 0.35 * dx, to[1] + 0.35 * dy].map((v) => v * scale);
  context.font = fontOf(12, unit, 600);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4 * unit;
  context.strokeStyle = INK;
  context.strokeText("in", ...word);
  context.fillStyle = colour;
  context.fillText("in", ...word);
  context.textAlign = "start";
}

function paintDraft(pen, { kind, points, end }) {
  const colour = SCENE_COLOURS[kind];
  path(pen, end ? [...points, end] : points);
  strokeTwice(pen, colour, 2, { dash: kind === "zone" ? [6, 5] : [] });
  if (kind === "line") paintArrow(pen, { points }, colour);
  points.forEach((point, i) => knob(pen, point, kind === "zone" && i === 0 ? colour : "white"));
}

function knob({ context, scale, unit }, [x, y], colour) {
  context.beginPath();
  context.arc(x * scale, y * scale, 5 * unit, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 1.5 * unit;
  context.strokeStyle = INK;
  context.stroke();
}

/** The name of a shape, and what was counted there: beyond its first point, away from the rest, in the picture. */
function plate({ context, scale, unit }, zoom, { kind, name, points }, counted) {
  const text = counted ? `${name}: ${counted}` : name;
  context.font = fontOf(12, unit, 600);
  context.textBaseline = "middle";
  const [width, height] = [context.measureText(text).width + 10 * unit, 18 * unit];
  const rest = points.slice(1, kind === "line" ? 2 : undefined);
  const away = [0, 1].map((axis) => points[0][axis] - rest.reduce((sum, point) => sum + point[axis], 0) / rest.length);
  const [dx, dy] = away.map((v) => v / (Math.hypot(...away) || 1));
  const out = Math.min(width / Math.abs(dx), height / Math.abs(dy)) / 2 + 9 * unit; // the point is at its edge
  const [x, y] = [points[0][0] * scale + dx * out - width / 2, points[0][1] * scale + dy * out - height / 2];
  const [left, top] = [Math.round(zoom.x * scale), Math.round(zoom.y * scale)];
  const [right, low] = [left + context.canvas.width, top + context.canvas.height];
  if (x > right || y > low || x + width < left || y + height < top) return;
  const at = [Math.min(Math.max(x, left), right - width), Math.min(Math.max(y, top), low - height)];
  context.fillStyle = INK;
  context.fillRect(...at, width, height);
  context.fillStyle = SCENE_COLOURS[kind];
  context.fillText(text, at[0] + 5 * unit, at[1] + height / 2 + unit / 2);
}
