// One frame's cells with everything that does not depend on the settings, worked out once.
//
// All geometry is double precision and follows peoplenet_nb/decoding/boxes.py operation by
// operation, so that both decide every tie alike. What a slider needs (boxes, areas, the order by coverage)
// is ready before it moves.

export const BBOX_NORM = 35; // TAO DetectNet_v2 box scale
export const BBOX_OFFSET = 0.5; // pixels, not cells

/**
 * What all frames of a clip share.
 * @typedef {{labels: string[], rows: number, cols: number, stride: number, hasBoxes: boolean,
 *   content: number[], scale: number[], frameSize: number[], floor: number}} Shape
 *   floor: the least coverage that was saved, 0 where all cells are known
 */

export class FrameData {
  /**
   * @param {Shape} shape
   * @param {Uint16Array|Uint32Array|null} cells flat (class, row, column) indices, rising; null for all cells
   * @param {Float32Array} coverage one value a cell
   * @param {Float32Array|null} distances for all cells (4C, rows, cols), else (N, 4); null without boxes
   */
  constructor(shape, cells, coverage, distances) {
    this.shape = shape;
    this.cells = cells;
    this.coverage = coverage;
    this.distances = distances;
    this.dense = cells === null;
    this.count = coverage.length;
    this.perClass = shape.rows * shape.cols;
    this.starts = this.#classStarts();
    this.box = null;
    this.caches = {};
  }

  cell(entry) {
    return this.dense ? entry : this.cells[entry];
  }

  #classStarts() {
    const classes = this.shape.labels.length;
    const starts = new Int32Array(classes + 1).fill(this.count);
    for (let entry = this.count - 1; entry >= 0; entry--) {
      starts[Math.floor(this.cell(entry) / this.perClass)] = entry;
    }
    for (let c = classes - 1; c >= 0; c--) starts[c] = Math.min(starts[c], starts[c + 1]);
    return starts;
  }

  /** The unclipped box of an entry, in network pixels. */
  rawBox(entry) {
    const { rows, cols, stride } = this.shape;
    const inClass = this.cell(entry) % this.perClass;
    const x = (inClass % cols) * stride + BBOX_OFFSET;
    const y = Math.floor(inClass / cols) * stride + BBOX_OFFSET;
    const d = this.distances;
    let at = 4 * entry;
    let step = 1;
    if (this.dense) {
      step = rows * cols;
      at = 4 * Math.floor(entry / step) * step + inClass;
    }
    return [
      -BBOX_NORM * d[at] + x,
      -BBOX_NORM * d[at + step] + y,
      BBOX_NORM * d[at + 2 * step] + x,
      BBOX_NORM * d[at + 3 * step] + y,
    ];
  }

  /** Work out clipped boxes, areas and the order by falling coverage; later calls cost nothing. */
  prepare() {
    if (this.box || !this.shape.hasBoxes) return;
    const [width, height] = this.shape.content;
    const n = this.count;
    const x1 = new Float64Array(n);
    const y1 = new Float64Array(n);
    const x2 = new Float64Array(n);
    const y2 = new Float64Array(n);
    const area = new Float64Array(n);
    const empty = new Uint8Array(n);
    for (let e = 0; e < n; e++) {
      const raw = this.rawBox(e);
      x1[e] = Math.min(Math.max(raw[0], 0), width);
      y1[e] = Math.min(Math.max(raw[1], 0), height);
      x2[e] = Math.min(Math.max(raw[2], 0), width);
      y2[e] = Math.min(Math.max(raw[3], 0), height);
      empty[e] = x2[e] <= x1[e] || y2[e] <= y1[e] ? 1 : 0;
      area[e] = (x2[e] - x1[e]) * (y2[e] - y1[e]);
    }
    this.box = { x1, y1, x2, y2, area, empty };
    this.order = this.shape.labels.map((_, c) => this.#ranked(c));
  }

  /** The entries of a class that have a box, by falling coverage, equal ones as they come. */
  #ranked(c) {
    const { coverage } = this;
    const entries = [];
    for (let e = this.starts[c]; e < this.starts[c + 1]; e++) if (!this.box.empty[e]) entries.push(e);
    return Int32Array.from(entries).sort((a, b) => coverage[b] - coverage[a] || a - b);
  }
}

/** The frame of one complete set of grids, given as the bytes that Python sends: coverage, then boxes. */
export function frameFromGrids(shape, view) {
  const cells = shape.labels.length * shape.rows * shape.cols;
  const floats = floatsOf(view);
  const boxes = shape.hasBoxes ? floats.subarray(cells, 5 * cells) : null;
  return new FrameData(shape, null, floats.subarray(0, cells), boxes);
}

/** Little-endian float32 values out of a DataView, copied when they do not lie on a multiple of four. */
export function floatsOf(view) {
  if (view.byteOffset % 4 === 0) return new Float32Array(view.buffer, view.byteOffset, view.byteLength >> 2);
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** Coverage of every class at a grid cell; null where a sparse frame does not hold the cell. */
export function entryAt(frame, c, row, col) {
  const wanted = c * frame.perClass + row * frame.shape.cols + col;
  if (frame.dense) return wanted;
  const [from, to] = [frame.starts[c], frame.starts[c + 1]];
  const entry = from + countWhile(to - from, (i) => frame.cells[from + i] < wanted);
  return entry < to && frame.cells[entry] === wanted ? entry : null;
}

/** How many of the first `n` numbers pass a test that all before the first failure pass. */
export function countWhile(n, passes) {
  let [low, high] = [0, n];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (passes(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
