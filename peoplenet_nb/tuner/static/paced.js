// When a view draws and does what can wait, and where its errors go.
//
// A change draws at once, in the same task, if nothing was drawn since the display's last frame; else it waits for
// the next one. So a slider costs one decode and one drawing a display frame at most, the newest values win, and
// no change waits longer than it must.

import { setText } from "./dom.js";
import { watchKernel } from "./kernel.js";

/** What a view is built on. It needs `model`, `store`, `root`, `trouble`, `gone` and `paint()` from the view. */
export class Paced {
  constructor() {
    this.timers = new Map();
    this.cleanups = [];
    this.safePaint = this.guard(() => this.paint());
  }

  /** Add a handler whose errors are shown, and that goes when the view does. */
  listenTo(target, name, handler, options) {
    const guarded = this.guard(handler);
    target.addEventListener(name, guarded, options);
    this.cleanups.push(() => target.removeEventListener(name, guarded, options));
  }

  /** The same for the model: a trait that changes, or a message. */
  listenToModel(name, handler) {
    const guarded = this.guard(handler);
    this.model.on(name, guarded);
    this.cleanups.push(() => this.model.off(name, guarded));
  }

  /** Draw anew when the frame at `position()` arrives or an element has another size; say when the kernel is gone. */
  watch(position, elements) {
    const arrived = this.guard((index) => index === position() && this.schedule());
    this.store.listeners.add(arrived);
    const resized = new ResizeObserver(this.guard(() => this.schedule()));
    for (const element of elements) resized.observe(element);
    const gone = () => {
      this.gone.hidden = false;
      this.store.closed = true;
    };
    this.cleanups.push(() => this.store.listeners.delete(arrived), () => resized.disconnect(), watchKernel(this.model, gone));
  }

  send(message) {
    if (this.gone.hidden) this.model.send(message);
  }

  dispose() {
    this.stop();
    this.root.remove();
  }

  /** A handler whose error is shown and sent to Python instead of lost; shown until the handler works again. */
  guard(handler) {
    let failed = false;
    return (...values) => {
      try {
        const result = handler(...values);
        if (failed) this.trouble.hidden = true;
        failed = false;
        return result;
      } catch (error) {
        failed = true;
        this.trouble.hidden = false;
        setText(this.trouble, `The tuner met an error: ${error.message ?? error}`);
        this.send({ type: "error", message: String(error.stack ?? error) });
        return undefined;
      }
    };
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
    if (this.queued || this.stopped) return;
    this.queued = true;
    // A microtask: traits that change together, as a preset's do, are drawn together.
    queueMicrotask(() => {
      this.queued = false;
      if (!this.busy && !this.stopped) this.#drawNow();
    });
  }

  #drawNow() {
    if (!this.dirty || !this.root.isConnected) {
      if (this.dirty) this.later("attach", 30, () => this.schedule());
      return;
    }
    this.busy = true;
    this.dirty = false;
    this.safePaint();
    this.nextFrame = requestAnimationFrame(() => {
      this.busy = false;
      this.#drawNow();
    });
  }

  stop() {
    this.stopped = true; // else what is drawn once the view is on the page would wait for that for ever
    for (const back of this.cleanups) back();
    for (const timer of this.timers.values()) clearTimeout(timer);
    cancelAnimationFrame(this.nextFrame);
  }
}
