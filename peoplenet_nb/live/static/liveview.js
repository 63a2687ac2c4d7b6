// A live picture with boxes over it: of a stream, whose pictures come from Python, or of the browser's own camera.
//
// One message of a kind is under way at a time. The stream's next picture is asked for when the last one is on screen,
// and the camera's is sent when the last one was answered, so nothing piles up behind a slow network.

import { watchKernel } from "../../tuner/static/kernel.js";

export function element(parent, tag, more = {}, name = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  Object.assign(made, more);
  parent.append(made);
  return made;
}

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

export class View {
  constructor(model, el) {
    this.model = model;
    this.over = new AbortController();
    const root = (this.root = element(el, "div", {}, "pnb-tuner pnb-live"));
    this.bar = element(root, "div", { role: "toolbar" }, "pnb-toolbar");
    this.stage = element(root, "div", {}, "pnb-live-stage");
    this.build();
    this.boxes = element(this.stage, "canvas", {}, "pnb-live-boxes");
    this.said = element(this.stage, "div", {}, "pnb-live-say");
    this.trouble = element(this.stage, "div", { role: "alert" }, "pnb-live-trouble");
    this.line = element(root, "div", {}, "pnb-live-line");
    this.stats = { shown: 0, boxes: [], error: "", roundTrips: [], kernel: [], network: [], ages: [], echo: (n) => this.echo(n) };
    root.liveStats = this.stats;
    this.onMessage = (content, buffers) => this.receive(content, buffers).catch((error) => this.failed(error));
    model.on("msg:custom", this.onMessage);
    this.over.signal.addEventListener("abort", watchKernel(model, () => this.gone()));
  }

  gone() {
    this.say("The kernel was stopped or started again. Run the cell again.");
    this.end();
  }

  end() {}

  dispose() {
    this.end();
    this.over.abort();
    this.model.off("msg:custom", this.onMessage);
  }

  button(text, title, action) {
    const made = element(this.bar, "button", { textContent: text, title, type: "button" }, "pnb-button");
    made.addEventListener("click", () => Promise.resolve(action()).catch((error) => this.failed(error)));
    return made;
  }

  say(text) {
    this.said.textContent = text;
    this.stats.error = text;
  }

  failed(error) {
    this.trouble.textContent = `${error.name}: ${error.message}`;
    this.model.send({ type: "error", message: `${error.name}: ${error.message}` });
  }

  fit(width, height) {
    if (!width || (this.boxes.width === width && this.boxes.height === height)) return;
    this.stage.style.aspectRatio = `${width} / ${height}`;
    for (const canvas of this.stage.querySelectorAll("canvas")) [canvas.width, canvas.height] = [width, height];
  }

  draw(found, [width, height]) {
    const context = this.boxes.getContext("2d");
    const { width: w, height: h } = this.boxes;
    const unit = Math.max(w, h) / 960;
    context.clearRect(0, 0, w, h);
    context.font = `600 ${Math.max(11, Math.round(15 * unit))}px system-ui, sans-serif`;
    context.textBaseline = "bottom";
    const colours = this.model.get("colours");
    const labels = this.model.get("labels");
    for (const [x1, y1, x2, y2, kind, confidence] of found) {
      const [left, top] = [(x1 * w) / width, (y1 * h) / height];
      const box = [left, top, ((x2 - x1) * w) / width, ((y2 - y1) * h) / height];
      for (const [style, thick] of [["#101418", 4], [colours[kind], 2.4]]) {
        [context.strokeStyle, context.lineWidth] = [style, thick * Math.max(0.7, unit)];
        context.strokeRect(...box);
      }
      const text = `${labels[kind]} ${confidence.toFixed(2)}`;
      const size = context.measureText(text).width + 8;
      const high = Math.round(20 * Math.max(0.8, unit));
      const at = Math.max(high, top);
      context.fillStyle = colours[kind];
      context.fillRect(left, at - high, size, high);
      context.fillStyle = "#101418";
      context.fillText(text, left + 4, at - 2);
    }
    const note = this.model.get("note");
    if (note) {
      context.fillStyle = "#101418bb";
      context.fillRect(0, h - 24 * unit, context.measureText(note).width + 12, 24 * unit);
      context.fillStyle = "#fff";
      context.fillText(note, 6, h - 3 * unit);
    }
    this.stats.boxes = found;
    this.stats.shown += 1;
  }

  remember(list, value) {
    list.push(value);
    if (list.length > 300) list.shift();
  }

  /** How long messages alone take: one of `bytes` bytes there, and a word back. @returns milliseconds */
  echo(bytes) {
    const began = performance.now();
    this.model.send({ type: "echo" }, undefined, [new ArrayBuffer(bytes)]);
    return new Promise((resolve) => (this.echoed = () => resolve(performance.now() - began)));
  }

  async receive(content, buffers) {
    if (content.type === "echo") this.echoed?.();
    else await this.got(content, buffers);
  }
}
