// The mode in which lines and zones are drawn: a toolbar, and what pointer and keys do while it is on.
//
// The keyboard has a pointer of its own: arrows move it, the space bar presses and lets go, so that whatever a mouse
// can draw, keys can. Events are taken before the picture's own gestures see them; the wheel still zooms.

import { button, h, setText } from "./dom.js";
import { SceneEditor } from "./scene.js";
import { paintScene } from "./scenepaint.js";

const TOOLS = [
  ["line", "Line", "Draw a line that people cross"],
  ["zone", "Zone", "Draw an area that people are in"],
  ["move", "Move", "Move points and shapes, or select one"],
];
const REACH = 9; // CSS pixels
const KEYS = "Keys: arrows move a cross (shift: by one pixel), space presses and lets go, Enter closes a zone, Escape gives up, Delete, z undoes.";

export class Drawing {
  /** @param {TunerView} view */
  constructor(view) {
    this.view = view;
    this.model = view.model;
    this.on = false;
    this.cursor = null;
    this.counted = { key: "", texts: {} };
    this.editor = new SceneEditor(view.shape, () => this.#changed());
    this.#build();
    this.#listen();
    this.editor.load(this.model.get("scene") ?? {});
    this.#show();
  }

  #build() {
    const { view, editor } = this;
    const then = (action) => view.guard(() => {
      action();
      this.#show();
    });
    const does = (text, title, action) => button(text, title, then(action));
    this.button = does("Draw", "Lines and zones: draw and change them (key d)", () => this.toggle());
    this.tools = TOOLS.map(([name, text, title]) => [name, does(text, title, () => this.#choose(name))]);
    this.list = h("select", { class: "pnb-select", title: "The line or zone that is selected", "aria-label": "Selected line or zone" });
    view.listenTo(this.list, "change", () => {
      editor.select(Number(this.list.value));
      this.#show();
    });
    const input = (type, label, placeholder, changed) => {
      const title = `${label} (Enter takes it)`;
      const element = h("input", { class: `pnb-select pnb-${type}`, type, title, "aria-label": label, placeholder, min: 0 });
      view.listenTo(element, "change", () => {
        changed(element.value);
        this.#show();
      });
      view.listenTo(element, "keydown", (event) => {
        event.stopPropagation();
        if (event.key === "Enter") view.root.focus({ preventScroll: true }); // which ends the change
      });
      return element;
    };
    this.name = input("text", "Name of the selected line or zone", "name", (text) => editor.rename(text));
    this.most = input("number", "How many people the selected zone may hold", "at most", (text) => editor.limit(text));
    this.flip = does("Flip", "Turn in and out of the selected line round (key f)", () => editor.flip());
    this.remove = does("Delete", "Take the selected line or zone away (key Delete)", () => editor.remove());
    this.undo = does("Undo drawing", "Take the last change of the drawing back (key z)", () => editor.undo());
    this.count = does("Count", "Follow people through the clip with these settings: who crosses, who stays", () => this.#ask());
    this.count.hidden = !view.store.clip;
    this.hint = h("div", { class: "pnb-hint", role: "status" });
    const row = h("div", { class: "pnb-toolbar", role: "toolbar", "aria-label": "Lines and zones" });
    row.append(...this.tools.map(([, one]) => one), this.list, this.name, this.most, this.flip, this.remove, this.undo, this.count);
    this.bar = h("div", { class: "pnb-drawing-bar", hidden: "" }, row, this.hint, h("div", { class: "pnb-keys" }, KEYS));
  }

  #listen() {
    const { view, model } = this;
    const stage = view.b.element; // before the stage's own gestures
    const pointer = (name, handler) => {
      const taken = (event) => {
        if (!this.on || view.whole.contains(event.target)) return;
        if (event.isPrimary === false) event.stopPropagation(); // a second finger
        else handler(event);
      };
      view.listenTo(stage, name, taken, { capture: true });
    };
    pointer("pointerdown", (event) => this.#down(event));
    pointer("pointermove", (event) => this.#moved(event));
    for (const name of ["pointerup", "pointercancel"]) pointer(name, (event) => this.#up(event));
    for (const name of ["click", "dblclick"]) pointer(name, (event) => event.stopPropagation());
    view.listenTo(view.root, "keydown", (event) => this.#key(event), { capture: true });
    view.listenToModel("change:scene", () => {
      this.editor.load(model.get("scene"));
      this.#show();
    });
    view.listenToModel("msg:custom", (content) => {
      if (content.type !== "counted") return;
      this.counted.texts = content.texts;
      this.editor.said = Object.entries(content.texts).map((pair) => pair.join(": ")).join(" · ");
      this.#show();
    });
  }

  // -- the mode

  toggle(on = !this.on) {
    this.on = on;
    if (!on) this.editor.abandon();
    this.cursor = this.view.pointer = null;
    this.view.paintPointer();
    this.view.root.classList.toggle("pnb-drawing", on);
    this.view.root.focus({ preventScroll: true });
    this.#show();
  }

  #choose(tool) {
    this.editor.choose(tool);
    this.view.root.focus({ preventScroll: true }); // else the keys would press the button again
  }

  #changed() {
    this.model.set("scene", this.editor.data());
    this.model.save_changes();
  }

  /** Have Python count; what it finds is shown for as long as neither scene nor settings change. */
  #ask() {
    this.counted = { key: this.#counts(), texts: {} };
    this.editor.said = "Counting over the whole clip …";
    this.view.order({ type: "count", scene: this.editor.data() });
  }

  // -- pointer and keys

  #place(event) {
    return this.view.actions.gestures.place(event);
  }

  get #reach() {
    return (REACH * this.view.zoom.width) / (this.view.zoom.factor * Math.max(1, this.view.b.box.clientWidth));
  }

  #down(event) {
    if (event.button > 0) return;
    this.cursor = null;
    this.view.root.focus({ preventScroll: true });
    this.pressed = this.editor.press(this.#place(event), this.#reach);
    this.#show();
    if (!this.pressed) return; // the picture is moved
    event.stopPropagation();
    this.view.b.box.setPointerCapture(event.pointerId);
  }

  #moved(event) {
    if (event.buttons & 1 && !this.pressed) return;
    event.stopPropagation();
    if (!this.editor.draft && !this.editor.held) return;
    this.editor.move(this.#place(event));
    this.#again();
  }

  #up(event) {
    if (!this.pressed) return;
    this.pressed = false;
    event.stopPropagation();
    if (event.type === "pointercancel") this.editor.abandon();
    else this.editor.release(this.#place(event), this.#reach);
    this.#show();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(SELECT|INPUT)$/.test(event.target.tagName)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const { editor } = this;
    const onButton = event.target.tagName === "BUTTON";
    const by = event.shiftKey ? 1 : Math.max(1, Math.round(this.view.zoom.width / this.view.zoom.factor / 100));
    const whileOn = {
      ArrowRight: () => this.#nudge(by, 0),
      ArrowLeft: () => this.#nudge(-by, 0),
      ArrowDown: () => this.#nudge(0, by),
      ArrowUp: () => this.#nudge(0, -by),
      " ": onButton ? null : () => this.#press(),
      Enter: onButton ? null : () => editor.finish(),
      Escape: () => editor.abandon() || (editor.chosen ? editor.select(-1) : this.toggle(false)),
      Backspace: () => editor.remove(),
      Delete: () => editor.remove(),
      f: () => editor.flip(),
      z: () => editor.undo(),
    };
    const action = key === "d" ? () => this.toggle() : this.on && whileOn[key];
    if (!action) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    action();
    this.#show();
  }

  #nudge(dx, dy) {
    const { zoom } = this.view;
    const from = this.cursor ?? zoom.point(0.5, 0.5);
    const to = { x: Math.min(zoom.width, Math.max(0, from.x + dx)), y: Math.min(zoom.height, Math.max(0, from.y + dy)) };
    this.cursor = to;
    this.editor.move(to);
    this.#again();
  }

  /** The space bar: a press, and once something is held a release. */
  #press() {
    this.cursor ??= this.view.zoom.point(0.5, 0.5);
    const { draft, held } = this.editor;
    if (draft?.kind === "line" || held) this.editor.release(this.cursor, this.#reach);
    else this.editor.press(this.cursor, this.#reach);
  }

  // -- what is seen

  #counts() {
    return JSON.stringify([this.editor.data(), this.view.numbers]);
  }

  #show() {
    const { editor } = this;
    this.bar.hidden = !this.on;
    this.button.setAttribute("aria-pressed", String(this.on));
    for (const [name, button] of this.tools) button.setAttribute("aria-pressed", String(editor.tool === name));
    const options = editor.shapes.map(({ name }, i) => h("option", { value: i }, name));
    this.list.replaceChildren(h("option", { value: -1 }, "none selected"), ...options);
    this.list.value = String(editor.selected);
    this.list.hidden = !editor.shapes.length;
    const none = !editor.chosen;
    if (document.activeElement !== this.name) this.name.value = editor.chosen?.name ?? "";
    this.name.disabled = none;
    if (document.activeElement !== this.most) this.most.value = editor.chosen?.most ?? "";
    this.most.hidden = editor.chosen?.kind !== "zone";
    this.flip.hidden = editor.chosen?.kind !== "line";
    this.remove.disabled = none && !editor.draft;
    this.undo.disabled = !editor.past.length && !editor.draft;
    this.count.disabled = !editor.shapes.length;
    setText(this.hint, editor.hint);
    this.#again();
  }

  #again() {
    this.dirty = true;
    this.view.schedule();
  }

  /** Draw the layer again where something on it, or the part of the frame that is shown, is other. */
  paint(moved) {
    const canvas = this.view.b.layers.scene;
    const current = this.counted.key !== "" && this.counted.key === this.#counts();
    if (!moved && !this.dirty && current === this.current) return;
    this.dirty = false;
    this.current = current;
    const counted = current ? this.counted.texts : {};
    paintScene(canvas, this.view.zoom, this.editor, { drawing: this.on, cursor: this.on ? this.cursor : null, counted });
  }
}
