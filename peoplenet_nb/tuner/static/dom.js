// Elements and small helpers of the page.
//
// Every control is a real button, select or labelled canvas, so that keyboards and screen readers find it;
// nothing is written as HTML text, so that a label can hold any character.

import { HEAT_GRADIENT, HEAT_TICKS } from "./heat.js";

/** Make an element: `h("button", { class: "x", onclick: f }, "text", child)`. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A button; `title` says what it does. */
export function button(text, title, action, more = {}) {
  return h("button", { type: "button", class: "pnb-button", title, onclick: action, ...more }, text);
}

/** The toggles: name, key, what the button says, what it does. */
export const TOGGLES = [
  ["boxes", "b", "Boxes", "Final boxes"],
  ["labels", "l", "Labels", "Class and confidence at each box"],
  ["heatmap", "h", "Heatmap", "Coverage of the chosen class, one square a cell, on a logarithmic scale"],
  ["grid", "g", "Grid", "The network's cells"],
  ["candidates", "c", "Candidates", "Boxes of all cells above their threshold, faint"],
  ["verdicts", "v", "Right/false", "Boxes that are right, false or missed by the labels"],
  ["suppressed", "s", "Suppressed", "Dashed: boxes that lost, with a line to the box that they lost to"],
];

export const CLUSTERINGS = ["nms", "dbscan", "hybrid"];
export const FLAVOURS = ["tao", "deepstream"];
export const SCORES = ["max", "sum"];
const PER_CLASS = ["threshold", "min_width", "min_height", "min_confidence"];
const SHARED = ["nms_iou", "eps", "min_samples", "top_k", "more", "clustering", "flavour", "score"];

/** The names of all traits that are settings. */
export function settingNames(classes) {
  const names = [...SHARED];
  for (const name of PER_CLASS) for (let c = 0; c < classes; c++) names.push(`${name}_${c}`);
  return names;
}

// Sliders step in binary fractions: 0.30500000000000005 is meant as 0.305, here and in Python alike.
const tidy = (value) => Math.round(value * 1e6) / 1e6;

/** The settings that the model's traits hold, as Python's wire.py has them. */
export function numbersOf(model, classes) {
  const numbers = {
    nms_iou: tidy(model.get("nms_iou")),
    eps: tidy(model.get("eps")),
    min_samples: tidy(model.get("min_samples")),
    top_k: model.get("top_k") || null,
    more: model.get("more"),
    clustering: CLUSTERINGS[model.get("clustering")],
    flavour: FLAVOURS[model.get("flavour")],
    score: SCORES[model.get("score")],
  };
  for (const name of PER_CLASS) {
    numbers[name] = Array.from({ length: classes }, (_, c) => tidy(model.get(`${name}_${c}`)));
  }
  return numbers;
}

/** The controls that do nothing under the chosen clustering, by the traits that switch them off. */
export function idleNow(model) {
  const clustering = CLUSTERINGS[model.get("clustering")];
  const none = !model.get("shape").hasBoxes;
  return {
    idle_nms: none || clustering === "dbscan",
    idle_dbscan: none || clustering === "nms",
    idle_score: none || clustering !== "dbscan",
  };
}

/** Give a canvas as many pixels as it covers on the screen, at most `limit` wide. @returns whether it changed */
export function fitCanvas(canvas, width, height, limit = 1600) {
  const ratio = Math.min(window.devicePixelRatio || 1, limit / Math.max(1, width));
  const [w, h_] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width === w && canvas.height === h_) return false;
  canvas.width = w;
  canvas.height = h_;
  return true;
}

/** Write text only where it differs: an unchanged node costs no layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** One picture with its layers. */
export class Stage {
  constructor(caption) {
    this.layers = {};
    for (const name of ["picture", "heat", "grid", "scene", "overlay", "pointer"]) {
      this.layers[name] = h("canvas", { class: `pnb-layer pnb-${name}`, "aria-hidden": "true" });
    }
    this.caption = h("figcaption", { class: "pnb-caption" }, caption);
    this.box = h("div", { class: "pnb-stage", role: "img" }, ...Object.values(this.layers));
    this.element = h("figure", { class: "pnb-figure" }, this.box, this.caption);
  }

  /** Take the proportions of the frame; how high it may be the style sheet says. */
  shapeLike({ frameSize: [width, height] }) {
    this.box.style.setProperty("--pnb-ratio", width / height);
  }

  /** Show the layers that are asked for; the heatmap, one pixel a cell, may reach beyond a letterboxed frame. */
  show(view, { frameSize, cols, rows, stride, scale }, { factor, x, y }) {
    const { heat, grid } = this.layers;
    heat.hidden = !view.heatmap;
    grid.hidden = !view.grid;
    const percent = (value, size) => `${(100 * factor * value) / size}%`;
    heat.style.width = percent(cols * stride * scale[0], frameSize[0]);
    heat.style.height = percent(rows * stride * scale[1], frameSize[1]);
    heat.style.left = percent(-x, frameSize[0]);
    heat.style.top = percent(-y, frameSize[1]);
  }

  fit() {
    const { clientWidth, clientHeight } = this.box;
    if (!clientWidth) return false;
    let changed = false;
    for (const name of ["picture", "grid", "overlay", "scene", "pointer"]) {
      changed = fitCanvas(this.layers[name], clientWidth, clientHeight) || changed;
    }
    return changed;
  }
}

/** Which colour of the heatmap is which coverage. */
export class Legend {
  constructor() {
    this.name = h("span", {});
    const ticks = HEAT_TICKS.map(([text, place]) => h("span", { style: `left:${place}%` }, text));
    const bar = h("div", { class: "pnb-scale", style: `background:${HEAT_GRADIENT}` });
    this.element = h("div", { class: "pnb-legend", hidden: "" }, this.name, h("div", {}, bar, h("div", { class: "pnb-ticks" }, ...ticks)));
  }

  show(on, label) {
    this.element.hidden = !on;
    setText(this.name, `Coverage of ${label}`);
  }
}
