// The canvas in its other mode: boxes are labelled. What a hand does here is in Python, and on disk, at once.
//
// The page holds all records and sends those that an action changed; it never waits for the kernel.

import { button, h, setText, Stage } from "./dom.js";
import { paintHeat } from "./heat.js";
import { paintLabelled } from "./labelpaint.js";
import { IGNORE, LabelWork } from "./labelwork.js";
import { Paced } from "./paced.js";
import { Gestures, Zoom } from "./zoom.js";

const ON_EDGE = 6; // CSS pixels: how near an edge is on it
const SHAKE = 3; // CSS pixels that a hand may move in a click
const NOTHING_SAVED = "The kernel behind this panel is gone: nothing is saved any more. Run the cell again, it goes on from here.";
const HELP =
  "Dashed boxes with ? are in doubt: click one to accept it, the rest goes when you press Enter. Drag an edge or a corner to resize, " +
  "drag on the picture to draw (with ctrl at an edge too), click a box and drag it to move. Keys: d deletes what is under the pointer, 1 to 9 its class, 0 not judged, " +
  "z undo, y redo, ← → look around, wheel zooms, shift with a drag moves the picture.";

export class LabelView extends Paced {
  constructor(model, el, store) {
    super();
    Object.assign(this, { model, el, store, shape: store.shape, pointer: null, hand: null, heat: false });
    this.zoom = new Zoom(store.shape);
    this.classes = model.get("classes");
    this.drawing = this.classes[0];
    this.#take();
    this.stats = { paints: 0, painted: 0, cost: 0, zoom: this.zoom, work: () => this.work };
    this.#build();
    this.#listen();
    this.work.go(Math.max(0, this.work.records.findIndex((record) => !record.done)));
    this.schedule();
  }

