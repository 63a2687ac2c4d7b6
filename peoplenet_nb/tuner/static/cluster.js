// NMS and weighted DBSCAN over the entries of a FrameData; the rules are those of peoplenet_nb/decoding/clustering.py.
//
// What NMS does to a box depends on better boxes only. So its outcome for the best m
// boxes of a class stays true when a threshold falls and more come; it is kept, and only carried on. A
// threshold that moves costs next to nothing, whatever the number of cells. DBSCAN's pairs are kept likewise.

import { countWhile } from "./geometry.js";

function overlapArea(box, a, b) {
  const width = Math.min(box.x2[a], box.x2[b]) - Math.max(box.x1[a], box.x1[b]);
  if (width <= 0) return 0;
  const height = Math.min(box.y2[a], box.y2[b]) - Math.max(box.y1[a], box.y1[b]);
  return height <= 0 ? 0 : width * height;
}

const BIN = 32; // network pixels: about the size of a small person

/** A class's suppression so far: who is kept, and for the rest by whom and at what IoU. */
class Suppression {
  constructor(order, threshold, frame) {
    this.order = order;
    this.threshold = threshold;
    this.done = 0;
    this.kept = [];
    this.keptUpTo = new Int32Array(order.length + 1);
    this.by = new Int32Array(frame.count).fill(-1);
    this.iou = new Float64Array(frame.count);
    // Kept boxes by the place of their top left corner: chains through `next`, begun in `head`.
    this.across = Math.floor(frame.shape.content[0] / BIN) + 1;
    this.down = Math.floor(frame.shape.content[1] / BIN) + 1;
    this.head = new Int32Array(this.across * this.down).fill(-1);
    this.next = new Int32Array(order.length);
    this.largest = [0, 0];
  }

  /** Carry on to the first `upTo` boxes of the order. */
  extend(box, upTo) {
    for (; this.done < upTo; this.done++) {
      const e = this.order[this.done];
      const k = this.#best(box, e);
      if (k < 0) this.#keep(box, e);
      else this.by[e] = this.kept[k];
      this.keptUpTo[this.done + 1] = this.kept.length;
    }
  }

  #keep(box, e) {
    const bin = Math.floor(box.y1[e] / BIN) * this.across + Math.floor(box.x1[e] / BIN);
    this.next[this.kept.length] = this.head[bin];
    this.head[bin] = this.kept.length;
    this.kept.push(e);
    this.largest[0] = Math.max(this.largest[0], box.x2[e] - box.x1[e]);
    this.largest[1] = Math.max(this.largest[1], box.y2[e] - box.y1[e]);
  }

  /** The best kept box that overlaps an entry's too much, as an index into `kept`, or -1. */
  #best(box, e) {
    const { kept, head, next, threshold, across, down } = this;
    const { x1, y1, x2, y2, area } = box;
    const [left, top, right, bottom] = [x1[e], y1[e], x2[e], y2[e]];
    // IoU >= t needs widths w >= t * w', and left edges at most (1 - t) times the left box's width apart.
    const width = right - left;
    const height = bottom - top;
    const stretch = threshold > 0 ? 1 / threshold : Infinity;
    const share = 1 - threshold;
    const back = share * Math.min(this.largest[0], width * stretch) + 1e-6;
    const up = share * Math.min(this.largest[1], height * stretch) + 1e-6;
    const fromX = Math.max(0, Math.floor((left - back) / BIN));
    const toX = Math.min(across - 1, Math.floor((left + share * width + 1e-6) / BIN));
    const fromY = Math.max(0, Math.floor((top - up) / BIN));
    const toY = Math.min(down - 1, Math.floor((top + share * height + 1e-6) / BIN));
    let best = -1;
    for (let row = fromY; row <= toY; row++) {
      for (let bin = row * across + fromX; bin <= row * across + toX; bin++) {
        for (let i = head[bin]; i >= 0; i = next[i]) {
          if (best >= 0 && i > best) continue;
          const k = kept[i];
          const w = (right < x2[k] ? right : x2[k]) - (left > x1[k] ? left : x1[k]);
          if (w <= 0) continue;
          const h = (bottom < y2[k] ? bottom : y2[k]) - (top > y1[k] ? top : y1[k]);
          if (h <= 0) continue;
          const inter = w * h;
          const union = area[k] + area[e] - inter;
          if (inter > threshold * union) {
            best = i;
            this.iou[e] = inter / union;
          }
        }
      }
    }
    return best;
  }
}

