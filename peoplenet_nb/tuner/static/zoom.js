// Which part of the frame the canvases show, and the wheel, fingers and double clicks that change it.
//
// The wheel scrolls the page as ever when it was scrolling already: only one that starts over the picture zooms.

const MOST = 16;
const SLACK = 4; // CSS pixels that a hand may shake during a click
const SCROLLING = 350; // ms after which a wheel that scrolled the page may zoom

export class Zoom {
  constructor({ frameSize }) {
    [this.width, this.height] = frameSize;
    this.reset();
  }

  reset() {
    Object.assign(this, { factor: 1, x: 0, y: 0 });
  }

  /** Zoom by a factor; the point of the frame under the pointer stays where it is. */
  by(times, { x, y }) {
    const factor = Math.min(MOST, Math.max(1, this.factor * times));
    const share = this.factor / factor;
    this.factor = factor;
    this.moveTo(x - (x - this.x) * share, y - (y - this.y) * share);
  }

  /** Show the part that begins at a point of the frame, as far as the frame goes. */
  moveTo(x, y) {
    const most = 1 - 1 / this.factor;
    this.x = Math.min(this.width * most, Math.max(0, x));
    this.y = Math.min(this.height * most, Math.max(0, y));
  }

  /** A point of the frame from a share (0 to 1) of the stage. */
  point(across, down) {
    return { x: this.x + (across * this.width) / this.factor, y: this.y + (down * this.height) / this.factor };
  }

  /** Make a canvas draw in frame pixels times `scale`, moved to the part that is shown. @returns the scale */
  apply(canvas) {
    const scale = (canvas.width * this.factor) / this.width;
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(1, 0, 0, 1, -Math.round(this.x * scale), -Math.round(this.y * scale));
    return scale;
  }
}

/** Pointer and wheel on one stage. */
export class Gestures {
  /**
   * @param {() => void} changed called after the part that is shown changed
   * @param {(event) => boolean} takes whether a press is for moving the frame, not for something else
   */
  constructor(box, zoom, on, changed, takes = () => true) {
    Object.assign(this, { box, zoom, changed, takes, pointers: new Map(), dragged: false, scrolled: 0 });
    on(window, "wheel", (event) => !box.contains(event.target) && (this.scrolled = event.timeStamp), { passive: true, capture: true });
    on(box, "wheel", (event) => this.#wheel(event), { passive: false });
    on(box, "dblclick", (event) => this.#double(event));
    on(box, "mousedown", (event) => event.detail > 1 && event.preventDefault()); // which would select the text below
    on(box, "pointerdown", (event) => this.#down(event));
    on(box, "pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) on(box, name, (event) => this.pointers.delete(event.pointerId));
  }

  /** Where on the frame an event is, in frame pixels. */
  place({ clientX, clientY }) {
    const area = this.box.getBoundingClientRect();
    return this.zoom.point((clientX - area.left) / area.width, (clientY - area.top) / area.height);
  }

  #wheel(event) {
    const pinch = event.ctrlKey; // what a touchpad's pinch comes as
    const goesOut = event.deltaY > 0 && this.zoom.factor === 1;
    if (!pinch && (goesOut || event.timeStamp - this.scrolled < SCROLLING)) {
      this.scrolled = event.timeStamp;
      return;
    }
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.zoom.by(Math.exp(-event.deltaY * lines * (pinch ? 0.01 : 0.002)), this.place(event));
    this.changed();
  }

  /** In to where it was clicked, or back to the whole frame. */
  #double(event) {
    if (!this.takes(event)) return;
    if (this.zoom.factor > 1) this.zoom.reset();
    else this.zoom.by(3, this.place(event));
    this.changed();
  }

  #down(event) {
    if (event.button > 0 || !this.takes(event)) return;
    this.pointers.set(event.pointerId, event);
    this.dragged = this.pointers.size > 1;
    this.box.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const shaken = Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
    if (!this.dragged && shaken < SLACK) return;
    this.dragged = true;
    const [from, middle] = this.#spread();
    this.pointers.set(event.pointerId, event);
    const [to, now] = this.#spread();
    const held = this.place(middle);
    if (from > 0 && to > 0) this.zoom.by(to / from, held);
    // What was under the fingers stays under them.
    const under = this.place(now);
    this.zoom.moveTo(this.zoom.x + held.x - under.x, this.zoom.y + held.y - under.y);
    this.changed();
  }

  /** How far two fingers are apart (0 with one), and the point between them. */
  #spread() {
    const [a, b = a] = this.pointers.values();
    const middle = { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
    return [Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), middle];
  }
}
