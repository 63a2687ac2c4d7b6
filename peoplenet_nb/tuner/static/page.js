// The elements of the page and how they stand; what they do is in actions.js and view.js.

import { Histograms } from "./charts.js";
import { ClipRow } from "./cliprow.js";
import { button, h, Legend, Stage, TOGGLES } from "./dom.js";
import { Drawing } from "./drawing.js";
import { Inspector } from "./inspector.js";
import { ScoreRow } from "./scorerow.js";

const NO_KERNEL = "The kernel behind this panel is gone: boxes follow the sliders, nothing is saved. Run the cell again.";

/** Make a view's elements and put them on the page. @param {TunerView} view */
export function buildPage(view) {
  const { shape } = view;
  view.a = new Stage("A");
  view.b = new Stage("B: now");
  for (const stage of [view.a, view.b]) stage.shapeLike(shape);
  const truth = view.model.get("truth");
  view.scoreRow = view.store.clip && truth.frames ? new ScoreRow(view, truth) : null;
  view.toggles = TOGGLES.filter(([name]) => name !== "verdicts" || view.scoreRow).map(([name, key, text, title]) => [
    name,
    button(text, `${title} (key ${key})`, () => view.actions.toggle(name)),
  ]);
  const nameOf = (c) => (shape.dead[c] ? `${shape.labels[c]} (dead head)` : shape.labels[c]);
  const options = shape.labels.map((_, c) => h("option", { value: c }, nameOf(c)));
  view.classSelect = h("select", { class: "pnb-select", title: "Class of the heatmap and of what you click" }, ...options);
  view.classSelect.addEventListener("change", () => view.actions.setView({ class_id: Number(view.classSelect.value) }));
  view.pin = button("A/B", "Keep these settings as A and compare (key a)", () => view.actions.toggleCompare());
  view.whole = button("", "Show the whole frame (key 0, or double click)", () => view.actions.whole(), { class: "pnb-whole", hidden: "" });
  view.b.box.append(view.whole);
  view.summary = h("div", { class: "pnb-summary", role: "status" });
  view.final = h("div", { class: "pnb-final" });
  view.difference = h("div", { class: "pnb-summary" });
  view.legend = new Legend();
  view.histogram = h("canvas", { class: "pnb-histogram", role: "img", "aria-label": "Coverage of the cells of each class with its threshold; click to set it" });
  view.histograms = new Histograms(view.histogram);
  view.clipRow = view.store.clip ? new ClipRow(view) : null;
  view.inspector = new Inspector(shape, (c, value) => view.actions.set(`threshold_${c}`, value));
  view.gone = h("div", { class: "pnb-gone", role: "status", hidden: "" }, NO_KERNEL);
  view.trouble = h("div", { class: "pnb-trouble", role: "alert", hidden: "" });
  const toolbar = h("div", { class: "pnb-toolbar", role: "toolbar", "aria-label": "What is drawn" });
  toolbar.append(...view.toggles.map(([, one]) => one), h("label", { class: "pnb-class" }, "Class ", view.classSelect), view.pin);
  const line = h("div", { class: "pnb-line" }, view.summary, view.final);
  const stagesRow = h("div", { class: "pnb-stages" }, view.a.element, view.b.element);
  const [transport, ...clip] = view.clipRow?.elements ?? [];
  const details = h("div", { class: "pnb-details" }, ...(view.scoreRow ? [view.scoreRow.element] : []), view.inspector.element, ...clip, view.histogram);
  view.root = h("div", { class: "pnb-tuner", tabindex: "0", "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": "PeopleNet tuner" });
  view.drawing = new Drawing(view);
  toolbar.append(view.drawing.button);
  const main = h("div", {}, stagesRow, line, view.difference, view.legend.element, ...(transport ? [transport] : []), view.trouble);
  // Beside a tall picture there is room for what stands below a wide one.
  view.body = h("div", { class: shape.frameSize[1] > shape.frameSize[0] ? "pnb-tall" : "" }, main, details);
  view.root.append(view.gone, toolbar, view.drawing.bar, view.body);
  view.root.tunerStats = view.stats;
  view.el.append(view.root);
}