/** How many of the ranked entries reach a threshold. */
function reaching(frame, c, threshold) {
  const order = frame.order[c];
  return countWhile(order.length, (rank) => frame.coverage[order[rank]] >= threshold);
}

/** NMS of a class over all cells that reach its threshold: `{kept, by, iou}` with entries for indices. */
export function suppress(frame, c, threshold, iouThreshold) {
  const cache = (frame.caches.nms ??= []);
  if (!cache[c] || cache[c].threshold !== iouThreshold) {
    cache[c] = new Suppression(frame.order[c], iouThreshold, frame);
  }
  const upTo = reaching(frame, c, threshold);
  cache[c].extend(frame.box, upTo);
  const { kept, keptUpTo, by, iou } = cache[c];
  return { kept: kept.slice(0, keptUpTo[upTo]), by, iou };
}

/** NMS over some entries only, ranked: hybrid clustering's second half. */
export function suppressAmong(frame, ranked, iouThreshold) {
  const run = new Suppression(ranked, iouThreshold, frame);
  run.extend(frame.box, ranked.length);
  return run;
}

/** Pairs of a class's ranked boxes that are neighbours, by the worse one's rank, carried on like NMS. */
class Neighbours {
  constructor(frame, c, eps, deepstream) {
    this.frame = frame;
    this.order = frame.order[c];
    this.eps = eps;
    this.deepstream = deepstream;
    this.done = 0;
    this.first = new Int32Array(256);
    this.second = new Int32Array(256);
    this.length = 0;
    this.endsAt = new Int32Array(this.order.length + 1);
    this.bins = new Map();
    this.widest = 0;
  }

  extend(upTo) {
    const { order } = this;
    const { x1, x2 } = this.frame.box;
    // IoU >= t leaves two left edges at most (1 - t) times the left box's width apart (overlap.py).
    const share = Math.min(1, this.eps + 1e-9);
    for (; this.done < upTo; this.done++) {
      const e = order[this.done];
      const width = x2[e] - x1[e];
      const from = Math.floor((x1[e] - share * this.widest - 1e-6) / 16);
      const to = Math.floor((x1[e] + share * width + 1e-6) / 16);
      for (let bin = from; bin <= to; bin++) {
        const entries = this.bins.get(bin);
        if (entries) for (const other of entries) this.#tryPair(other, e);
      }
      this.widest = Math.max(this.widest, width);
      const own = Math.floor(x1[e] / 16);
      if (!this.bins.has(own)) this.bins.set(own, []);
      this.bins.get(own).push(e);
      this.endsAt[this.done + 1] = this.length;
    }
  }

  #tryPair(a, b) {
    const { box } = this.frame;
    const inter = overlapArea(box, a, b);
    if (inter <= 0 && (this.deepstream || this.eps < 1)) return;
    const union = box.area[a] + box.area[b] - inter;
    const distance = 1 - (union > 0 ? inter / union : 0);
    if (this.deepstream ? distance >= this.eps : distance > this.eps) return;
    if (this.length === this.first.length) {
      this.first = grown(this.first);
      this.second = grown(this.second);
    }
    this.first[this.length] = a;
    this.second[this.length++] = b;
  }
}

function grown(array) {
  const larger = new Int32Array(2 * array.length);
  larger.set(array);
  return larger;
}

