// Why a box is there or is not, where two settings differ, and how coverage is spread.
//
// Nothing is guessed. What a lower threshold would bring is found by decoding again
// with that threshold, as peoplenet_nb/explain/cells.py does; the sentences say the same things.

import { iouOf } from "./cluster.js";
import { decode, Fate, FATES } from "./decode.js";
import { entryAt } from "./geometry.js";

/** Settings as Python sends them (snake_case) in the engine's names. */
export function settingsFrom(numbers) {
  const { threshold, more = {} } = numbers;
  const each = (value) => threshold.map((_, c) => value(c));
  const own = (name) => each((c) => more[name]?.[c] ?? numbers[name]); // a class's, else that of all
  const limit = (name) => each((c) => more[name]?.[c] || 0);
  const most = (name) => limit(name).map((value) => value || Infinity);
  return {
    clustering: numbers.clustering,
    flavour: numbers.flavour,
    score: numbers.score,
    nmsIou: own("nms_iou"),
    eps: own("eps"),
    minSamples: own("min_samples"),
    topK: own("top_k").map((k) => k || Infinity),
    threshold,
    minWidth: numbers.min_width,
    minHeight: numbers.min_height,
    minConfidence: numbers.min_confidence,
    maxWidth: most("max_width"),
    maxHeight: most("max_height"),
    roiTop: limit("roi_top"),
    roiBottom: limit("roi_bottom"),
    minSum: limit("min_sum"),
  };
}

const fixed = (value, digits) => value.toFixed(digits);
const plain = (value) => String(Math.round(value * 1e6) / 1e6);

/** Row and column of an entry. */
export function rowAndColumn(frame, entry) {
  const inClass = frame.cell(entry) % frame.perClass;
  return { row: Math.floor(inClass / frame.shape.cols), col: inClass % frame.shape.cols };
}

/** The grid cell under a point in frame pixels, or null. */
export function cellAt(shape, x, y) {
  const row = Math.floor(y / shape.scale[1] / shape.stride);
  const col = Math.floor(x / shape.scale[0] / shape.stride);
  return row >= 0 && row < shape.rows && col >= 0 && col < shape.cols ? { row, col } : null;
}

/** The unclipped box of an entry in frame pixels. */
export function boxInFrame(frame, entry) {
  const [sx, sy] = frame.shape.scale;
  const [x1, y1, x2, y2] = frame.rawBox(entry);
  return [x1 * sx, y1 * sy, x2 * sx, y2 * sy];
}

/** The reason for a candidate's fate, in words. */
export function fateSentence(result, index, settings) {
  const { candidates, frame } = result;
  const entry = candidates.entry[index];
  const c = Math.floor(frame.cell(entry) / frame.perClass);
  const label = frame.shape.labels[c];
  const by = candidates.by[index];
  const other = by >= 0 ? candidates.entry[by] : -1;
  const place = by >= 0 ? rowAndColumn(frame, other) : null;
  const where = place ? `row ${place.row}, column ${place.col}` : "";
  switch (candidates.fate[index]) {
    case Fate.KEPT:
      return "It is one of the final boxes.";
    case Fate.EMPTY:
      return "Its box has no area inside the frame.";
    case Fate.SUPPRESSED:
      return (
        `A better box (coverage ${fixed(frame.coverage[other], 3)}, ${where}) overlaps it with IoU ` +
        `${fixed(candidates.iou[index], 2)}, above the NMS threshold ${plain(settings.nmsIou[c])}.`
      );
    case Fate.MERGED:
      return `It is part of cluster ${candidates.cluster[index]}, whose best cell is at ${where}.`;
    case Fate.NOISE:
      return (
        `DBSCAN (eps ${plain(settings.eps[c])}, min_samples ${plain(settings.minSamples[c])}) found too little ` +
        "around it: raise eps or lower min_samples."
      );
    case Fate.SPARSE:
      return "Its cluster is large and has few members, which DeepStream's DBSCAN drops.";
    case Fate.TOO_SMALL:
      return `Its box is smaller than ${plain(settings.minWidth[c])}x${plain(settings.minHeight[c])} frame pixels.`;
    case Fate.LOW_CONFIDENCE:
      return `Its confidence is below the ${plain(settings.minConfidence[c])} asked for after clustering.`;
    case Fate.BEYOND_TOP_K:
      return `There are ${settings.topK[c]} better boxes of ${label}, and top_k stops there.`;
    case Fate.TOO_LARGE: {
      const size = [settings.maxWidth[c], settings.maxHeight[c]].map((v) => (v < Infinity ? plain(v) : "inf"));
      return `Its box is larger than ${size.join("x")} frame pixels.`;
    }
    case Fate.OUTSIDE_ROI:
      return (
        `Its box reaches into the upper ${plain(settings.roiTop[c])} or the lower ${plain(settings.roiBottom[c])} ` +
        "frame pixels, which are left out."
      );
    case Fate.LOW_SUM:
      return `The coverages of its cluster are less than ${plain(settings.minSum[c])} together.`;
    default:
      return "This model has a coverage output only: there are no boxes to decode.";
  }
}

