// From cells to boxes in the browser: the second implementation of peoplenet_nb/decoding/steps.py, tested against it.
//
// The result has the arrays of Python's Candidates and Detections, in their order, so
// that fates can be compared one by one and everything drawn is read from them.

import { dbscan, suppress, suppressAmong } from "./cluster.js";

export const FATES = [
  "kept",
  "empty",
  "suppressed",
  "merged",
  "noise",
  "sparse",
  "too small",
  "low confidence",
  "beyond top k",
  "no box",
  "too large",
  "outside roi",
  "low sum",
];
/** Their numbers, by names as in Python: `Fate.TOO_SMALL`. */
export const Fate = Object.fromEntries(FATES.map((text, fate) => [text.toUpperCase().replaceAll(" ", "_"), fate]));
const ATHR_THRESHOLD = 60; // nvinfer: drops clusters with sqrt(area) / (n + 1) above this

/**
 * @typedef {{clustering: string, flavour: string, score: string, nmsIou: number[], eps: number[],
 *   minSamples: number[], topK: number[], threshold: number[], minWidth: number[], minHeight: number[],
 *   minConfidence: number[], maxWidth: number[], maxHeight: number[], roiTop: number[], roiBottom: number[],
 *   minSum: number[]}} Settings per-class numbers in the model's class order; what has no limit is infinite
 */

/** Decode one frame. @param {FrameData} frame @param {Settings} settings */
export function decode(frame, settings) {
  frame.prepare();
  const { entries, indexOf } = selected(frame, settings.threshold);
  const n = entries.length;
  const candidates = {
    count: n,
    entry: entries,
    indexOf,
    fate: new Uint8Array(n),
    by: new Int32Array(n).fill(-1),
    iou: new Float64Array(n),
    cluster: new Int32Array(n).fill(-1),
  };
  if (!frame.shape.hasBoxes) {
    candidates.fate.fill(Fate.NO_BOX);
    return outcome(frame, candidates, []);
  }
  for (let i = 0; i < n; i++) if (frame.box.empty[entries[i]]) candidates.fate[i] = Fate.EMPTY;
  const found = [];
  let clusters = 0;
  for (let c = 0; c < frame.shape.labels.length; c++) {
    if (settings.clustering === "nms") {
      found.push(...byNms(frame, candidates, c, settings));
    } else {
      const result = byDbscan(frame, candidates, c, settings, clusters);
      found.push(...result.found);
      clusters += result.count;
    }
  }
  return outcome(frame, candidates, filtered(frame, candidates, found, settings));
}

/** The entries that reach their class's threshold, by class, row and column, and where each stands. */
function selected(frame, threshold) {
  const indexOf = new Int32Array(frame.count).fill(-1);
  const entries = new Int32Array(frame.count);
  let n = 0;
  for (let c = 0; c < threshold.length; c++) {
    for (let e = frame.starts[c]; e < frame.starts[c + 1]; e++) {
      if (frame.coverage[e] >= threshold[c]) {
        indexOf[e] = n;
        entries[n++] = e;
      }
    }
  }
  return { entries: entries.subarray(0, n), indexOf };
}

function single(frame, c, e, index) {
  const { x1, y1, x2, y2 } = frame.box;
  return { c, source: index, score: frame.coverage[e], x1: x1[e], y1: y1[e], x2: x2[e], y2: y2[e] };
}

function markSuppressed(candidates, entries, run) {
  for (const e of entries) {
    if (run.by[e] < 0) continue;
    const i = candidates.indexOf[e];
    candidates.fate[i] = Fate.SUPPRESSED;
    candidates.by[i] = candidates.indexOf[run.by[e]];
    candidates.iou[i] = run.iou[e];
  }
}

/** The candidates of a class that have a box, in the order of the cells. */
function membersOf(frame, candidates, c) {
  const members = [];
  for (let e = frame.starts[c]; e < frame.starts[c + 1]; e++) {
    if (candidates.indexOf[e] >= 0 && !frame.box.empty[e]) members.push(e);
  }
  return members;
}

function byNms(frame, candidates, c, settings) {
  const run = suppress(frame, c, settings.threshold[c], settings.nmsIou[c]);
  markSuppressed(candidates, membersOf(frame, candidates, c), run);
  return run.kept.map((e) => single(frame, c, e, candidates.indexOf[e]));
}

function byDbscan(frame, candidates, c, settings, offset) {
  const deepstream = settings.flavour === "deepstream";
  const { label, count } = dbscan(frame, c, settings.threshold[c], {
    eps: settings.eps[c],
    minSamples: settings.minSamples[c],
    deepstream,
  });
  const inside = [];
  for (const e of membersOf(frame, candidates, c)) {
    const i = candidates.indexOf[e];
    candidates.cluster[i] = label[e] < 0 ? -1 : label[e] + offset;
    if (label[e] < 0) candidates.fate[i] = Fate.NOISE;
    else inside.push(e);
  }
  if (settings.clustering === "dbscan") {
    return { found: merged(frame, candidates, c, settings, inside, label, count), count };
  }
  // Hybrid, as nvinfer: DBSCAN only drops the outliers, NMS chooses among the rest.
  const among = frame.order[c].filter((e) => candidates.indexOf[e] >= 0 && label[e] >= 0);
  const run = suppressAmong(frame, among, settings.nmsIou[c]);
  markSuppressed(candidates, inside, run);
  return { found: run.kept.map((e) => single(frame, c, e, candidates.indexOf[e])), count };
}

