// How labelled boxes look: sure ones drawn through, those in doubt dashed with a question mark, regions hatched.

import { DARK, fontOf, INK, penOn } from "./pen.js";

const GREY = "#d0d4da";
const HANDLE = 4; // CSS pixels, half of one

/**
 * @param {HTMLCanvasElement} canvas
 * @param {LabelWork} work
 * @param over the box under the pointer, or -1
 * @param drawn `{c, box}` that is being drawn or dragged, or null; with `i` it stands for that box
 */
export function paintLabelled(canvas, zoom, work, shape, over, drawn) {
  const looks = { ...penOn(canvas, zoom), shape };
  work.boxes.forEach((one, i) => {
    const now = drawn?.i === i ? { ...one, box: drawn.box, sure: true } : one;
    paintOne(looks, now, i === over, i === work.selected);
  });
  if (drawn && drawn.i === undefined) paintOne(looks, { ...drawn, sure: true }, false, true);
}

function paintOne({ context, scale, unit, shape }, { c, box, sure, score }, over, selected) {
  const [x1, y1, x2, y2] = box.map((v) => v * scale);
  const sides = [Math.round(x1), Math.round(y1), Math.round(x2 - x1), Math.round(y2 - y1)];
  const colour = c < 0 ? GREY : shape.colours[c];
  if (c < 0) hatch(context, sides, unit);
  context.setLineDash([]);
  context.lineWidth = (over || selected ? 6 : 4) * unit;
  context.strokeStyle = selected ? "#ffffff" : INK;
  context.strokeRect(...sides);
  context.setLineDash(sure ? [] : [6 * unit, 4 * unit]);
  context.lineWidth = (over ? 3 : 2) * unit;
  context.strokeStyle = colour;
  context.strokeRect(...sides);
  context.setLineDash([]);
  if (selected) {
    const half = HANDLE * unit;
    context.fillStyle = "#ffffff";
    for (const x of [x1, (x1 + x2) / 2, x2]) {
      for (const y of [y1, (y1 + y2) / 2, y2]) {
        if (x === (x1 + x2) / 2 && y === (y1 + y2) / 2) continue;
        context.fillRect(x - half, y - half, 2 * half, 2 * half);
      }
    }
  }
  const name = c < 0 ? "not judged" : shape.labels[c];
  if (!sure) nameOn(context, over ? `${name}? ${score.toFixed(2)}` : "?", x1, y1, colour, unit);
  else if (over || selected || c !== 0) nameOn(context, name, x1, y1, colour, unit);
}

function nameOn(context, text, x, y, colour, unit) {
  context.font = fontOf(12, unit, 600);
  const [width, height] = [context.measureText(text).width + 8 * unit, 16 * unit];
  const top = y - height < 0 ? y : y - height;
  context.fillStyle = colour;
  context.fillRect(x - unit, top, width, height);
  context.fillStyle = DARK;
  context.fillText(text, x + 3 * unit, top + 12 * unit);
}

function hatch(context, [x, y, width, height], unit) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.beginPath();
  for (let at = -height; at < width; at += 10 * unit) {
    context.moveTo(x + at, y + height);
    context.lineTo(x + at + height, y);
  }
  context.lineWidth = unit;
  context.strokeStyle = "rgba(255, 255, 255, 0.55)";
  context.stroke();
  context.restore();
}
