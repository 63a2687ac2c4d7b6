// Right, false and missed: the boxes of a whole clip against labels, while a slider moves.
//
// The second implementation of peoplenet_nb/metrics/curves.py, tested against it. Under NMS
// every box is that of one cell. So which better boxes it overlaps, and which truths, does not depend on the settings:
// both are listed once, and a move only walks the lists. Boxes of DBSCAN are means of many; they are decoded anew,
// a few frames at a time. Either way only the classes whose numbers moved are looked at, and the whole curve is
// kept: a threshold of NMS then costs a look into it.

import { decode, Fate, limitOf } from "./decode.js";
import { countWhile } from "./geometry.js";
import { LEAST_IOU, matchFrame, Verdict } from "./truths.js";

const CURVE = 0.01; // from which threshold on a curve is drawn, as in peoplenet_nb/evaluation/clip.py

/** A typed array that grows. */
class Grown {
  constructor(Kind) {
    this.values = new Kind(4096);
    this.length = 0;
  }

  push(value) {
    if (this.length === this.values.length) {
      const larger = new this.values.constructor(2 * this.length);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
  }

  trimmed() {
    return this.values.slice(0, this.length);
  }
}

/** All boxes of one class in the labelled frames, best first in each, with the overlaps that NMS and matching ask for. */
class BoxLists {
  constructor(truths, c) {
    Object.assign(this, { truths, c, first: [0], done: 0 });
    const kinds = { coverage: Float32Array, box: Float64Array, pairs: Uint32Array, hits: Uint32Array };
    kinds.better = Uint32Array; // of each pair the better box, and their IoU
    kinds.iou = Float64Array;
    kinds.row = Uint32Array; // of each hit the truth, and how far they overlap
    kinds.overlap = Float64Array;
    for (const [name, Kind] of Object.entries(kinds)) this[name] = new Grown(Kind);
    this.pairs.push(0);
    this.hits.push(0);
  }

  /** List one more frame. */
  add(frame) {
    frame.prepare();
    const { c, truths } = this;
    const { x1, y1, x2, y2, area } = frame.box;
    const [sx, sy] = frame.shape.scale;
    const order = frame.order[c];
    const rows = truths.of(this.done, c);
    const base = this.coverage.length;
    for (let i = 0; i < order.length; i++) {
      const e = order[i];
      for (let j = 0; j < i; j++) {
        const b = order[j];
        const width = Math.min(x2[e], x2[b]) - Math.max(x1[e], x1[b]);
        if (width <= 0) continue;
        const height = Math.min(y2[e], y2[b]) - Math.max(y1[e], y1[b]);
        if (height <= 0) continue;
        this.better.push(base + j);
        this.iou.push((width * height) / (area[b] + area[e] - width * height));
      }
      this.pairs.push(this.better.length);
      const box = [x1[e] * sx, y1[e] * sy, x2[e] * sx, y2[e] * sy];
      for (const r of rows) {
        const overlap = truths.overlap(...box, r);
        if (overlap < LEAST_IOU) continue;
        this.row.push(r);
        this.overlap.push(overlap);
      }
      this.hits.push(this.row.length);
      this.coverage.push(frame.coverage[e]);
      for (const value of box) this.box.push(value);
    }
    this.bottom = frame.shape.frameSize[1];
    this.first.push(this.coverage.length);
    this.done++;
  }

  /** All frames are listed: put the boxes in the order of the curve. */
  finish() {
    for (const name of ["coverage", "box", "pairs", "hits", "better", "iou", "row", "overlap"]) {
      this[name] = this[name].trimmed();
    }
    const { coverage } = this;
    this.order = Uint32Array.from(coverage.keys()).sort((a, b) => coverage[b] - coverage[a] || a - b);
    this.kept = new Uint8Array(coverage.length);
    this.verdict = new Uint8Array(coverage.length);
    this.used = new Uint8Array(this.truths.count);
  }

  /** NMS, filters and matching in all frames, down to a coverage. @returns {Curve} */
  walk(settings, least) {
    const { first, coverage, box, pairs, better, iou, kept, verdict, used, c, bottom } = this;
    const [most, threshold] = [settings.topK[c], settings.nmsIou[c]];
    used.fill(0);
    for (let f = 0; f + 1 < first.length; f++) {
      let taken = 0;
      for (let i = first[f]; i < first[f + 1]; i++) {
        verdict[i] = Verdict.NONE;
        if (coverage[i] < least) continue;
        let keep = 1;
        for (let p = pairs[i]; p < pairs[i + 1]; p++) {
          if (iou[p] > threshold && kept[better[p]]) {
            keep = 0;
            break;
          }
        }
        kept[i] = keep;
        if (!keep || taken >= most) continue;
        const b = 4 * i;
        if (limitOf(settings, c, box[b], box[b + 1], box[b + 2], box[b + 3], bottom) !== Fate.KEPT) continue;
        taken++;
        verdict[i] = this.#choose(i);
      }
    }
    const curve = new Curve(this.truths.wanted(c));
    for (const i of this.order) {
      if (coverage[i] < least) break;
      if (verdict[i]) curve.add(coverage[i], verdict[i]);
    }
    return curve;
  }

  #choose(i) {
    const { hits, row, overlap, used, truths } = this;
    let [best, value] = [-1, -3];
    for (let p = hits[i]; p < hits[i + 1]; p++) {
      const r = row[p];
      if (used[r]) continue;
      const worth = truths.ignore[r] ? overlap[p] - 2 : overlap[p];
      if (worth >= value) {
        best = r;
        value = worth;
      }
    }
    if (best < 0) return Verdict.FALSE;
    if (truths.ignore[best]) return Verdict.IGNORED;
    used[best] = 1;
    return Verdict.RIGHT;
  }
}

