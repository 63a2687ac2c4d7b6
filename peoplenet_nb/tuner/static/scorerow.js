// What the settings are worth against labels: a table, the curve with the present point, and the signs on the boxes.
//
// The figures are part of every drawing where they can be had in time; what takes longer (the first listing of a clip,
// DBSCAN's boxes) goes on in small steps between two drawings, and old figures stand there, dimmed, meanwhile.

import { button, fitCanvas, h, setText } from "./dom.js";
import { ClipJudge } from "./judge.js";
import { fontOf, unitOf } from "./pen.js";
import { matchFrame, Truths } from "./truths.js";
import { paintVerdicts, sign, SIGNS } from "./verdicts.js";

const AT_ONCE = { nms: 30 }; // ms within a drawing
const ELSE_AT_ONCE = 6; // DBSCAN's figures begin anew with each move: few are had in time
const SLICE = 14; // ms between two looks at the page
const COLUMNS = ["class", "precision", "recall", "F1", "right", "false", "missed", "best F1"];
const figure = (value) => (Number.isNaN(value) ? "–" : value.toFixed(3));

export class ScoreRow {
  /** @param {TunerView} view @param truth what peoplenet_nb/tuner/truth.py sends */
  constructor(view, truth) {
    this.view = view;
    this.truths = new Truths(truth);
    this.judge = new ClipJudge(view.store.clip, this.truths);
    const { labels, colours } = view.shape;
    this.rows = this.truths.judged.map((c) => {
      const cells = COLUMNS.slice(1).map(() => h("td", {}, "–"));
      const title = `Set the ${labels[c]} threshold that gives the best F1`;
      const take = button("Set", title, view.guard(() => this.#take(c)), { class: "pnb-button pnb-take", "aria-label": title });
      const dot = h("span", { class: "pnb-dot", style: `background:${colours[c]}` });
      return { c, cells, take, element: h("tr", {}, h("th", { scope: "row" }, dot, labels[c]), ...cells, h("td", {}, take)) };
    });
    const head = h("tr", {}, ...COLUMNS.map((text) => h("th", { scope: "col" }, text)), h("th", {}));
    const table = h("table", {}, h("thead", {}, head), h("tbody", {}, ...this.rows.map((row) => row.element)));
    this.curve = h("canvas", { class: "pnb-curve", role: "img", "aria-label": "Precision over recall as the threshold falls, with the point of the settings" });
    this.note = h("div", { class: "pnb-summary" });
    this.here = h("div", { class: "pnb-signs", role: "status" }, ...["right", "false", "missed"].map((kind) => this.#key(kind)));
    this.element = h("div", { class: "pnb-scores" }, h("div", { class: "pnb-pane" }, table, this.note, this.here), this.curve);
  }

  #key(kind) {
    const canvas = h("canvas", { width: 40, height: 40, "aria-hidden": "true" });
    sign(canvas.getContext("2d"), 20, 20, kind, 2);
    this.signs ??= {};
    this.signs[kind] = h("span", {}, SIGNS[kind].text);
    return h("span", { class: `pnb-sign-${kind}` }, canvas, this.signs[kind]);
  }

  /** Sign the boxes of the frame on screen, where it is labelled. */
  mark(canvas, index, view) {
    const f = this.truths.number.get(index);
    this.here.classList.toggle("pnb-off", f === undefined);
    if (f === undefined) {
      for (const kind of Object.keys(this.signs)) setText(this.signs[kind], SIGNS[kind].text);
      return;
    }
    const { detections } = this.view.result;
    const judged = matchFrame(this.truths, f, detections);
    const of = (kind) => judged.verdict.reduce((sum, v) => sum + (v === kind), 0);
    const counts = { right: of(1), false: of(2), missed: judged.missed.length };
    for (const kind of Object.keys(this.signs)) setText(this.signs[kind], `${counts[kind]} ${SIGNS[kind].text}`);
    if (view.verdicts !== false) paintVerdicts(canvas, this.view.zoom, detections, judged, this.truths);
  }

  /** Bring the figures up to the settings; part of a drawing. */
  follow() {
    const { settings } = this.view;
    this.judge.start(settings);
    this.judge.step(AT_ONCE[settings.clustering] ?? ELSE_AT_ONCE);
    this.#show();
    if (!this.judge.finished) this.view.later("judge", 0, () => this.#goOn());
  }

  #goOn() {
    this.judge.step(SLICE);
    if (this.judge.finished) this.#show();
    else this.view.later("judge", 0, () => this.#goOn());
  }

  #show() {
    const { judge, view } = this;
    this.element.classList.toggle("pnb-old", !judge.finished);
    this.scores = new Map();
    for (const { c, cells, take } of this.rows) {
      const score = judge.score(c);
      if (!score) continue;
      this.scores.set(c, score);
      const { best } = score;
      const figures = [score.precision, score.recall, score.f1].map(figure);
      const at = Number.isNaN(best.confidence) ? "–" : `${figure(best.f1)} at ${this.#place(c).value}`;
      [...figures, score.right, score.wrong, score.missed, at].forEach((text, i) => setText(cells[i], String(text)));
      take.disabled = Number.isNaN(best.confidence);
      if (judge.finished) this.#mark(c, best);
    }
    if (judge.finished) Object.assign(view.stats, { scores: this.scores, scored: performance.now() });
    const frames = this.truths.frames.length;
    const under = view.settings.threshold.some((t) => t < view.model.get("floor"));
    const note = under ? ` Cells below ${view.model.get("floor")} are not counted here.` : "";
    setText(this.note, judge.finished ? `${frames} labelled frames, IoU 0.5.${note}` : `Judging ${frames} labelled frames …`);
    if (view.theme) this.#paintCurve(); // it is read anew with the next drawing
  }

  /** Where the best F1 of a class is: a threshold of NMS, else the least score, in the steps of their sliders. */
  #place(c) {
    const { clustering } = this.view.settings;
    const [name, steps] = clustering === "nms" ? ["threshold", 1000] : ["min_confidence", 100];
    const value = Math.floor(this.scores.get(c).best.confidence * steps + 1e-6) / steps;
    return { name, value };
  }

  #mark(c, best) {
    const { name, value } = this.#place(c);
    const at = Math.min(100, 100 * value).toFixed(2);
    const mark = name === "threshold" && best.f1 > 0 ? `<div class="pnb-best"><i style="left:${at}%"></i><span style="left:${at}%;transform:translateX(-${at}%)">best F1 ${figure(best.f1)}</span></div>` : "";
    if (this.view.model.get(`best_${c}`) !== mark) this.view.actions?.set(`best_${c}`, mark);
  }

  #take(c) {
    const { name, value } = this.#place(c);
    if (name === "threshold" && this.view.settings.minConfidence[c] > value) this.view.actions.set(`min_confidence_${c}`, 0);
    this.view.actions.set(`${name}_${c}`, value);
  }