  /** Take the records that Python holds, at first and when another view of this panel changed them. */
  #take() {
    const records = this.model.get("records");
    if (records !== this.work?.records) this.work = new LabelWork(records, this.shape.frameSize, this.work?.position ?? 0);
  }

  // -- the page

  #build() {
    const does = (text, title, action) => button(text, title, this.guard(action));
    const kinds = [...this.classes, IGNORE];
    this.classButtons = kinds.map((c, i) => {
      const [text, key] = c === IGNORE ? ["Not judged", 0] : [this.shape.labels[c], i + 1];
      return [c, does(text, `What is drawn next, or the class of what is selected (key ${key})`, () => this.#classed(c))];
    });
    this.next = does("Done, next ⏎", "This frame is right; on to the next (Enter)", () => this.#act("finish"));
    this.next.classList.add("pnb-next");
    this.heatButton = does("Heatmap", "Coverage of the class that is drawn (key h)", () => this.#heat());
    const toolbar = h("div", { class: "pnb-toolbar", role: "toolbar", "aria-label": "Labelling" });
    toolbar.append(...this.classButtons.map(([, one]) => one), does("Delete", "Delete what is selected (key d)", () => this.#delete(this.work.selected)));
    toolbar.append(does("Undo", "Take the last action back (key z)", () => this.#act("undo")), does("Redo", "Do it again (key y)", () => this.#act("redo")));
    toolbar.append(this.heatButton, this.next);
    this.stage = new Stage("");
    this.stage.shapeLike(this.shape);
    this.stage.element.classList.add("pnb-alone");
    this.frames = this.work.records.map((_, p) => does("", `Frame ${this.#name(p)}`, () => this.#go(p)));
    this.strip = h("div", { class: "pnb-frames", role: "group", "aria-label": "Frames" }, ...this.frames);
    this.summary = h("div", { class: "pnb-summary", role: "status" });
    this.saved = h("div", { class: "pnb-summary pnb-saved", role: "status" });
    this.gone = h("div", { class: "pnb-gone", role: "status", hidden: "" }, NOTHING_SAVED);
    this.trouble = h("div", { class: "pnb-trouble", role: "alert", hidden: "" });
    this.root = h("div", { class: "pnb-tuner pnb-labelling", tabindex: "0", "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": "Labelling" });
    const line = h("div", { class: "pnb-line" }, this.summary, this.saved);
    this.root.append(this.gone, toolbar, h("div", { class: "pnb-stages" }, this.stage.element), line, this.strip, this.trouble, h("div", { class: "pnb-keys" }, HELP));
    this.root.tunerStats = this.stats;
    this.el.append(this.root);
  }

  #name(position) {
    return this.model.get("frame_names")[position];
  }

  #listen() {
    const { box } = this.stage;
    const on = (...listener) => this.listenTo(...listener);
    this.gestures = new Gestures(box, this.zoom, on, () => this.schedule(), (event) => event.shiftKey);
    on(box, "pointerdown", (event) => this.#down(event));
    on(box, "pointermove", (event) => this.#move(event));
    on(box, "pointerup", (event) => this.#up(event));
    on(box, "pointercancel", () => ((this.hand = null), this.schedule()));
    on(box, "pointerleave", () => this.#point(null));
    on(this.root, "keydown", (event) => this.#key(event));
    on(window, "beforeunload", (event) => !this.#kept && this.gone.hidden && event.preventDefault());
    for (const name of ["change:records", "change:saved"]) {
      this.listenToModel(name, () => {
        this.#take();
        this.schedule();
      });
    }
    this.watch(() => this.work.position, [box]);
  }

  // -- actions

  /** Do something to the records and save it, where it changed them. */
  #act(name, ...values) {
    const before = this.work.records;
    const result = this.work[name](...values);
    const { records } = this.work;
    if (records !== before) {
      const changed = records.flatMap((record, p) => (record === before[p] ? [] : [[p, record]]));
      const revision = this.#revision + 1;
      // For other views of this panel; it is never saved, so Python gets what changed and not all of it.
      this.model.set("revision", revision);
      this.model.set("records", records);
      this.send({ type: "work", revision, records: changed });
    }
    this.schedule();
    return result;
  }

  /** How many actions there were: those of a page that was loaded before are on disk. */
  get #revision() {
    return Math.max(this.model.get("revision") ?? 0, this.model.get("saved"));
  }

  /** Whether Python has all that was done here on disk. */
  get #kept() {
    return this.model.get("saved") >= this.#revision;
  }

  #go(position) {
    this.work.go(position);
    this.schedule();
  }

  #delete(i) {
    if (i >= 0) this.#act("remove", i);
  }

  /** A class for the box under the pointer or the selected one; without such for what is drawn next. */
  #classed(c) {
    const i = this.#meant();
    if (i >= 0) this.#act("setClass", i, c);
    else this.drawing = c;
    this.schedule();
  }

  #meant() {
    return this.over >= 0 ? this.over : this.work.selected;
  }

  #heat() {
    this.heat = !this.heat;
    this.schedule();
  }

  // -- the pointer

  get #reach() {
    return (ON_EDGE * this.shape.frameSize[0]) / (this.zoom.factor * Math.max(1, this.stage.box.clientWidth));
  }

  get over() {
    return this.pointer ? (this.work.at(this.pointer, this.#reach)?.i ?? -1) : -1;
  }

  #point(place) {
    this.pointer = place;
    this.schedule();
  }

  #down(event) {
    this.root.focus({ preventScroll: true });
    if (event.button > 0 || event.shiftKey || this.hand) return;
    const at = this.gestures.place(event);
    const hit = this.work.at(at, this.#reach);
    const free = event.ctrlKey || event.metaKey; // draws a new box, whatever lies there
    const held = hit && !free && (hit.edges || hit.i === this.work.selected) ? hit : null;
    this.hand = { at, hit, held, id: event.pointerId, moved: false, x: event.clientX, y: event.clientY };
    this.stage.box.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const place = this.gestures.place(event);
    const { hand } = this;
    if (hand && event.pointerId === hand.id) {
      hand.moved ||= Math.hypot(event.clientX - hand.x, event.clientY - hand.y) > SHAKE;
      if (hand.moved) hand.drawn = this.#drawn(hand, place);
    }
    this.#point(place);
  }

  #drawn({ at, held }, { x, y }) {
    if (!held) return { c: this.drawing, box: this.work.within([at.x, at.y, x, y]) };
    const box = this.work.dragged(this.work.boxes[held.i], held.edges, x - at.x, y - at.y);
    return { i: held.i, box: this.work.within(box) };
  }

  #up(event) {
    const { hand } = this;
    if (!hand || event.pointerId !== hand.id) return;
    this.hand = null;
    if (!hand.moved) this.#click(hand.hit);
    else if (hand.held) this.#act("setBox", hand.held.i, this.#drawn(hand, this.gestures.place(event)).box);
    else this.#act("add", this.drawing, this.#drawn(hand, this.gestures.place(event)).box);
    this.schedule();
  }

  /** A box in doubt is accepted, another one selected; a click beside them ends that. */
  #click(hit) {
    const i = hit?.i ?? -1;
    if (i >= 0 && !this.work.boxes[i].sure) this.#act("accept", i);
    this.work.selected = i;
  }

  #key(event) {
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.altKey || (control && !["z", "y"].includes(key)) || this.hand) return;
    if (event.repeat && key === "Enter") return void event.preventDefault(); // a key held down calls no frame right
    if (event.target.tagName === "BUTTON" && ["Enter", " "].includes(key) && event.target !== this.next) return;
    const number = Number.parseInt(key, 10);
    const actions = {
      Enter: () => this.#act("finish"),
      ArrowRight: () => this.#go(this.work.position + 1),
      ArrowLeft: () => this.#go(this.work.position - 1),
      Home: () => this.#go(0),
      End: () => this.#go(this.work.records.length - 1),
      Escape: () => this.#click(null),
      h: () => this.#heat(),
      z: () => this.#act("undo"),
      y: () => this.#act("redo"),
      "+": () => this.#zoomed(1.5),
      "=": () => this.#zoomed(1.5),
      "-": () => this.#zoomed(1 / 1.5),
    };
    for (const name of ["d", "Delete", "Backspace"]) actions[name] = () => this.#delete(this.#meant());
    const c = number === 0 ? IGNORE : this.classes[number - 1];
    const action = c === undefined ? actions[key] : () => this.#classed(c);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  #zoomed(times) {
    this.zoom.by(times, this.pointer ?? this.zoom.point(0.5, 0.5));
    this.schedule();
  }

  // -- what is drawn

  paint() {
    const started = performance.now();
    const { stage, work, zoom, shape, model } = this;
    const { position } = work;
    stage.fit();
    const held = this.store.get(position);
    if (!held.complete || (!held.picture && model.get("has_pictures"))) this.store.want(position);
    stage.box.classList.toggle("pnb-waiting", !held.picture && model.get("has_pictures"));
    const scale = zoom.apply(stage.layers.picture);
    const [width, height] = shape.frameSize;
    if (held.picture) stage.layers.picture.getContext("2d").drawImage(held.picture, 0, 0, width * scale, height * scale);
    stage.show({ heatmap: this.heat, grid: false }, shape, zoom);
    if (this.heat) paintHeat(stage.layers.heat, held.frame, Math.max(0, this.drawing));
    const over = this.hand?.moved ? -1 : this.over;
    paintLabelled(stage.layers.overlay, zoom, work, shape, over, this.hand?.drawn ?? null);
    this.#cursor();
    this.#paintPage();
    this.stats.paints++;
    this.stats.painted = performance.now();
    this.stats.cost = this.stats.painted - started;
  }

  #cursor() {
    const hit = this.pointer && this.work.at(this.pointer, this.#reach);
    const edges = hit?.edges ?? "";
    const shapes = { l: "ew", r: "ew", t: "ns", b: "ns", lt: "nwse", rb: "nwse", lb: "nesw", tr: "nesw" };
    const inside = hit && !this.work.boxes[hit.i].sure ? "pointer" : hit?.i === this.work.selected ? "move" : "crosshair";
    this.stage.box.style.cursor = shapes[edges] ? `${shapes[edges]}-resize` : inside;
  }

  #paintPage() {
    const { work, model } = this;
    const record = work.records[work.position];
    const sure = record.boxes.filter((one) => one.sure).length;
    const doubt = record.boxes.length - sure;
    const state = record.done ? ", done" : doubt ? `, ${doubt} in doubt` : "";
    setText(this.summary, `Frame ${this.#name(work.position)} (${work.position + 1} of ${work.records.length}): ${sure} boxes${state}.`);
    setText(this.saved, `${work.done} of ${work.records.length} frames done. ${!this.#kept ? "Saving …" : `${this.#revision ? "Saved" : "Each action is saved"} in ${model.get("path")}`}`);
    this.saved.title = model.get("path");
    const active = this.work.selected >= 0 ? work.boxes[work.selected].c : this.drawing;
    for (const [c, button] of this.classButtons) button.setAttribute("aria-pressed", String(c === active));
    this.heatButton.setAttribute("aria-pressed", String(this.heat));
    const strip = [work.records, work.position];
    if (strip.every((one, i) => one === this.painted?.[i])) return;
    this.painted = strip; // it has a button for each frame
    this.frames.forEach((button, p) => {
      setText(button, work.records[p].done ? `${p + 1} ✓` : String(p + 1));
      button.setAttribute("aria-pressed", String(p === work.position));
    });
  }
}
