// The canvas widget's view: what is drawn when a trait changes, and what Python is sent.

import { Actions } from "./actions.js";
import { themeOf } from "./charts.js";
import { decodeAt } from "./clip.js";
import { stages } from "./decode.js";
import { fitCanvas, idleNow, numbersOf, setText, settingNames } from "./dom.js";
import { compare, settingsFrom } from "./explain.js";
import { paintHeat } from "./heat.js";
import { Paced } from "./paced.js";
import { buildPage } from "./page.js";
import { paintGrid, paintOverlay, paintPointer } from "./paint.js";
import { Zoom } from "./zoom.js";

const STILL = 80; // ms without a move after which the state goes to Python

export class TunerView extends Paced {
  constructor(model, el, store) {
    super();
    this.model = model;
    this.el = el;
    this.store = store;
    this.shape = store.shape;
    this.zoom = new Zoom(store.shape);
    // What tests and benchmarks read; `onpaint` is called after each drawing.
    this.stats = { paints: 0, painted: 0, cost: 0, onpaint: null, detections: () => this.result.detections, zoom: this.zoom };
    this.shown = { index: -1, frame: null, picture: undefined };
    this.pointer = null;
    buildPage(this);
    this.actions = new Actions(this);
    this.#listen();
    this.#setIdle();
    this.changed();
  }

  #listen() {
    const names = [...settingNames(this.shape.labels.length), "view", "settings_a", "revision"];
    for (const name of names) this.listenToModel(`change:${name}`, () => this.changed());
    this.listenToModel("change:frame", () => this.stepped());
    this.listenToModel("change:clustering", () => this.#setIdle());
    const sized = [this.a.box, this.b.box, this.clipRow?.strip, this.scoreRow?.curve, this.histogram].filter(Boolean);
    this.watch(() => this.model.get("frame"), sized);
    const themed = new MutationObserver(this.guard(() => {
      this.theme = null;
      if (this.clipRow) this.clipRow.shows = "";
      this.schedule();
    }));
    themed.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
    this.cleanups.push(() => themed.disconnect());
    // All changes of one press of a button or key are one step of undo.
    const begins = (event) => event.repeat || (this.gesture = performance.timeOrigin + event.timeStamp);
    for (const name of ["pointerdown", "keydown"]) this.listenTo(window, name, begins, { capture: true });
  }

  dispose() {
    this.actions.stop();
    super.dispose();
  }

