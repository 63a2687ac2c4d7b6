// The canvas widget's view: the toolbar, the stages, the charts, and when each is drawn.
//
// One decision to know: a change draws at once, in the same task, if nothing was drawn since the display's last
// frame; else it waits for the next one. So a slider costs one decode and one drawing a display frame at most,
// the newest values win, and no change waits longer than it must.

import { Actions } from "./actions.js";
import { Histograms, paintStrip, themeOf } from "./charts.js";
import { ClipCounts } from "./clip.js";
import { decode, stages } from "./decode.js";
import { h, fitCanvas, numbersOf, say, settingNames, Stage, TOGGLES } from "./dom.js";
import { compare, settingsFrom } from "./explain.js";
import { Inspector } from "./inspector.js";
import { paintGrid, paintHeat, paintOverlay, paintPointer } from "./paint.js";

const SETTLED = 80; // ms without a move after which the state goes to Python
const STEP = 6; // ms of counting between two looks at the page

export class TunerView {
  constructor(model, el, store) {
    this.model = model;
    this.el = el;
    this.store = store;
    this.shape = store.shape;
    // What tests and benchmarks read; `onpaint` is called after each drawing.
    this.stats = { paints: 0, painted: 0, cost: 0, onpaint: null, detections: () => this.result.detections };
    this.shown = { index: -1, frame: null, picture: undefined };
    this.pointer = null;
    this.counts = store.clip && new ClipCounts(store.clip);
    this.countsA = store.clip && new ClipCounts(store.clip);
    this.timers = new Map();
    this.undo = [];
    this.#build();
    this.actions = new Actions(this);
    this.#listen();
    this.changed();
  }

  // -- the page ---------------------------------------------------------------------------------------------