/** Settings with one class's threshold changed. */
export function withThreshold(settings, c, threshold) {
  return { ...settings, threshold: settings.threshold.map((t, i) => (i === c ? threshold : t)) };
}

/** What one cell predicts and what became of it; `result` spares a decode where there is one already. */
export function explainEntry(frame, settings, c, entry, result = decode(frame, settings)) {
  const { row, col } = rowAndColumn(frame, entry);
  const label = frame.shape.labels[c];
  const coverage = frame.coverage[entry];
  const threshold = settings.threshold[c];
  const report = {
    label,
    class_id: c,
    row,
    col,
    coverage,
    threshold,
    xyxy: frame.shape.hasBoxes ? boxInFrame(frame, entry) : null,
    rescue: null,
    added: 0,
    by: null,
  };
  const index = result.candidates.indexOf[entry];
  if (index >= 0) {
    const by = result.candidates.by[index];
    return {
      ...report,
      fate: FATES[result.candidates.fate[index]],
      sentence: fateSentence(result, index, settings),
      by: by >= 0 ? boxInFrame(frame, result.candidates.entry[by]) : null,
    };
  }
  const least = Math.max(frame.shape.floor, Math.floor(coverage * 1000) / 1000);
  if (least === 0) {
    const sentence = "Its coverage is below 0.001: a threshold that takes it would take every cell.";
    return { ...report, fate: "below threshold", sentence };
  }
  const lower = withThreshold(settings, c, least);
  const after = decode(frame, lower);
  const again = after.candidates.indexOf[entry];
  const added = after.detections.counts[c] - result.detections.counts[c];
  let sentence = `Its coverage ${fixed(coverage, 3)} is below the threshold ${plain(threshold)} of ${label}.`;
  const fate = again >= 0 ? after.candidates.fate[again] : null;
  let rescue = null;
  if (fate === Fate.KEPT || fate === Fate.MERGED) {
    rescue = lower.threshold[c];
    sentence += ` A threshold of ${plain(rescue)} would bring it back and add ${added} ${label} box(es) to this frame.`;
  } else if (again >= 0) {
    sentence += ` Lowering the threshold alone would not help: ${fateSentence(after, again, lower)}`;
  }
  return { ...report, fate: "below threshold", sentence, rescue, added };
}

/** The best cell of a class whose box covers a point in frame pixels, else the cell under the point. */
export function bestEntryAt(frame, x, y, c) {
  let best = -1;
  if (frame.shape.hasBoxes) {
    for (let e = frame.starts[c]; e < frame.starts[c + 1]; e++) {
      if (best >= 0 && frame.coverage[e] <= frame.coverage[best]) continue;
      const [x1, y1, x2, y2] = boxInFrame(frame, e);
      if (x1 <= x && x <= x2 && y1 <= y && y <= y2) best = e;
    }
  }
  if (best >= 0) return best;
  const cell = cellAt(frame.shape, x, y);
  return cell && entryAt(frame, c, cell.row, cell.col);
}

/** Why there is or is not an object at a point; null outside the frame. */
export function explainPoint(frame, settings, x, y, c) {
  const entry = cellAt(frame.shape, x, y) && bestEntryAt(frame, x, y, c);
  return entry === null ? null : explainEntry(frame, settings, c, entry);
}

const SAME_OBJECT = 0.5; // IoU from which boxes of two settings are one object
const SAME_BOX = 0.95; // and from which they did not move

/** Where the detections of two settings differ: indices only in a, only in b, and pairs that moved. */
export function compare(a, b) {
  const pairs = [];
  for (let i = 0; i < a.count; i++) {
    for (let j = 0; j < b.count; j++) {
      if (a.classId[i] !== b.classId[j]) continue;
      const iou = iouOf(a.xyxy.subarray(4 * i, 4 * i + 4), b.xyxy.subarray(4 * j, 4 * j + 4));
      if (iou >= SAME_OBJECT) pairs.push([iou, i, j]);
    }
  }
  pairs.sort((p, q) => q[0] - p[0] || p[1] - q[1] || p[2] - q[2]);
  const inA = new Uint8Array(a.count);
  const inB = new Uint8Array(b.count);
  const moved = [];
  for (const [iou, i, j] of pairs) {
    if (inA[i] || inB[j]) continue;
    inA[i] = inB[j] = 1;
    if (iou < SAME_BOX) moved.push([i, j]);
  }
  const left = (used) => Array.from(used.keys()).filter((i) => !used[i]);
  return { onlyA: left(inA), onlyB: left(inB), moved: moved.sort((p, q) => p[0] - q[0]) };
}

/** How many cells of a class have a coverage in each of `bins` equal steps from 0 to 1. */
export function histogram(frame, c, bins) {
  const counts = new Int32Array(bins);
  for (let e = frame.starts[c]; e < frame.starts[c + 1]; e++) {
    counts[Math.min(bins - 1, Math.max(0, Math.floor(frame.coverage[e] * bins)))]++;
  }
  return counts;
}