  #paintCurve() {
    const { curve: canvas, view } = this;
    fitCanvas(canvas, canvas.clientWidth, canvas.clientHeight);
    const context = canvas.getContext("2d");
    const unit = unitOf(canvas);
    const { text, faint, line } = view.theme;
    const [left, top] = [30 * unit, 8 * unit];
    const [width, height] = [canvas.width - left - 10 * unit, canvas.height - top - 28 * unit];
    const at = ([recall, precision]) => [left + recall * width, top + (1 - precision) * height];
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.font = fontOf(11, unit);
    context.lineWidth = unit;
    context.strokeStyle = line;
    context.fillStyle = faint;
    context.beginPath();
    for (const tick of [0, 0.5, 1]) {
      for (const [a, b] of [[[tick, 0], [tick, 1]], [[0, tick], [1, tick]]]) {
        context.moveTo(...at(a));
        context.lineTo(...at(b));
      }
      const mark = String(tick);
      const wide = context.measureText(mark).width;
      context.fillText(mark, left - wide - 4 * unit, at([0, tick])[1] + 4 * unit);
      context.fillText(mark, at([tick, 0])[0] - wide / 2, top + height + 12 * unit);
    }
    context.stroke();
    context.fillText("recall → precision ↑", left + width / 2 - context.measureText("recall → precision ↑").width / 2, canvas.height - 4 * unit);
    for (const [c, score] of this.scores) {
      context.strokeStyle = view.shape.colours[c];
      context.lineWidth = 2 * unit;
      context.beginPath();
      for (const point of score.curve.points(300)) context.lineTo(...at(point));
      context.stroke();
    }
    for (const [c, { precision, recall }] of this.scores) {
      if (Number.isNaN(precision + recall)) continue;
      const [x, y] = at([recall, precision]);
      context.beginPath();
      context.arc(x, y, 5 * unit, 0, 2 * Math.PI);
      context.fillStyle = view.shape.colours[c];
      context.fill();
      context.lineWidth = 2 * unit;
      context.strokeStyle = text;
      context.stroke();
    }
  }
}