/**
 * Weighted DBSCAN of a class over the cells that reach its threshold.
 * @returns {{label: Int32Array, count: number}} per entry the cluster, counted from 0 in the order of their
 *   first core point column by column, or -1; valid for entries of this class that reach the threshold
 */
export function dbscan(frame, c, threshold, { eps, minSamples, deepstream }) {
  const upTo = reaching(frame, c, threshold);
  if (!upTo) return { label: NOBODY, count: 0 };
  const everything = !deepstream && eps >= 1;
  const cache = (frame.caches.pairs ??= []);
  if (!cache[c] || cache[c].eps !== eps || cache[c].deepstream !== deepstream) {
    cache[c] = new Neighbours(frame, c, eps, deepstream);
  }
  const pairs = cache[c];
  if (!everything) pairs.extend(upTo);
  const { first, second } = pairs;
  const until = everything ? 0 : pairs.endsAt[upTo];
  const columns = (frame.caches.columns ??= []);
  const members = (columns[c] ??= columnwise(frame, pairs.order)).filter((e) => frame.coverage[e] >= threshold);
  const weight = new Float64Array(frame.count);
  for (const e of members) weight[e] = deepstream ? 1 : frame.coverage[e];
  const around = weight.slice();
  for (let p = 0; p < until; p++) {
    around[first[p]] += weight[second[p]];
    around[second[p]] += weight[first[p]];
  }
  if (everything) {
    // At eps 1 boxes that do not meet are neighbours too: one neighbourhood holds all.
    const total = members.reduce((sum, e) => sum + weight[e], 0);
    for (const e of members) around[e] = total;
  }
  const core = (e) => around[e] >= minSamples;
  return labelled(frame, members, core, { first, second, until, everything, borders: !deepstream });
}

const NOBODY = new Int32Array(0);

/** Entries column by column, as NVIDIA's programs walk the cells: this numbers clusters. Kept: no setting moves it. */
function columnwise(frame, entries) {
  const { rows, cols } = frame.shape;
  const place = (e) => {
    const inClass = frame.cell(e) % frame.perClass;
    return (inClass % cols) * rows + Math.floor(inClass / cols);
  };
  const keyed = Float64Array.from(entries, (e) => place(e) * frame.count + e).sort();
  return Int32Array.from(keyed, (key) => key % frame.count);
}

function labelled(frame, members, core, { first, second, until, everything, borders }) {
  const place = new Int32Array(frame.count);
  members.forEach((e, i) => (place[e] = i));
  const root = new Int32Array(members.length);
  for (let i = 0; i < root.length; i++) root[i] = i;
  const find = (i) => {
    while (root[i] !== i) {
      root[i] = root[root[i]];
      i = root[i];
    }
    return i;
  };
  const join = (a, b) => {
    const [ra, rb] = [find(place[a]), find(place[b])];
    if (ra < rb) root[rb] = ra;
    else root[ra] = rb;
  };
  for (let p = 0; p < until; p++) if (core(first[p]) && core(second[p])) join(first[p], second[p]);
  if (everything) for (const e of members) if (core(e)) join(members[0], e);

  const label = new Int32Array(frame.count).fill(-1);
  let count = 0;
  members.forEach((e, i) => {
    if (!core(e)) return;
    const r = find(i);
    label[e] = r === i ? count++ : label[members[r]];
  });
  if (borders) {
    // A border point joins the first cluster that reaches it; DeepStream leaves it out.
    for (let p = 0; p < until; p++) {
      reach(first[p], second[p]);
      reach(second[p], first[p]);
    }
  }
  return { label, count };

  function reach(border, by) {
    if (core(border) || !core(by)) return;
    if (label[border] < 0 || label[by] < label[border]) label[border] = label[by];
  }
}

/** IoU of an entry of one frame with any box `[x1, y1, x2, y2]`. */
export function iouOf(a, b) {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const inter = width * height;
  const union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter;
  return union > 0 ? inter / union : 0;
}