/** One box of every cluster, the coverage-weighted mean, best first. */
function merged(frame, candidates, c, settings, inside, label, count) {
  const { coverage, box } = frame;
  const groups = Array.from({ length: count }, () => ({ total: 0, members: [], best: -1 }));
  for (const e of inside) {
    const group = groups[label[e]];
    group.total += coverage[e];
    group.members.push(e);
    if (group.best < 0 || coverage[e] > coverage[group.best]) group.best = e;
  }
  const found = [];
  for (const { total, members, best } of groups) {
    // Coverage can be exactly 0 when the threshold is: such a cluster's members count alike.
    const mean = weightedMean(box, members, total > 0 ? coverage : null);
    const source = candidates.indexOf[best];
    const area = (mean.x2 - mean.x1) * (mean.y2 - mean.y1);
    const sparse =
      settings.flavour === "deepstream" && Math.sqrt(area) / (members.length + 1) > ATHR_THRESHOLD;
    const dropped = sparse ? Fate.SPARSE : total < settings.minSum[c] ? Fate.LOW_SUM : 0;
    for (const e of members) {
      const i = candidates.indexOf[e];
      candidates.fate[i] = dropped || (i === source ? Fate.KEPT : Fate.MERGED);
      candidates.by[i] = dropped || i === source ? -1 : source;
    }
    const score = settings.score === "sum" ? total : coverage[best];
    if (!dropped) found.push({ c, source, score, ...mean });
  }
  return found.sort((a, b) => b.score - a.score); // stable: equal clusters keep their numbers' order
}

function weightedMean(box, members, weights) {
  let [x1, y1, x2, y2, sum] = [0, 0, 0, 0, 0];
  for (const e of members) {
    const w = weights ? weights[e] : 1;
    x1 += box.x1[e] * w;
    y1 += box.y1[e] * w;
    x2 += box.x2[e] * w;
    y2 += box.y2[e] * w;
    sum += w;
  }
  return { x1: x1 / sum, y1: y1 / sum, x2: x2 / sum, y2: y2 / sum };
}

/** Which limit of its class a box in frame pixels is beyond; KEPT where none. */
export function limitOf(settings, c, x1, y1, x2, y2, bottom) {
  const [width, height] = [x2 - x1, y2 - y1];
  if (width < settings.minWidth[c] || height < settings.minHeight[c]) return Fate.TOO_SMALL;
  if (width > settings.maxWidth[c] || height > settings.maxHeight[c]) return Fate.TOO_LARGE;
  if (y1 < settings.roiTop[c] || y2 > bottom - settings.roiBottom[c]) return Fate.OUTSIDE_ROI;
  return Fate.KEPT;
}

/** Drop what is too small, too weak or too many of its class; boxes become frame pixels here. */
function filtered(frame, candidates, found, settings) {
  const [sx, sy] = frame.shape.scale;
  const bottom = frame.shape.frameSize[1];
  const taken = new Int32Array(frame.shape.labels.length);
  const passed = [];
  for (const item of found) {
    const { c, source, score } = item;
    const xyxy = [item.x1 * sx, item.y1 * sy, item.x2 * sx, item.y2 * sy];
    let fate = limitOf(settings, c, xyxy[0], xyxy[1], xyxy[2], xyxy[3], bottom);
    if (fate === Fate.KEPT && score < settings.minConfidence[c]) fate = Fate.LOW_CONFIDENCE;
    if (fate === Fate.KEPT && taken[c] >= settings.topK[c]) fate = Fate.BEYOND_TOP_K;
    if (fate !== Fate.KEPT) {
      candidates.fate[source] = fate;
      continue;
    }
    taken[c]++;
    passed.push({ c, source, score, xyxy });
  }
  return passed;
}

function outcome(frame, candidates, passed) {
  const m = passed.length;
  const detections = {
    count: m,
    xyxy: new Float32Array(4 * m),
    confidence: new Float32Array(m),
    classId: new Int32Array(m),
    source: new Int32Array(m),
    counts: new Array(frame.shape.labels.length).fill(0),
  };
  passed.forEach((item, i) => {
    detections.xyxy.set(item.xyxy, 4 * i);
    detections.confidence[i] = item.score;
    detections.classId[i] = item.c;
    detections.source[i] = item.source;
    detections.counts[item.c]++;
  });
  return { frame, candidates, detections };
}

/** How many are left after each step, as Decoded.stages() counts them, and all cells before. */
export function stages(result) {
  const { fate, count } = result.candidates;
  let [boxed, clustered] = [0, 0];
  for (let i = 0; i < count; i++) {
    const f = fate[i];
    if (f !== Fate.EMPTY && f !== Fate.NO_BOX) boxed++;
    const limited = (f >= Fate.TOO_SMALL && f <= Fate.BEYOND_TOP_K) || f === Fate.TOO_LARGE || f === Fate.OUTSIDE_ROI;
    if (f === Fate.KEPT || limited) clustered++;
  }
  return {
    cells: result.frame.shape.labels.length * result.frame.perClass,
    candidates: count,
    "with a box": boxed,
    "after clustering": clustered,
    detections: result.detections.count,
  };
}
