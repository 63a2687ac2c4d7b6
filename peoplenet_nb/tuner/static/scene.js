// Lines and zones being drawn: what a press, a move and a release make of them. No page is needed.
//
// The pointer and the keyboard drive the same few calls, all in frame pixels; `reach` is how near counts as on it.
// Whether what was drawn can be used is for Python to say (tracks/scene.py): there is one set of checks.

const STEPS = 200; // of undo

const HINTS = {
  line: "Press, drag and let go: a line. The arrow shows which side is in.",
  zone: "Click its corners; click the first one again, double click or press Enter to close it.",
  move: "Drag a point or an edge; click a shape to rename, flip or delete it.",
};

export class SceneEditor {
  /** @param {(what: string) => void} changed called after shapes changed by hand */
  constructor({ frameSize }, changed = () => {}) {
    Object.assign(this, { size: frameSize, changed, shapes: [], past: [], tool: "line", selected: -1 });
    Object.assign(this, { draft: null, held: null, said: "" });
  }

  // -- in and out

  /** Take what Python holds: `{lines: {name: {points, swap}}, zones: {name: {points, most}}}`. */
  load({ lines = {}, zones = {} }) {
    const of = (kind, named) => Object.entries(named).map(([name, one]) => ({ kind, name, ...one }));
    const shapes = structuredClone([...of("line", lines), ...of("zone", zones)]);
    if (JSON.stringify(dataOf(shapes)) === JSON.stringify(this.data())) return;
    if (this.shapes.length) this.#keep();
    this.shapes = shapes;
    Object.assign(this, { draft: null, held: null, selected: -1 });
  }

  /** The same for Python. */
  data() {
    return dataOf(this.shapes);
  }

  /** What to do next, or what was wrong. */
  get hint() {
    return this.said || HINTS[this.tool];
  }

  get chosen() {
    return this.shapes[this.selected] ?? null;
  }

  // -- what the hand does

  choose(tool) {
    this.abandon();
    this.tool = tool;
  }

  select(index) {
    this.selected = index;
    this.said = "";
  }

  /** @returns whether the press was for the drawing; if not, a drag moves the picture */
  press(at, reach) {
    const point = this.#within(at);
    this.said = "";
    if (this.tool === "line") this.draft = { kind: "line", points: [point, point] };
    else if (this.tool === "zone") this.#corner(point, reach);
    else return this.#grab(at, reach);
    return true;
  }

  move(at) {
    const point = this.#within(at);
    if (this.draft?.kind === "line") this.draft.points[1] = point;
    else if (this.draft) this.draft.end = point;
    else if (this.held) this.#drag(at);
  }

  release(at, reach) {
    this.move(at);
    if (this.draft?.kind === "line") {
      const { points } = this.draft;
      this.draft = null;
      if (apart(...points) > reach) this.#add({ kind: "line", points });
      else this.said = "A line has a length: press, drag, and let go somewhere else.";
    } else if (this.held) {
      const { before, moved } = this.held;
      this.held = null;
      if (moved) this.#done(before);
    }
  }

  /** Close the zone that is being drawn. */
  finish() {
    if (this.draft?.kind !== "zone") return;
    const { points } = this.draft;
    if (points.length < 3) {
      this.said = "A zone has three corners or more.";
      return;
    }
    this.draft = null;
    this.#add({ kind: "zone", points });
  }

  /** Forget what is being drawn or dragged. @returns whether there was something */
  abandon() {
    const was = Boolean(this.draft || this.held);
    if (this.held) this.shapes = JSON.parse(this.held.before);
    Object.assign(this, { draft: null, held: null, said: "" });
    return was;
  }

  /** The last corner of the zone that is being drawn, else the last change. */
  undo() {
    if (this.draft?.points.length > 1 && this.draft.kind === "zone") this.draft.points.pop();
    else if (!this.abandon() && this.past.length) {
      this.shapes = JSON.parse(this.past.pop());
      this.selected = -1;
      this.changed();
    }
  }

  /** The corner drawn last, else the shape that is selected. */
  remove() {
    if (this.draft) return void this.undo();
    if (!this.chosen) return;
    const before = this.#now();
    this.shapes.splice(this.selected, 1);
    this.selected = -1;
    this.#done(before);
  }

  /** Turn in and out of the selected line round. */
  flip() {
    if (this.chosen?.kind !== "line") return;
    const before = this.#now();
    if (this.chosen.swap) delete this.chosen.swap;
    else this.chosen.swap = true;
    this.#done(before);
  }

  rename(text) {
    const name = text.trim();
    if (!this.chosen || name === this.chosen.name) return;
    this.said = "";
    if (!name) this.said = "A line or zone has a name.";
    else if (this.shapes.some((one) => one.name === name)) this.said = `There is “${name}” already.`;
    if (this.said) return;
    const before = this.#now();
    this.chosen.name = name;
    this.#done(before);
  }

