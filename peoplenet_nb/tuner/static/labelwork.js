// Boxes being labelled, frame by frame: what an action does to them, and the way back. No page is needed.
//
// A record never changes: an action puts another in its place, so undo is going back to the one before.

const WAYS_BACK = 500; // of undo
export const IGNORE = -1; // the class of a region that is not judged
const LEAST = 3; // frame pixels

/**
 * @typedef {{c: number, box: number[], sure: boolean, score: number}} Labelled `sure` is false where it only may be
 *   something, and has to be accepted
 * @typedef {{boxes: Labelled[], done: boolean}} FrameRecord
 */

export class LabelWork {
  /** @param {FrameRecord[]} records @param {number[]} frameSize */
  constructor(records, [width, height], position = 0) {
    Object.assign(this, { records, width, height, position, past: [], future: [], selected: -1 });
  }

  get boxes() {
    return this.records[this.position].boxes;
  }

  get done() {
    return this.records.filter((record) => record.done).length;
  }

  go(position) {
    this.position = Math.min(this.records.length - 1, Math.max(0, position));
    this.selected = -1;
  }

  // -- actions

  accept(i) {
    this.#replace(i, { sure: true });
  }

  remove(i) {
    this.#change({ boxes: this.boxes.filter((_, at) => at !== i) });
    this.selected = -1;
  }

  setClass(i, c) {
    this.#replace(i, { c, sure: true });
  }

  /** Give a box other corners, and add one between two corners; what comes out too small was a slip of the hand. */
  setBox(i, corners) {
    const box = this.within(corners);
    if (large(box)) this.#replace(i, { box, sure: true });
  }

  add(c, corners) {
    const box = this.within(corners);
    if (!large(box)) return;
    this.#change({ boxes: [...this.boxes, { c, box, sure: true, score: 1 }] });
    this.selected = this.boxes.length - 1;
  }

  /** The frame is right as it stands: what was not accepted goes; on to the next that is not done. */
  finish() {
    this.#change({ boxes: this.boxes.filter(({ sure }) => sure), done: true });
    const open = [...this.records.keys()].filter((p) => !this.records[p].done);
    this.go(open.find((p) => p > this.position) ?? open[0] ?? this.position + 1);
  }

  undo() {
    this.#back(this.past, this.future, "before");
  }

  redo() {
    this.#back(this.future, this.past, "after");
  }

  #back(from, to, side) {
    const step = from.pop();
    if (!step) return;
    to.push(step);
    this.go(step.position);
    this.#put(step[side]);
  }

  #replace(i, changes) {
    this.#change({ boxes: this.boxes.map((one, at) => (at === i ? { ...one, ...changes } : one)) });
  }

  #change(changes) {
    const before = this.records[this.position];
    const after = { ...before, ...changes };
    this.past = [...this.past, { position: this.position, before, after }].slice(-WAYS_BACK);
    this.future = [];
    this.#put(after);
  }

  #put(record) {
    this.records = this.records.map((one, at) => (at === this.position ? record : one));
  }

  // -- geometry, in frame pixels

  /** A box with its corners in order, within the frame, to a tenth of a pixel. */
  within([x1, y1, x2, y2]) {
    const inside = (value, most) => Math.round(10 * Math.min(most, Math.max(0, value))) / 10;
    const [left, right] = [x1, x2].map((x) => inside(x, this.width)).sort((a, b) => a - b);
    const [top, bottom] = [y1, y2].map((y) => inside(y, this.height)).sort((a, b) => a - b);
    return [left, top, right, bottom];
  }

  /**
   * What lies under a point.
   * @param reach how near an edge counts as on it
   * @returns {{i: number, edges: string}|null} the box, and which of its edges: letters of "ltrb", none inside
   */
  at({ x, y }, reach) {
    let found = null;
    this.boxes.forEach(({ box: [x1, y1, x2, y2] }, i) => {
      if (x < x1 - reach || x > x2 + reach || y < y1 - reach || y > y2 + reach) return;
      const near = Math.min(reach, (x2 - x1) / 3, (y2 - y1) / 3); // a small box has an inside too
      const distances = { l: Math.abs(x - x1), t: Math.abs(y - y1), r: Math.abs(x - x2), b: Math.abs(y - y2) };
      const edges = Object.keys(distances).filter((edge) => distances[edge] <= near || !inOf(x, y, [x1, y1, x2, y2], edge));
      // The selected one first, then edges before insides, then the smallest.
      const rank = [i === this.selected ? 0 : 1, edges.length ? 0 : 1, (x2 - x1) * (y2 - y1)];
      if (!found || less(rank, found.rank)) found = { i, edges: edges.join(""), rank };
    });
    return found && { i: found.i, edges: found.edges };
  }

  /** The box that is being dragged: moved whole, or by some of its edges. */
  dragged({ box }, edges, dx, dy) {
    const [x1, y1, x2, y2] = box;
    if (!edges) {
      const right = Math.min(this.width - x2, Math.max(-x1, dx));
      const down = Math.min(this.height - y2, Math.max(-y1, dy));
      return [x1 + right, y1 + down, x2 + right, y2 + down];
    }
    const has = (edge) => (edges.includes(edge) ? 1 : 0);
    return [x1 + has("l") * dx, y1 + has("t") * dy, x2 + has("r") * dx, y2 + has("b") * dy];
  }
}

function large([x1, y1, x2, y2]) {
  return x2 - x1 >= LEAST && y2 - y1 >= LEAST;
}

/** Whether a point is on the inner side of one edge of a box. */
function inOf(x, y, [x1, y1, x2, y2], edge) {
  return { l: x >= x1, t: y >= y1, r: x <= x2, b: y <= y2 }[edge];
}

function less(a, b) {
  for (const [i, value] of a.entries()) if (value !== b[i]) return value < b[i];
  return false;
}