/** Right and false boxes of a class as the confidence falls. */
export class Curve {
  constructor(truths) {
    this.truths = truths;
    this.confidence = [];
    this.hits = [];
    this.best = { f1: 0, confidence: NaN };
  }

  /** Add the next box by falling confidence; one that is ignored does not count. */
  add(confidence, verdict) {
    if (verdict === Verdict.IGNORED) return;
    const hits = (this.hits.at(-1) ?? 0) + (verdict === Verdict.RIGHT ? 1 : 0);
    this.confidence.push(confidence);
    this.hits.push(hits);
    const f1 = f1Of(hits / this.hits.length, hits / Math.max(this.truths, 1));
    if (f1 > this.best.f1) this.best = { f1, confidence };
  }

  /** What is reached when everything down to a confidence is taken; NaN where there is nothing to say. */
  at(confidence) {
    const low = countWhile(this.confidence.length, (i) => this.confidence[i] >= confidence);
    const right = low ? this.hits[low - 1] : 0;
    const [precision, recall] = [right / low, this.truths ? right / this.truths : NaN];
    const f1 = this.truths ? f1Of(low ? precision : 0, recall) : NaN;
    return { right, wrong: low - right, missed: this.truths - right, truths: this.truths, precision, recall, f1 };
  }

  /** `[recall, precision]` at most so many times, for drawing. */
  points(most) {
    const n = this.hits.length;
    const step = Math.max(1, Math.ceil(n / most));
    const points = [];
    for (let i = 0; i < n; i += step) points.push([this.hits[i] / Math.max(this.truths, 1), this.hits[i] / (i + 1)]);
    if (n) points.push([this.hits[n - 1] / Math.max(this.truths, 1), this.hits[n - 1] / n]);
    return points;
  }
}

function f1Of(precision, recall) {
  return precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
}

/** The curves of all judged classes under the settings of the moment. */
export class ClipJudge {
  constructor(clip, truths) {
    Object.assign(this, { clip, truths, listed: 0, curves: new Map(), keys: new Map() });
    this.lists = new Map(truths.judged.map((c) => [c, new BoxLists(truths, c)]));
    this.curveFrom = Math.max(CURVE, clip.shape.floor);
  }

  /** Take settings over; curves that do not follow from them are old until `step` made them anew. */
  start(settings) {
    this.settings = settings;
    this.old = this.truths.judged.filter((c) => this.keys.get(c) !== this.#key(c));
    this.work = null;
  }

  get finished() {
    return this.settings !== undefined && !this.old.length;
  }

  /** What a class's curve follows from; a threshold of NMS is only a place on it. */
  #key(c) {
    const { threshold, minConfidence, ...rest } = this.settings;
    const from = rest.clustering === "nms" ? this.#least(c) : threshold[c];
    return JSON.stringify([from, ...Object.values(rest).map((value) => (Array.isArray(value) ? value[c] : value))]);
  }

  #least(c) {
    return Math.min(this.settings.threshold[c], this.curveFrom);
  }

  /** Work for about so many milliseconds. @returns {boolean} whether all is done */
  step(milliseconds) {
    const until = performance.now() + milliseconds;
    while (!this.finished) {
      if (this.listed < this.truths.frames.length) this.#list();
      else if (this.settings.clustering === "nms") this.#walk();
      else this.#decode();
      if (performance.now() >= until) break;
    }
    return this.finished;
  }

  #list() {
    const frame = this.clip.frame(this.truths.frames[this.listed++]);
    for (const list of this.lists.values()) list.add(frame);
    if (this.listed === this.truths.frames.length) for (const list of this.lists.values()) list.finish();
  }

  #walk() {
    const c = this.old.pop();
    this.curves.set(c, this.lists.get(c).walk(this.settings, this.#least(c)));
    this.keys.set(c, this.#key(c));
  }

  /** Decode one more frame, the classes that are old only. */
  #decode() {
    const { truths, clip, old } = this;
    this.work ??= { f: 0, rows: new Map(old.map((c) => [c, []])), settings: this.#opened() };
    const { work } = this;
    const { detections } = decode(clip.frame(truths.frames[work.f]), work.settings);
    const { verdict } = matchFrame(truths, work.f, detections);
    detections.classId.forEach((c, i) => work.rows.get(c)?.push([detections.confidence[i], verdict[i]]));
    if (++work.f < truths.frames.length) return;
    for (const [c, rows] of work.rows) {
      const curve = new Curve(truths.wanted(c));
      for (const row of rows.sort((a, b) => b[0] - a[0])) curve.add(...row);
      this.curves.set(c, curve);
      this.keys.set(c, this.#key(c));
    }
    this.old = [];
  }

  #opened() {
    const { threshold, minConfidence } = this.settings;
    const only = threshold.map((value, c) => (this.old.includes(c) ? value : Infinity));
    return { ...this.settings, threshold: only, minConfidence: minConfidence.map(() => 0) };
  }

  /** The figures of a class under the settings; undefined before its first curve is there. */
  score(c) {
    const { clustering, threshold, minConfidence } = this.settings;
    const from = clustering === "nms" ? Math.max(threshold[c], minConfidence[c]) : minConfidence[c];
    const curve = this.curves.get(c);
    return curve && { ...curve.at(from), best: curve.best, curve };
  }
}
