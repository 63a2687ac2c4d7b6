// What a person does with pointer and keys, apart from the sliders.
//
// An action only sets a trait, as a slider would. What follows from it is drawn by the view that listens to the
// traits, in whichever place the panel is shown.

import { TOGGLES } from "./dom.js";
import { Gestures } from "./zoom.js";

export class Actions {
  /** @param {TunerView} view */
  constructor(view) {
    this.view = view;
    this.model = view.model;
    const on = (...listener) => view.listenTo(...listener);
    const zoomed = () => {
      for (const stage of [view.a, view.b]) stage.box.style.touchAction = view.zoom.factor > 1 ? "none" : "pan-y";
      view.schedule();
    };
    const [, gestures] = [view.a, view.b].map((stage) => new Gestures(stage.box, view.zoom, on, zoomed));
    this.gestures = gestures;
    this.zoomed = zoomed;
    const { box } = view.b;
    on(box, "pointermove", (event) => this.#point(event));
    on(box, "pointerleave", () => this.#unpoint());
    on(box, "click", (event) => gestures.dragged || view.ask(gestures.place(event)));
    for (const name of ["pointerdown", "click", "dblclick"]) on(view.whole, name, (event) => event.stopPropagation());
    if (view.clipRow) {
      on(view.clipRow.strip, "pointerdown", (event) => this.#seek(event));
      on(view.clipRow.strip, "pointermove", (event) => event.buttons & 1 && this.#seek(event));
    }
    on(view.histogram, "pointerdown", (event) => this.#pull(event));
    on(view.histogram, "pointermove", (event) => event.buttons & 1 && this.#pull(event));
    on(view.root, "keydown", (event) => this.#key(event));
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  setView(changes) {
    this.set("view", { ...this.model.get("view"), ...changes });
  }

  toggle(name) {
    this.setView({ [name]: !this.model.get("view")[name] });
  }

  /** Keep what is on screen as A and put it beside what follows, or end that. */
  toggleCompare() {
    const on = !this.view.compared;
    if (on) this.model.set("settings_a", this.view.numbers);
    this.setView({ compare: on });
  }

  go(index) {
    const wanted = Math.min(this.view.store.length - 1, Math.max(0, index));
    const now = this.model.get("frame");
    if (wanted === now) return;
    this.view.direction = wanted < now ? -1 : 1;
    this.set("frame", wanted);
  }

  step(by) {
    this.go(this.model.get("frame") + by);
  }

  /** Play, or pause. */
  play() {
    const { store, clipRow } = this.view;
    if (this.playing) {
      this.stop();
    } else if (clipRow) {
      this.playing = setInterval(this.view.guard(() => this.#next(store)), 1000 / clipRow.rate);
      clipRow.showPlaying(true);
    }
  }

  stop() {
    clearInterval(this.playing);
    this.playing = 0;
    this.view.clipRow?.showPlaying(false);
  }

  /** Take another speed over. */
  restart() {
    if (!this.playing) return;
    this.stop();
    this.play();
  }

  /** The next frame is shown when its picture is here: a slow kernel slows the video, nothing piles up. */
  #next(store) {
    const next = (this.model.get("frame") + 1) % store.length;
    store.want(next);
    if (store.has(next) || !this.model.get("has_pictures")) this.go(next);
  }

  #zoom(times) {
    this.view.zoom.by(times, this.view.zoom.point(0.5, 0.5));
    this.zoomed();
  }

  whole() {
    this.view.zoom.reset();
    this.zoomed();
  }

  #point(event) {
    this.view.pointer = this.gestures.place(event);
    if (this.pointing) return;
    this.pointing = requestAnimationFrame(
      this.view.guard(() => {
        this.pointing = 0;
        this.view.paintPointer();
      }),
    );
  }

  #unpoint() {
    this.view.pointer = null;
    this.view.inspector.leave();
    this.view.paintPointer();
  }

  #pull(event) {
    const { c, value } = this.view.histograms.at(event.offsetX);
    if (event.type === "pointerdown") {
      this.view.histogram.setPointerCapture(event.pointerId);
      this.pulled = c;
    }
    if (c === this.pulled) this.set(`threshold_${c}`, Math.max(this.view.shape.floor, Math.round(value * 200) / 200));
  }

  #seek(event) {
    this.go(Math.floor((event.offsetX / this.view.clipRow.strip.clientWidth) * this.view.store.length));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(SELECT|INPUT)$/.test(event.target.tagName)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const toggle = TOGGLES.find(([, letter]) => letter === key);
    const step = event.shiftKey ? 10 : 1;
    const actions = {
      ArrowRight: () => this.step(step),
      ArrowLeft: () => this.step(-step),
      Home: () => this.go(0),
      End: () => this.go(this.view.store.length - 1),
      " ": event.target.tagName === "BUTTON" ? null : () => this.play(),
      "+": () => this.#zoom(1.5),
      "=": () => this.#zoom(1.5),
      "-": () => this.#zoom(1 / 1.5),
      0: () => this.whole(),
      a: () => this.toggleCompare(),
      z: () => this.view.order({ type: "undo" }),
      y: () => this.view.order({ type: "redo" }),
    };
    const action = toggle ? () => this.toggle(toggle[0]) : actions[key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }
}
