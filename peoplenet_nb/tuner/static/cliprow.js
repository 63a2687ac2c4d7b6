// The clip's own row: play, step, speed, the strip of counts, and the counting behind it.
//
// Counting goes on in small steps between paints and begins anew when a setting moves.

import { paintStrip } from "./charts.js";
import { ClipCounts } from "./clip.js";
import { button, fitCanvas, h, setText } from "./dom.js";

const STEP = 6; // ms of counting between two looks at the page
const SPEEDS = [0.25, 0.5, 1, 2, 4];

export class ClipRow {
  /** @param {TunerView} view */
  constructor(view) {
    this.view = view;
    this.counts = new ClipCounts(view.store.clip);
    this.countsA = new ClipCounts(view.store.clip);
    const step = (text, title, by) => button(text, title, view.guard(() => view.actions.step(by)), { "aria-label": title });
    this.play = button("▶ Play", "Play or pause (key space)", view.guard(() => view.actions.play()));
    const back = step("←", "One frame back (key ←)", -1);
    const on = step("→", "One frame on (key →)", 1);
    const options = SPEEDS.map((speed) => h("option", { value: speed, ...(speed === 1 && { selected: "" }) }, `${speed}×`));
    this.speed = h("select", { class: "pnb-select", title: "Speed" }, ...options);
    this.speed.addEventListener("change", view.guard(() => view.actions.restart()));
    const keys = h("span", { class: "pnb-keys" }, "Keys: space plays, ← → step (shift: 10 frames), Home, End");
    this.strip = h("canvas", { class: "pnb-strip", role: "img", "aria-label": "Boxes per frame of the clip; click to go there" });
    this.note = h("div", { class: "pnb-summary" });
    this.transport = h("div", { class: "pnb-toolbar pnb-transport", role: "toolbar", "aria-label": "Play the clip" });
    this.transport.append(this.play, back, on, this.speed, keys);
    this.elements = [this.transport, this.strip, this.note];
  }

  /** Frames per second that the reader asked for. */
  get rate() {
    return Math.max(1, this.view.model.get("fps")) * Number(this.speed.value);
  }

  showPlaying(playing) {
    setText(this.play, playing ? "Pause" : "▶ Play");
    this.play.setAttribute("aria-pressed", String(playing));
  }

  /** Begin to count anew, at the frame on screen. */
  start(settings, settingsA, index) {
    this.counts.start(settings, index);
    if (settingsA) this.countsA.start(settingsA, index);
    this.count();
  }

  count() {
    const { view } = this;
    const { inspector } = view;
    const counter = [this.counts, view.compared ? this.countsA : null, inspector.counter].find(
      (one) => one && one.settings && !one.finished,
    );
    if (counter) {
      counter.step(STEP);
      if (counter === inspector.counter && counter.finished) inspector.counted(this.counts, view.model.get("floor"));
      view.later("step", 0, () => this.count());
    }
    if (!counter || performance.now() - (this.painted ?? 0) > 120) {
      this.painted = performance.now();
      this.paint();
    }
  }

  /** Draw the strip where what it shows is old: it follows the counts, not each move of a slider. */
  follow() {
    const { shown, compared, theme } = this.view;
    const key = `${shown.index} ${this.strip.clientWidth} ${compared} ${theme.text}`;
    if (key !== this.shows) this.paint();
    this.shows = key;
  }

  paint() {
    const { shown, shape, store, model, compared, settings, theme } = this.view;
    fitCanvas(this.strip, this.strip.clientWidth, this.strip.clientHeight);
    paintStrip(this.strip, this.counts.counts, compared ? this.countsA.counts : null, shape, shown.index, theme);
    const floor = model.get("floor");
    const under = settings.threshold.some((t) => t < floor);
    const totals = shape.labels.map((label, c) => `${this.counts.total(c)} ${label}`).join(", ");
    const note = under ? ` Cells below ${floor} are not counted here.` : "";
    const name = model.get("frame_names")[shown.index] ?? shown.index;
    setText(this.note, `Frame ${name} (${shown.index + 1} of ${store.length}). Whole clip: ${totals}.${note}`);
  }
}
