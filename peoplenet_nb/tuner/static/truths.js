// Labels in the browser, and which box found which truth: greedy by confidence within a frame, as COCO's own program does it.
//
// The second implementation of peoplenet_nb/metrics/matching.py, tested against it.

export const LEAST_IOU = 0.5;
const EVERY_CLASS = -1;
export const Verdict = { NONE: 0, RIGHT: 1, FALSE: 2, IGNORED: 3 };

/** What was labelled in a clip, as peoplenet_nb/tuner/truth.py sends it. */
export class Truths {
  constructor({ judged, frames, rows }) {
    const bytes = rows.buffer.slice(rows.byteOffset, rows.byteOffset + rows.byteLength);
    this.rows = new Float64Array(bytes); // frame's number, class, whether to ignore, x1, y1, x2, y2
    this.judged = judged;
    this.frames = frames; // positions in the clip
    this.number = new Map(frames.map((position, f) => [position, f]));
    this.starts = new Uint32Array(frames.length + 1);
    for (let r = 0; r < this.count; r++) this.starts[this.rows[7 * r] + 1]++;
    for (let f = 0; f < frames.length; f++) this.starts[f + 1] += this.starts[f];
    this.ignore = Uint8Array.from({ length: this.count }, (_, r) => this.rows[7 * r + 2]);
  }

  get count() {
    return this.rows.length / 7;
  }

  /** The rows of a class in a labelled frame, in the order of the labels. */
  of(f, c) {
    const found = [];
    for (let r = this.starts[f]; r < this.starts[f + 1]; r++) {
      if (this.rows[7 * r + 1] === c || this.rows[7 * r + 1] === EVERY_CLASS) found.push(r);
    }
    return found;
  }

  box(r) {
    return this.rows.subarray(7 * r + 3, 7 * r + 7);
  }

  /** How many boxes of a class are to be found. */
  wanted(c) {
    let sum = 0;
    for (let r = 0; r < this.count; r++) sum += this.rows[7 * r + 1] === c && !this.ignore[r] ? 1 : 0;
    return sum;
  }

  /** IoU of a box with a truth; with one that is ignored the share of the box that lies in it. */
  overlap(x1, y1, x2, y2, r) {
    const at = 7 * r + 3;
    const { rows } = this;
    const width = Math.min(x2, rows[at + 2]) - Math.max(x1, rows[at]);
    const height = Math.min(y2, rows[at + 3]) - Math.max(y1, rows[at + 1]);
    if (width <= 0 || height <= 0) return 0;
    const own = (x2 - x1) * (y2 - y1);
    const union = this.ignore[r] ? own : own + (rows[at + 2] - rows[at]) * (rows[at + 3] - rows[at + 1]) - width * height;
    return (width * height) / union;
  }
}

/**
 * Match the boxes of one frame, best first, as Python's match_pairs does.
 * @returns {{verdict: Uint8Array, missed: number[]}} what became of each box, and rows of truths that none found
 */
export function matchFrame(truths, f, { xyxy, classId, count }) {
  const verdict = new Uint8Array(count);
  const used = new Set();
  const byClass = truths.judged.map((c) => [c, truths.of(f, c)]);
  const rowsOf = new Map(byClass);
  for (let i = 0; i < count; i++) {
    const rows = rowsOf.get(classId[i]);
    if (rows) verdict[i] = choose(truths, rows, xyxy.subarray(4 * i, 4 * i + 4), used);
  }
  const missed = byClass.flatMap(([, rows]) => rows.filter((r) => !truths.ignore[r] && !used.has(r)));
  return { verdict, missed };
}

function choose(truths, rows, [x1, y1, x2, y2], used) {
  let [best, value] = [-1, -3];
  for (const r of rows) {
    const overlap = truths.overlap(x1, y1, x2, y2, r);
    if (overlap < LEAST_IOU || used.has(r)) continue;
    const worth = truths.ignore[r] ? overlap - 2 : overlap;
    if (worth >= value) [best, value] = [r, worth];
  }
  if (best < 0) return Verdict.FALSE;
  if (truths.ignore[best]) return Verdict.IGNORED;
  used.add(best);
  return Verdict.RIGHT;
}