  /** Switch off the controls that do nothing under the chosen clustering. */
  #setIdle() {
    for (const [name, idle] of Object.entries(idleNow(this.model))) this.model.set(name, idle);
    this.model.save_changes();
  }

  // -- when to draw -----------------------------------------------------------------------------------------

  changed() {
    this.movedBy = this.gesture;
    this.#whenStill();
    this.schedule();
  }

  /** Once nothing moves any more Python learns what is on screen, and the clip is counted. */
  #whenStill() {
    this.later("state", STILL, () => this.#sendState());
    this.later("count", STILL, () => this.#answerAnew());
  }

  /** Another frame: a video that plays never comes to rest, so Python learns of it every so often. */
  stepped() {
    if (!this.timers.has("state")) this.later("state", STILL, () => this.#sendState());
    this.schedule();
  }

  // -- what is drawn ----------------------------------------------------------------------------------------

  paint() {
    const started = performance.now();
    const { model, shape, shown, zoom } = this;
    const view = model.get("view");
    const index = Math.min(model.get("frame"), this.store.length - 1);
    const compared = Boolean(view.compare && model.get("settings_a")?.threshold);
    if (this.compared !== compared) {
      this.compared = compared;
      this.a.element.hidden = !compared;
      this.b.element.classList.toggle("pnb-alone", !compared);
      this.body.classList.toggle("pnb-two", compared);
    }
    const resized = [this.b.fit(), compared && this.a.fit()].some(Boolean);
    const held = this.store.get(index);
    if (!held.complete || (held.frame.shape && !held.picture && model.get("has_pictures"))) this.store.want(index, this.direction ?? 1);
    const moved = index !== shown.index;
    const other = held.frame !== shown.frame;
    if (moved) this.inspector.forget();
    if (shown.index < 0) this.#whenStill(); // what was to be sent before had nothing to send
    const numbers = numbersOf(model, shape.labels.length);
    const chosen = JSON.stringify(numbers) !== JSON.stringify(this.numbers);
    // What was worked out for some settings goes with their object (clip.js): it stays while they are the same.
    if (chosen) Object.assign(this, { numbers, settings: settingsFrom(numbers) });
    const decoded = (settings) => decodeAt(this.store.clip, index, held.frame, settings);
    if (chosen || moved || other) this.result = decoded(this.settings);
    if (compared) this.resultA = decoded(settingsFrom(model.get("settings_a")));
    const key = JSON.stringify([view, compared, zoom]);
    const looks = this.looks !== key;
    this.looks = key;
    for (const stage of compared ? [this.a, this.b] : [this.b]) {
      if (moved || resized || looks || held.picture !== shown.picture) this.#paintPicture(stage, held);
      if ((looks || other) && view.heatmap) paintHeat(stage.layers.heat, held.frame, view.class_id ?? 0);
      if ((looks || resized) && view.grid) paintGrid(stage.layers.grid, shape, zoom);
      if (looks) stage.show(view, shape, zoom);
    }
    Object.assign(shown, { index, frame: held.frame, picture: held.picture });
    this.#paintBoxes(view, compared);
    this.drawing.paint(looks || resized);
    if (looks) this.#paintToolbar(view, compared);
    this.#paintCharts();
    this.paintPointer();
    this.stats.paints++;
    this.stats.painted = performance.now();
    this.stats.cost = this.stats.painted - started;
    this.stats.onpaint?.();
  }

  #paintPicture(stage, held) {
    const canvas = stage.layers.picture;
    // An old picture stays, dimmed, until the new one is here: no flicker.
    stage.box.classList.toggle("pnb-waiting", !held.picture && this.model.get("has_pictures"));
    if (!held.picture) return;
    const scale = this.zoom.apply(canvas);
    const [width, height] = this.shape.frameSize;
    canvas.getContext("2d").drawImage(held.picture, 0, 0, width * scale, height * scale);
  }

  #paintBoxes(view, compared) {
    const { result, shape, zoom } = this;
    let [marksA, marksB] = [null, null];
    if (compared) {
      const { onlyA, onlyB, moved } = compare(this.resultA.detections, result.detections);
      marksA = { only: new Set(onlyA), text: "only A:" };
      marksB = { only: new Set(onlyB), text: "only B:" };
      paintOverlay(this.a.layers.overlay, zoom, this.resultA, view, marksA);
      setText(this.difference, `Boxes in A only: ${onlyA.length}, in B only: ${onlyB.length}, in both but moved: ${moved.length}.`);
      setText(this.a.caption, `A: ${countText(this.resultA, shape)}`);
      setText(this.b.caption, `B, now: ${countText(result, shape)}`);
    } else {
      setText(this.difference, shape.hasBoxes ? "" : "This model has a coverage output only: there are no boxes to decode.");
    }
    paintOverlay(this.b.layers.overlay, zoom, result, view, marksB);
    this.scoreRow?.mark(this.b.layers.overlay, this.shown.index, view);
    const left = stages(result);
    const steps = [`${left.cells} cells`, `${left.candidates} candidates`, `${left["with a box"]} with a box`];
    steps.push(`${left["after clustering"]} after clustering`, `${left.detections} final`);
    setText(this.summary, result.ends ? this.#betweenText(result.ends) : steps.join(" → "));
    setText(this.final, countText(result, shape));
    this.later("spoken", 500, () => {
      this.b.box.setAttribute("aria-label", `Frame ${this.shown.index}: ${countText(this.result, shape)}`);
    });
  }

  #betweenText(ends) {
    const [a, b] = ends.map((position) => this.model.get("frame_names")[position]);
    return `Interpolated between frames ${a} and ${b}.`;
  }

  #paintToolbar(view, compared) {
    for (const [name, button] of this.toggles) button.setAttribute("aria-pressed", String(Boolean(view[name])));
    this.pin.setAttribute("aria-pressed", String(compared));
    this.classSelect.value = String(view.class_id ?? 0);
    this.legend.show(view.heatmap, this.shape.labels[view.class_id ?? 0]);
    this.whole.hidden = this.zoom.factor === 1;
    setText(this.whole, `${this.zoom.factor.toFixed(1)}× · whole frame`);
  }

  #paintCharts() {
    // The theme is asked for once in a while only: reading computed styles forces a layout.
    if (!this.theme || performance.now() - this.themeRead > 1000) {
      this.theme = themeOf(this.root);
      this.themeRead = performance.now();
    }
    fitCanvas(this.histogram, this.histogram.clientWidth, this.histogram.clientHeight);
    this.histograms.paint(this.result.frame, this.settings.threshold, this.theme);
    this.clipRow?.follow();
    this.scoreRow?.follow();
  }

  // -- once nothing moves -----------------------------------------------------------------------------------

  /** What a click asked, answered for the settings as they are now; and the counts of a clip. */
  #answerAnew() {
    if (this.shown.index < 0) return;
    if (this.inspector.point) this.#answer(this.inspector.point);
    const a = this.compared ? settingsFrom(this.model.get("settings_a")) : null;
    this.clipRow?.start(this.settings, a, this.shown.index);
  }

  #sendState() {
    if (this.shown.index < 0) return;
    this.model.set("state", this.#state());
    this.model.save_changes();
  }

  /** What is on screen, as Python takes it over. */
  #state() {
    const [settings, revision] = [numbersOf(this.model, this.shape.labels.length), this.model.get("revision")];
    return { settings, frame: this.shown.index, revision, gesture: this.movedBy ?? null };
  }

  /** Have Python do something with what is on screen now: messages overtake traits that wait for their turn. */
  order(message) {
    this.send({ ...message, state: this.#state() });
  }

  // -- the pointer ------------------------------------------------------------------------------------------

  paintPointer() {
    const { pointer, inspector } = this;
    const c = this.model.get("view").class_id ?? 0;
    const reports = pointer ? inspector.hover(this.result, this.settings, pointer.x, pointer.y, c) : [];
    if (inspector.point && inspector.report) reports.push(inspector.report);
    if (!reports.length && this.pointerClear) return;
    this.pointerClear = !reports.length;
    paintPointer(this.b.layers.pointer, this.zoom, this.shape, reports, inspector.point);
  }

  /** Say why there is or is not a box of the chosen class at a point in frame pixels. */
  ask({ x, y }) {
    this.#answer({ x, y, c: this.model.get("view").class_id ?? 0 });
    this.inspector.reveal();
  }

  #answer({ x, y, c }) {
    if (this.result.ends) this.inspector.unseen(this.#betweenText(this.result.ends));
    else this.inspector.click(this.result, this.settings, x, y, c, this.store.clip);
    this.paintPointer();
    if (this.inspector.counter) this.later("step", 0, () => this.clipRow.count());
  }
}

function countText(result, shape) {
  return shape.labels.map((label, c) => `${result.detections.counts[c]} ${label}`).join(", ");
}
