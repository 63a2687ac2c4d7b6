// A stream whose pictures come from Python: the next one is asked for when the last one is on screen.

import { View, element } from "./liveview.js";

export class StreamView extends View {
  build() {
    this.start = this.button("Start", "Watch the stream", () => this.model.send({ type: "start" }));
    this.record = this.button("Record", "Write the video with its boxes, and tables, from now on", () =>
      this.model.send({ type: "record" }),
    );
    this.stop = this.button("Stop", "Let go of the stream; what was recorded is whole then", () =>
      this.model.send({ type: "stop" }),
    );
    this.dot = element(this.bar, "span", {}, "pnb-live-dot");
    this.name = element(this.bar, "span", {}, "pnb-class");
    this.picture = element(this.stage, "canvas", {}, "pnb-live-picture");
    this.seen = 0;
    queueMicrotask(() => {
      this.chart = element(this.root, "canvas", {}, "pnb-live-chart");
      this.lines = element(this.root, "div", {}, "pnb-live-lines");
      this.say("Press Start.");
      const again = () => document.hidden || this.ask();
      document.addEventListener("visibilitychange", again, { signal: this.over.signal });
      this.ask();
    });
  }

  /** Ask for the newest picture. */
  ask() {
    if (this.over.signal.aborted || document.hidden) return;
    const width = Math.round(this.stage.clientWidth * Math.min(2, devicePixelRatio || 1));
    this.model.send({ type: "next", seen: this.seen, width });
  }

  async got(content, buffers) {
    if (content.type === "state") return this.state(content.state);
    if (content.type !== "picture") return;
    const bitmap = await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" }));
    this.seen = content.n;
    this.fit(bitmap.width, bitmap.height);
    this.picture.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    this.draw(content.boxes, content.size);
    this.stats.n = content.n;
    this.stats.bytes = buffers[0].byteLength;
    this.remember(this.stats.ages, Date.now() - content.clock); // where both have the same clock
    this.state(content.state);
    this.ask();
  }

  state(state) {
    const { running, recording, trouble, error } = state;
    this.dot.dataset.state = error || trouble ? "lost" : recording ? "recording" : running ? "live" : "";
    this.start.disabled = running;
    this.record.disabled = recording;
    this.stop.disabled = !running;
    this.name.textContent = state.name;
    this.trouble.textContent = error || trouble;
    if (running || this.stats.shown) this.say("");
    else this.say("Press Start.");
    const late = state.p50 === null ? "" : ` · from arrival to boxes p50 ${state.p50} ms, p95 ${state.p95} ms`;
    const said = `${state.fps.toFixed(1)} frames a second, ${state.dropped} of ${state.arrived} dropped${late}`;
    this.line.textContent = `${state.words ? `${state.words} · ` : ""}${state.arrived ? said : ""}`;
    this.stats.state = state;
    this.paintChart(state.counts);
    this.paintLines(state);
  }

  /** Boxes of each class over the last minutes. `counts`: seconds ago, then one number a class. */
  paintChart(counts) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const [w, h] = [Math.round(this.chart.clientWidth * ratio), Math.round(96 * ratio)];
    if (this.chart.width !== w || this.chart.height !== h) [this.chart.width, this.chart.height] = [w, h];
    const context = this.chart.getContext("2d");
    const style = getComputedStyle(this.root);
    context.clearRect(0, 0, w, h);
    if (!counts.length) return;
    const span = Math.max(30, counts[0][0]);
    const most = Math.max(1, ...counts.flatMap((row) => row.slice(1)));
    const [left, low, high] = [28 * ratio, h - 16 * ratio, 8 * ratio];
    const x = (ago) => w - 4 * ratio - ((w - left - 4 * ratio) * ago) / span;
    const y = (number) => low - ((low - high) * number) / most;
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    context.fillStyle = style.getPropertyValue("--pnb-faint");
    context.strokeStyle = style.getPropertyValue("--pnb-line");
    context.lineWidth = ratio;
    context.textAlign = "right";
    for (const number of [0, most]) {
      context.fillText(most === 1 || number !== 1 ? `${Math.round(number)}` : "", left - 5 * ratio, y(number) + 4 * ratio);
      context.beginPath();
      context.moveTo(left, y(number));
      context.lineTo(w - 4 * ratio, y(number));
      context.stroke();
    }
    context.fillText("now", w - 4 * ratio, h - 3 * ratio);
    context.textAlign = "left";
    context.fillText(span >= 90 ? `${Math.round(span / 60)} min ago` : `${Math.round(span)} s ago`, left, h - 3 * ratio);
    this.model.get("colours").forEach((colour, kind) => {
      context.strokeStyle = colour;
      context.lineWidth = 2 * ratio;
      context.beginPath();
      counts.forEach((row, i) => (i ? context.lineTo : context.moveTo).call(context, x(row[0]), y(row[1 + kind])));
      context.stroke();
    });
  }

  paintLines({ tracks, lines }) {
    this.lines.replaceChildren();
    if (tracks === null) return;
    element(this.lines, "div", { textContent: `${tracks} different people in the last minute` });
    if (!lines.length) return;
    const table = element(this.lines, "table");
    for (const row of [["line", "in", "out"], ...lines]) {
      const line = element(table, "tr");
      for (const cell of row) element(line, row[0] === "line" ? "th" : "td", { textContent: cell });
    }
  }
}
