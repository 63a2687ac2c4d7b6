// A whole clip in the browser: the cells that could matter, and counts that follow the settings.
//
// Counting 800 frames takes longer than one display frame may, so it is done in small
// steps between paints and started anew when a setting moves; the newest settings win, no work piles up.

import { Between } from "./between.js";
import { decode } from "./decode.js";
import { FrameData, frameFromGrids } from "./geometry.js";

export class ClipData {
  /**
   * @param {DataView} view what peoplenet_nb/tuner/wire.py packs: the frames that the network saw
   * @param rules what peoplenet_nb/tuner/between.py sends, where there are others
   */
  constructor(shape, view, rules = null) {
    this.shape = shape;
    this.between = rules?.keys ? new Between(this, rules) : null;
    // A copy where the bytes do not lie on a multiple of four, as typed arrays need.
    const aligned = view.byteOffset % 4 === 0;
    const end = view.byteOffset + view.byteLength;
    const bytes = aligned ? view.buffer : view.buffer.slice(view.byteOffset, end);
    let at = aligned ? view.byteOffset : 0;
    const seen = view.getUint32(0, true);
    this.length = this.between ? rules.times.length : seen;
    this.offsets = new Uint32Array(bytes, at + 4, seen + 1);
    const n = this.offsets[seen];
    at += 4 * (seen + 2);
    this.cells = new Uint32Array(bytes, at, n);
    this.coverage = new Float32Array(bytes, at + 4 * n, n);
    this.distances = shape.hasBoxes ? new Float32Array(bytes, at + 8 * n, 4 * n) : null;
    this.frames = new Array(this.length);
  }

  /** One frame's cells from the floor up; made once, so that later decodes find its boxes ready. */
  frame(index) {
    if (!this.frames[index]) {
      const number = this.between ? this.between.numbers.get(index) : index;
      const from = this.offsets[number] ?? 0;
      const to = this.offsets[number + 1] ?? 0; // none of a frame that the network did not see
      this.frames[index] = new FrameData(
        this.shape,
        this.cells.subarray(from, to),
        this.coverage.subarray(from, to),
        this.distances && this.distances.subarray(4 * from, 4 * to),
      );
    }
    return this.frames[index];
  }
}

/** Decode a frame of a clip; one that the network did not see has the boxes between its neighbours. */
export function decodeAt(clip, index, frame, settings) {
  const result = decode(frame, settings);
  if (!clip?.between?.has(index)) return result;
  return { ...result, detections: clip.between.detections(index, settings), ends: clip.between.ends(index) };
}

/** One frame as Python packs it (`wire.pack_grids`): of saved grids only the cells that were saved. */
export function frameOf(shape, view) {
  return shape.floor ? new ClipData(shape, view).frame(0) : frameFromGrids(shape, view);
}

/** Detections per frame and class under some settings, counted a few frames at a time. */
export class ClipCounts {
  constructor(clip) {
    this.clip = clip;
    this.classes = clip.shape.labels.length;
    this.counts = new Int32Array(clip.length * this.classes);
    this.finished = false;
    this.settings = null;
    this.done = 0;
    this.first = 0;
  }

  /** Begin anew, at the frame that is being looked at; old counts stay until they are replaced. */
  start(settings, first = 0) {
    Object.assign(this, { settings, first, done: 0, finished: this.clip.length === 0 });
  }

  /** Count for about so many milliseconds, one frame at least. @returns {boolean} whether all is counted */
  step(milliseconds) {
    const until = performance.now() + milliseconds;
    while (!this.finished) {
      const index = (this.first + this.done) % this.clip.length;
      const { counts } = decodeAt(this.clip, index, this.clip.frame(index), this.settings).detections;
      this.counts.set(counts, index * this.classes);
      this.finished = ++this.done === this.clip.length;
      if (performance.now() >= until) break;
    }
    return this.finished;
  }

  total(c) {
    let sum = 0;
    for (let i = c; i < this.counts.length; i += this.classes) sum += this.counts[i];
    return sum;
  }
}
