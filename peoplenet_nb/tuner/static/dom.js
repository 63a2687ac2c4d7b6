// Elements and small helpers of the page.
//
// One decision to know: every control is a real button, select or labelled canvas, so that keyboards and
// screen readers find it; nothing is written as HTML text, so that a label can hold any character.

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

/** The toggles: name, key, what the button says, what it does. */
export const TOGGLES = [
  ["boxes", "b", "Boxes", "Final boxes"],
  ["labels", "l", "Labels", "Class and confidence at each box"],
  ["heatmap", "h", "Heatmap", "Coverage of the chosen class, one square a cell"],
  ["grid", "g", "Grid", "The network's cells"],
  ["candidates", "c", "Candidates", "Boxes of all cells above their threshold, faint"],
  ["suppressed", "s", "Suppressed", "Dashed: boxes that lost, with a line to the box that they lost to"],
];

export const CLUSTERINGS = ["nms", "dbscan", "hybrid"];
export const FLAVOURS = ["tao", "deepstream"];
export const SCORES = ["max", "sum"];
const PER_CLASS = ["threshold", "min_width", "min_height", "min_confidence"];
const SHARED = ["nms_iou", "eps", "min_samples", "top_k", "clustering", "flavour", "score"];

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
    clustering: CLUSTERINGS[model.get("clustering")],
    flavour: FLAVOURS[model.get("flavour")],
    score: SCORES[model.get("score")],
  };
  for (const name of PER_CLASS) {
    numbers[name] = Array.from({ length: classes }, (_, c) => tidy(model.get(`${name}_${c}`)));
  }
  return numbers;
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
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** One picture with its layers. */
export class Stage {
  constructor(caption) {
    this.layers = {};
    for (const name of ["picture", "heat", "grid", "overlay", "pointer"]) {
      this.layers[name] = h("canvas", { class: `pnb-layer pnb-${name}`, "aria-hidden": "true" });
    }
    this.caption = h("figcaption", { class: "pnb-caption" }, caption);
    this.box = h("div", { class: "pnb-stage", role: "img" }, ...Object.values(this.layers));
    this.element = h("figure", { class: "pnb-figure" }, this.box, this.caption);
  }

  /** Take the proportions of the frame, and place the heatmap, which may reach beyond a letterboxed frame. */
  shapeLike({ frameSize, cols, rows, stride, scale }) {
    this.box.style.aspectRatio = `${frameSize[0]} / ${frameSize[1]}`;
    // Not higher than what leaves room for the charts below it on the screen.
    this.box.style.maxWidth = `${Math.round((62 * frameSize[0]) / frameSize[1])}vh`;
    this.layers.heat.style.width = `${(100 * cols * stride * scale[0]) / frameSize[0]}%`;
    this.layers.heat.style.height = `${(100 * rows * stride * scale[1]) / frameSize[1]}%`;
  }

  fit() {
    const { clientWidth, clientHeight } = this.box;
    if (!clientWidth) return false;
    let changed = false;
    for (const name of ["picture", "grid", "overlay", "pointer"]) {
      changed = fitCanvas(this.layers[name], clientWidth, clientHeight) || changed;
    }
    return changed;
  }
}
