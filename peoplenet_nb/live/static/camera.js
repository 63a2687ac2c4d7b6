// The camera of the browser: a picture is sent when the last one was answered.

import { View, element, median } from "./liveview.js";

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

export class CameraView extends View {
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
