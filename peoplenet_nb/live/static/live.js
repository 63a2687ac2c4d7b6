// A live picture with boxes over it: of a stream, whose pictures come from Python, or of the browser's own camera.
//
// One message of a kind is under way at a time. The stream's next picture is asked for when the last one is on screen,
// and the camera's is sent when the last one was answered, so nothing piles up behind a slow network.

const GONE = ["restarting", "autorestarting", "terminating", "dead"];
const WAIT_MS = 15000; // after which an answer is given up
const BUSY_MS = 2500;
const LONGEST = 960; // pixels of a picture that is sent
const REFUSALS = {
  NotAllowedError:
    "The browser was not allowed to use the camera.\nClick the camera in its address bar, allow it for this page, and press Start.",
  NotFoundError: "This computer has no camera, or none that the browser sees.",
  NotReadableError: "The camera is taken by another program. Close that, and press Start.",
  OverconstrainedError: "The camera gives no picture of the size that was asked for.",
};
const INSECURE =
  "This page is not a secure context, and browsers give no camera to such pages.\n" +
  "Open JupyterLab by its https:// address (a pod's proxy has one), or through a tunnel as http://localhost.";

function element(parent, tag, more = {}, name = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  Object.assign(made, more);
  parent.append(made);
  return made;
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

class View {
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
    this.watch();
  }

  watch() {
    const kernel = this.model.widget_manager?.kernel;
    if (!kernel?.statusChanged) return;
    const changed = (_, status) => GONE.includes(status) && this.gone();
    kernel.statusChanged.connect(changed);
    this.over.signal.addEventListener("abort", () => kernel.statusChanged.disconnect(changed));
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

class CameraView extends View {
  build() {
    this.start = this.button("Start camera", "Let this page see your camera", () => this.begin());
    this.stop = this.button("Stop", "Switch the camera off", () => this.end());
    this.keep = this.button("Keep a still", "Keep the picture that was answered last, for the tuner", () =>
      this.model.send({ type: "keep" }),
    );
    this.stop.disabled = this.keep.disabled = true;
    this.dot = element(this.bar, "span", {}, "pnb-live-dot");
    this.video = element(this.stage, "video", { muted: true, playsInline: true });
    this.n = 0;
    this.waiting = 0;
    queueMicrotask(() => this.say(this.reason() || "Press Start camera: the browser will ask you."));
  }

  reason() {
    return globalThis.isSecureContext && navigator.mediaDevices?.getUserMedia ? "" : INSECURE;
  }

  async begin() {
    if (this.reason() || this.stream) return this.say(this.reason() || this.stats.error);
    try {
      const video = { width: { ideal: 640 }, height: { ideal: 480 } };
      this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      return this.say(REFUSALS[error.name] ?? `The camera cannot be used: ${error.message}`);
    }
    if (this.over.signal.aborted) return this.end();
    this.say("");
    this.stream.getVideoTracks()[0].addEventListener("ended", () => this.end("The camera was switched off."));
    this.video.srcObject = this.stream;
    await this.video.play();
    this.start.disabled = true;
    this.stop.disabled = false;
    this.dot.dataset.state = "live";
    this.clock = setInterval(() => this.look(), 500);
    this.shoot();
  }

  end(text = "The camera is off.") {
    clearInterval(this.clock);
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.stream && !this.over.signal.aborted) {
      this.boxes.getContext("2d").clearRect(0, 0, this.boxes.width, this.boxes.height);
      this.say(text);
    }
    this.stream = this.video.srcObject = null;
    this.waiting = 0;
    this.start.disabled = false;
    this.stop.disabled = this.keep.disabled = true;
    this.dot.dataset.state = "";
  }

  /** Say that the kernel is busy, and give up an answer that was lost. */
  look() {
    const waited = this.waiting ? performance.now() - this.sent : 0;
    this.trouble.textContent =
      this.refused || (waited > BUSY_MS ? "The kernel is busy with a cell: boxes come when that is done." : "");
    if (waited > WAIT_MS && !this.model.widget_manager?.kernel?.status?.startsWith("busy")) {
      this.waiting = 0;
      this.shoot();
    }
  }

  async shoot() {
    if (!this.stream || this.waiting) return;
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width || document.hidden) return void setTimeout(() => this.shoot(), 100);
    this.waiting = this.n += 1;
    this.sent = performance.now();
    const share = Math.min(1, LONGEST / Math.max(width, height));
    const size = [Math.round(width * share), Math.round(height * share)];
    if (this.paper?.width !== size[0] || this.paper?.height !== size[1]) this.paper = new OffscreenCanvas(...size);
    this.paper.getContext("2d").drawImage(this.video, 0, 0, ...size);
    const blob = await this.paper.convertToBlob({ type: "image/jpeg", quality: 0.85 });
    this.bytes = blob.size;
    this.model.send({ type: "frame", n: this.n }, undefined, [await blob.arrayBuffer()]);
  }

  async got(content) {
    if (content.type === "kept") {
      const text = content.there ? "Kept: it is the camera's .still." : "There is no picture yet.";
      this.line.textContent = this.keeping = text;
      return;
    }
    if (content.type !== "boxes" || content.n !== this.waiting || !this.stream) return;
    const took = performance.now() - this.sent;
    this.waiting = 0;
    this.refused = content.failed ?? "";
    if (!content.failed) {
      this.fit(this.video.videoWidth, this.video.videoHeight);
      this.draw(content.boxes, content.size);
      this.keep.disabled = false;
      this.remember(this.stats.roundTrips, took);
      this.remember(this.stats.network, content.network_ms);
      this.remember(this.stats.kernel, content.kernel_ms);
      this.stats.bytes = this.bytes;
      this.tell(content);
    }
    requestAnimationFrame(() => this.shoot());
    if (document.hidden) this.shoot();
  }

  tell(content) {
    if (this.keeping) return void setTimeout(() => (this.keeping = ""), 1500);
    const labels = this.model.get("labels");
    const counts = content.counts.map((number, i) => `${number} ${labels[i]}`).join(", ");
    const recent = this.stats.roundTrips.slice(-20);
    const trip = median(recent);
    this.line.textContent =
      `${counts} · ${trip.toFixed(0)} ms from picture to boxes, the network ${content.network_ms.toFixed(0)} of them · ` +
      `${(1000 / Math.max(1, trip)).toFixed(1)} a second`;
  }
}

class StreamView extends View {
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

function render({ model, el }) {
  const Kind = model.get("mode") === "camera" ? CameraView : StreamView;
  const view = new Kind(model, el);
  return () => view.dispose();
}

export default { render };