  #build() {
    const { shape } = this;
    this.a = new Stage("A");
    this.b = new Stage("B: now");
    for (const stage of [this.a, this.b]) stage.shapeLike(shape);
    this.toggles = TOGGLES.map(([name, key, text, title]) => {
      const button = h("button", { type: "button", class: "pnb-button", title: `${title} (key ${key})` }, text);
      button.addEventListener("click", () => this.actions.toggle(name));
      return [name, button];
    });
    const options = shape.labels.map((label, c) => h("option", { value: c }, label));
    this.classSelect = h("select", { class: "pnb-select", title: "Class of the heatmap and of what you click" }, ...options);
    this.classSelect.addEventListener("change", () => this.actions.setView({ class_id: Number(this.classSelect.value) }));
    this.pin = h("button", { type: "button", class: "pnb-button", title: "Keep these settings as A and compare (key a)" }, "A/B");
    this.pin.addEventListener("click", () => this.actions.toggleCompare());
    this.summary = h("div", { class: "pnb-summary", role: "status" });
    this.final = h("div", { class: "pnb-final" });
    this.difference = h("div", { class: "pnb-summary" });
    this.histogram = h("canvas", { class: "pnb-histogram", role: "img", "aria-label": "Coverage of the cells of each class with its threshold; click to set it" });
    this.histograms = new Histograms(this.histogram);
    this.strip = h("canvas", { class: "pnb-strip", role: "img", "aria-label": "Boxes per frame of the clip; click to go there" });
    this.clipNote = h("div", { class: "pnb-summary" });
    this.inspector = new Inspector(shape, (c, value) => this.actions.set(`threshold_${c}`, value));
    this.trouble = h("div", { class: "pnb-trouble", role: "alert", hidden: "" });
    const toolbar = h("div", { class: "pnb-toolbar", role: "toolbar", "aria-label": "What is drawn" });
    toolbar.append(...this.toggles.map(([, button]) => button), h("label", { class: "pnb-class" }, "Class ", this.classSelect), this.pin);
    this.root = h("div", { class: "pnb-tuner", tabindex: "0", "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": "PeopleNet tuner" });
    const line = h("div", { class: "pnb-line" }, this.summary, this.final);
    this.root.append(toolbar, h("div", { class: "pnb-stages" }, this.a.element, this.b.element), line, this.difference);
    if (this.store.clip) this.root.append(this.strip, this.clipNote);
    this.root.append(this.histogram, this.inspector.element, this.trouble);
    this.root.tunerStats = this.stats;
    this.el.append(this.root);
  }

  #listen() {
    const on = (name, handler) => {
      const guarded = this.guard(handler);
      this.model.on(name, guarded);
      this.undo.push(() => this.model.off(name, guarded));
    };
    const names = [...settingNames(this.shape.labels.length), "view", "settings_a", "revision"];
    for (const name of names) on(`change:${name}`, () => this.changed());
    on("change:frame", () => this.stepped());
    const arrived = this.guard((index) => index === this.model.get("frame") && this.schedule());
    this.store.listeners.add(arrived);
    this.undo.push(() => this.store.listeners.delete(arrived));
    const resized = new ResizeObserver(this.guard(() => this.schedule()));
    for (const element of [this.a.box, this.b.box, this.strip, this.histogram]) resized.observe(element);
    this.undo.push(() => resized.disconnect());
  }

  dispose() {
    for (const back of this.undo) back();
    for (const timer of this.timers.values()) clearTimeout(timer);
    cancelAnimationFrame(this.nextFrame);
    this.actions.stop();
    this.root.remove();
  }

  /** A handler whose error is shown and told to Python instead of lost. */
  guard(handler) {
    return (...values) => {
      try {
        return handler(...values);
      } catch (error) {
        this.report(error);
        return undefined;
      }
    };
  }

  report(error) {
    this.trouble.hidden = false;
    say(this.trouble, `The tuner met an error: ${error.message ?? error}`);
    this.model.send({ type: "error", message: String(error.stack ?? error) });
  }

  // -- when to draw -----------------------------------------------------------------------------------------

  changed() {
    this.later("state", SETTLED, () => this.#tell());
    this.later("count", SETTLED, () => this.#startCounting());
    this.schedule();
  }

  /** Another frame: a video that plays never comes to rest, so Python learns of it every so often. */
  stepped() {
    if (!this.timers.has("state")) this.later("state", SETTLED, () => this.#tell());
    this.schedule();
  }

  /** Call a function once nothing asked for it again for so many milliseconds. */
  later(name, milliseconds, action) {
    clearTimeout(this.timers.get(name));
    const run = () => {
      this.timers.delete(name);
      action();
    };
    this.timers.set(name, setTimeout(this.guard(run), milliseconds));
  }

  schedule() {
    this.dirty = true;
    if (this.queued) return;
    this.queued = true;
    // A microtask: traits that change together, as a preset's do, are drawn together.
    queueMicrotask(() => {
      this.queued = false;
      if (!this.busy) this.#drawNow();
    });
  }

  #drawNow() {
    if (!this.dirty || !this.root.isConnected) {
      if (this.dirty) this.later("attach", 30, () => this.schedule());
      return;
    }
    this.busy = true;
    this.dirty = false;
    this.guard(() => this.paint())();
    this.nextFrame = requestAnimationFrame(() => {
      this.busy = false;
      this.#drawNow();
    });
  }

  // -- what is drawn ----------------------------------------------------------------------------------------

  paint() {
    const started = performance.now();
    const { model, shape, shown } = this;
    const view = model.get("view");
    const index = Math.min(model.get("frame"), this.store.length - 1);
    const compared = Boolean(view.compare && model.get("settings_a")?.threshold);
    if (this.compared !== compared) {
      this.compared = compared;
      this.a.element.hidden = !compared;
      this.b.element.classList.toggle("pnb-alone", !compared);
    }
    const resized = [this.b.fit(), compared && this.a.fit()].some(Boolean);
    const held = this.store.get(index);
    if (!held.complete || (held.frame.shape && !held.picture && model.get("has_pictures"))) this.store.want(index, this.direction ?? 1);
    const moved = index !== shown.index;
    const other = held.frame !== shown.frame;
    if (moved) this.inspector.forget();
    this.numbers = numbersOf(model, shape.labels.length);
    this.settings = settingsFrom(this.numbers);
    this.result = decode(held.frame, this.settings);
    if (compared) this.resultA = decode(held.frame, settingsFrom(model.get("settings_a")));
    const key = JSON.stringify([view, compared]);
    const looks = this.looks !== key;
    this.looks = key;
    for (const stage of compared ? [this.a, this.b] : [this.b]) {
      if (moved || resized || looks || held.picture !== shown.picture) this.#paintPicture(stage, held);
      if ((looks || other) && view.heatmap) paintHeat(stage.layers.heat, held.frame, view.class_id ?? 0);
      if ((looks || resized) && view.grid) paintGrid(stage.layers.grid, shape);
      if (looks) {
        stage.layers.heat.hidden = !view.heatmap;
        stage.layers.grid.hidden = !view.grid;
      }
    }
    Object.assign(shown, { index, frame: held.frame, picture: held.picture });
    this.#paintBoxes(view, compared);
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
    if (held.picture) canvas.getContext("2d").drawImage(held.picture, 0, 0, canvas.width, canvas.height);
  }

  #paintBoxes(view, compared) {
    const { result, shape } = this;
    let [marksA, marksB] = [null, null];
    if (compared) {
      const { onlyA, onlyB, moved } = compare(this.resultA.detections, result.detections);
      marksA = { only: new Set(onlyA), text: "only A:" };
      marksB = { only: new Set(onlyB), text: "only B:" };
      paintOverlay(this.a.layers.overlay, this.resultA, view, marksA);
      say(this.difference, `A has ${onlyA.length} box(es) that B lacks, B has ${onlyB.length} that A lacks, ${moved.length} moved.`);
      say(this.a.caption, `A: ${countText(this.resultA, shape)}`);
      say(this.b.caption, `B, now: ${countText(result, shape)}`);
    } else {
      say(this.difference, shape.hasBoxes ? "" : "This model has a coverage output only: there are no boxes to decode.");
    }
    paintOverlay(this.b.layers.overlay, result, view, marksB);
    const left = stages(result);
    const steps = [`${left.cells} cells`, `${left.candidates} candidates`, `${left["with a box"]} with a box`];
    steps.push(`${left["after clustering"]} after clustering`, `${left.detections} final`);
    say(this.summary, steps.join(" → "));
    say(this.final, countText(result, shape));
    this.later("spoken", 500, () => {
      this.b.box.setAttribute("aria-label", `Frame ${this.shown.index}: ${countText(this.result, shape)}`);
    });
  }

  #paintToolbar(view, compared) {
    for (const [name, button] of this.toggles) button.setAttribute("aria-pressed", String(Boolean(view[name])));
    this.pin.setAttribute("aria-pressed", String(compared));
    this.classSelect.value = String(view.class_id ?? 0);
  }

  #paintCharts() {
    // The theme is asked for once in a while only: reading computed styles forces a layout.
    if (!this.theme || performance.now() - this.themeRead > 1000) {
      this.theme = themeOf(this.root);
      this.themeRead = performance.now();
    }
    fitCanvas(this.histogram, this.histogram.clientWidth, this.histogram.clientHeight);
    this.histograms.paint(this.result.frame, this.settings.threshold, this.theme);
    // The strip follows the counts, not each move of a slider.
    const strip = `${this.shown.index} ${this.strip.clientWidth} ${this.compared} ${this.theme.text}`;
    if (this.counts && strip !== this.stripShows) {
      this.stripShows = strip;
      this.#paintStrip();
      this.#sayClip();
    }
  }

  #paintStrip() {
    fitCanvas(this.strip, this.strip.clientWidth, this.strip.clientHeight);
    const a = this.compared ? this.countsA.counts : null;
    paintStrip(this.strip, this.counts.counts, a, this.shape, this.shown.index, this.theme);
  }

  // -- the whole clip, in small steps -----------------------------------------------------------------------

  #startCounting() {
    if (!this.counts) return;
    this.counts.start(this.settings, this.shown.index);
    if (this.compared) this.countsA.start(settingsFrom(this.model.get("settings_a")), this.shown.index);
    const { point } = this.inspector;
    if (point) this.ask(point);
    this.#count();
  }

  #count() {
    const counter = [this.counts, this.compared ? this.countsA : null, this.inspector.counter].find(
      (one) => one && one.settings && !one.finished,
    );
    if (counter) {
      counter.step(STEP);
      if (counter === this.inspector.counter && counter.finished) this.inspector.counted(this.counts, this.model.get("floor"));
      this.later("step", 0, () => this.#count());
    }
    if (!counter || performance.now() - (this.stripPainted ?? 0) > 120) {
      this.stripPainted = performance.now();
      this.#paintStrip();
      this.#sayClip();
    }
  }

  #sayClip() {
    const floor = this.model.get("floor");
    const under = this.settings.threshold.some((t) => t < floor);
    const totals = this.shape.labels.map((label, c) => `${this.counts.total(c)} ${label}`).join(", ");
    const note = under ? ` Cells below ${floor} are not counted here.` : "";
    const name = this.model.get("frame_names")[this.shown.index] ?? this.shown.index;
    say(this.clipNote, `Frame ${name} (${this.shown.index + 1} of ${this.store.length}). Whole clip: ${totals}.${note}`);
  }

  /** Tell Python what is on the screen, now that it has settled. */
  #tell() {
    this.model.set("state", {
      settings: this.numbers,
      frame: this.shown.index,
      revision: this.model.get("revision"),
    });
    this.model.save_changes();
  }

  // -- the pointer ------------------------------------------------------------------------------------------

  paintPointer() {
    const { pointer, inspector } = this;
    const c = this.model.get("view").class_id ?? 0;
    const reports = pointer ? inspector.hover(this.result, this.settings, pointer.x, pointer.y, c) : [];
    if (inspector.point && inspector.report) reports.push(inspector.report);
    if (!reports.length && this.pointerClear) return;
    this.pointerClear = !reports.length;
    paintPointer(this.b.layers.pointer, this.shape, reports, inspector.point);
  }

  /** Say why there is or is not a box of a class at a point in frame pixels. */
  ask({ x, y, c }) {
    const wanted = c ?? this.model.get("view").class_id ?? 0;
    this.inspector.click(this.result, this.settings, x, y, wanted, this.store.clip);
    this.paintPointer();
    if (this.inspector.counter) this.later("step", 0, () => this.#count());
  }
}

function countText(result, shape) {
  return shape.labels.map((label, c) => `${result.detections.counts[c]} ${label}`).join(", ");
}