  /** How many people the selected zone may hold; without a text any number. */
  limit(text) {
    if (this.chosen?.kind !== "zone" || text === String(this.chosen.most ?? "")) return;
    const before = this.#now();
    if (text) this.chosen.most = Math.max(0, Math.round(Number(text)));
    else delete this.chosen.most;
    this.#done(before);
  }

  // -- inside

  #now() {
    return JSON.stringify(this.shapes);
  }

  #keep(before = this.#now()) {
    this.past = [...this.past, before].slice(-STEPS);
  }

  #done(before) {
    this.#keep(before);
    this.said = "";
    this.changed();
  }

  #add(shape) {
    const before = this.#now();
    let number = 1;
    while (this.shapes.some(({ name }) => name === `${shape.kind} ${number}`)) number++;
    this.shapes.push({ ...shape, name: `${shape.kind} ${number}` });
    this.selected = this.shapes.length - 1;
    this.#done(before);
  }

  /** A point of the frame in whole pixels. */
  #within({ x, y }) {
    return [x, y].map((v, axis) => Math.min(this.size[axis], Math.max(0, Math.round(v))));
  }

  #corner(point, reach) {
    const points = this.draft?.points ?? [];
    const again = points.length > 0 && [points[0], points.at(-1)].some((one) => apart(one, point) <= reach);
    if (again && points.length > 2) this.finish();
    else if (!again) this.draft = { kind: "zone", points: [...points, point], end: point };
  }

  #grab(at, reach) {
    const hit = shapeAt(this.shapes, at, reach, this.selected);
    this.selected = hit?.index ?? -1;
    if (!hit || hit.inside) return false;
    this.held = { ...hit, from: at, before: this.#now(), moved: false, points: structuredClone(this.chosen.points) };
    return true;
  }

  #drag(at) {
    const { point, from, points } = this.held;
    let [dx, dy] = [at.x - from.x, at.y - from.y];
    if (point < 0) {
      // All of it stays in the frame.
      const room = (axis, by) => {
        const values = points.map((one) => one[axis]);
        return Math.min(this.size[axis] - Math.max(...values), Math.max(-Math.min(...values), by));
      };
      [dx, dy] = [room(0, dx), room(1, dy)];
    }
    const moved = points.map(([x, y], i) => (point < 0 || i === point ? this.#within({ x: x + dx, y: y + dy }) : [x, y]));
    this.held.moved ||= JSON.stringify(moved) !== JSON.stringify(points);
    this.chosen.points = moved;
  }
}

function dataOf(shapes) {
  const of = (wanted) =>
    Object.fromEntries(shapes.filter(({ kind }) => kind === wanted).map(({ kind, name, ...one }) => [name, one]));
  return { lines: of("line"), zones: of("zone") };
}

function apart([ax, ay], [bx, by]) {
  return Math.hypot(ax - bx, ay - by);
}

/** The edges of a shape, each as its two ends. */
export function edgesOf({ kind, points }) {
  const ends = kind === "zone" ? [...points.slice(1), points[0]] : points.slice(1);
  return ends.map((end, i) => [points[i], end]);
}

function fromEdge([[ax, ay], [bx, by]], { x, y }) {
  const [dx, dy] = [bx - ax, by - ay];
  const share = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(ax + share * dx - x, ay + share * dy - y);
}

function surrounds({ kind, points }, { x, y }) {
  if (kind !== "zone") return false;
  const crossed = edgesOf({ kind, points }).filter(
    ([[ax, ay], [bx, by]]) => ay > y !== by > y && x < ax + ((y - ay) * (bx - ax)) / (by - ay),
  );
  return crossed.length % 2 === 1;
}

/**
 * What lies at a point: a shape's point before an edge, an edge before the inside of a zone; the selected shape first.
 * @returns {index, point, inside} or null; `point` is -1 where all of the shape is meant
 */
export function shapeAt(shapes, at, reach, selected = -1) {
  const order = shapes.map((_, index) => index).sort((a, b) => (b === selected) - (a === selected) || b - a);
  for (const index of order) {
    const distances = shapes[index].points.map((point) => apart(point, [at.x, at.y]));
    const nearest = Math.min(...distances);
    if (nearest <= reach) return { index, point: distances.indexOf(nearest), inside: false };
  }
  for (const index of order) {
    if (edgesOf(shapes[index]).some((edge) => fromEdge(edge, at) <= reach)) return { index, point: -1, inside: false };
  }
  const index = order.find((one) => surrounds(shapes[one], at));
  return index === undefined ? null : { index, point: -1, inside: true };
}

/** The arrow on a line's first stretch that points to where in is: from its middle, so long. As tracks/scene.py. */
export function arrowOf({ points, swap = false }, length) {
  const [[ax, ay], [bx, by]] = points;
  const middle = [(ax + bx) / 2, (ay + by) / 2];
  const to = ((swap ? -1 : 1) * length) / Math.max(1, Math.hypot(bx - ax, by - ay));
  return [middle, [middle[0] + (ay - by) * to, middle[1] + (bx - ax) * to]];
}
