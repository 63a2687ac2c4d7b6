// The frames that the network did not see: boxes of the key frames around them, matched and interpolated.
//
// The second implementation of peoplenet_nb/tuner/between.py and of what it uses of peoplenet_nb/tracks, tested
// against them. What was found in a key frame, and who is who in two, is worked out once for some settings.

import { assign } from "./assign.js";
import { decode } from "./decode.js";

const FPS = 25; // where the times do not rise
const LEAST_HEIGHT = Math.fround(1e-3);

export class Between {
  /** @param {ClipData} clip @param rules what peoplenet_nb/tuner/between.py sends: key frames, times, constants */
  constructor(clip, rules) {
    this.clip = clip;
    this.rules = rules;
    this.known = new WeakMap(); // what was worked out for some settings goes with the object that holds them
    this.numbers = new Map(rules.keys.map((position, number) => [position, number]));
    let number = 0;
    this.next = rules.times.map((_, position) => {
      while (rules.keys[number] < position) number++;
      return number;
    });
  }

  /** Whether a frame's boxes are interpolated. */
  has(position) {
    return !this.numbers.has(position);
  }

  /** The positions of the key frames around a frame. */
  ends(position) {
    const number = this.next[position];
    return [this.rules.keys[number - 1], this.rules.keys[number]];
  }

  /** Detections of a frame between key frames, as `decode` returns them of others. */
  detections(position, settings) {
    const found = kept(this.known, settings, () => new Found(this, settings));
    const number = this.next[position];
    const chain = this.chain(number);
    const [a, b] = [number - 1, number].map((key) => this.time(this.rules.keys[key], chain));
    return this.#interpolated(found, number, chain, (this.time(position, chain) - a) / (b - a));
  }

  /** The first and the last key frame of the chain in which one has another before it, and whether its times rise. */
  chain(number) {
    const { begins, keys, times } = this.rules;
    let [first, last] = [number - 1, number];
    while (first > 0 && begins[first] === "0") first--;
    while (begins[last] === "0" && last + 1 < keys.length && begins[last + 1] !== "2") last++;
    let rise = true;
    for (let p = keys[first]; p < keys[last]; p++) rise &&= times[p] < times[p + 1];
    return { first, last, rise };
  }

  time(position, { rise }) {
    return rise ? this.rules.times[position] : position / FPS;
  }

  #interpolated(found, number, chain, share) {
    const { fading, leastLeft, rounded } = this.rules;
    const [a, b] = [found.frame(number - 1), found.frame(number)];
    const pairs = found.pairs(number, chain);
    const seconds = found.seconds(number, chain);
    const boxes = pairs.map(([i, j]) => ({
      c: a.classId[i],
      xyxy: [0, 1, 2, 3].map((k) => (1 - share) * a.xyxy[4 * i + k] + share * b.xyxy[4 * j + k]),
      score: Math.fround((1 - share) * a.confidence[i] + share * b.confidence[j]),
    }));
    const [width, height] = this.clip.shape.frameSize;
    const alone = (frame, matched, motion, sign, after) => {
      const left = Math.fround(Math.pow(fading, after / 0.1));
      for (let i = 0; i < frame.count; i++) {
        if (matched.has(i)) continue;
        const box = frame.xyxy.subarray(4 * i, 4 * i + 4);
        const step = motion[i] ?? [0, 0];
        const moved = Array.from(box, (value, k) => {
          const there = value + sign * step[k % 2] * after;
          return Math.fround(Math.min(Math.max(there, 0), k % 2 ? height : width));
        });
        if (area(moved) > leastLeft * area(box)) {
          boxes.push({ c: frame.classId[i], xyxy: moved, score: Math.fround(frame.confidence[i] * left) });
        }
      }
    };
    if (share <= 0.5 + rounded) alone(a, new Set(pairs.map(([i]) => i)), found.motionBefore(number - 1, chain), 1, share * seconds);
    if (share >= 0.5 - rounded) alone(b, new Set(pairs.map(([, j]) => j)), found.motionAfter(number, chain), -1, (1 - share) * seconds);
    return listed(boxes.sort((p, q) => q.score - p.score), this.clip.shape.labels.length);
  }
}

/** What was found in key frames, and who is who, under some settings. */
class Found {
  constructor(between, settings) {
    Object.assign(this, { between, settings, frames: new Map(), first: new Map(), second: new Map() });
  }

  frame(number) {
    const { clip, rules } = this.between;
    return kept(this.frames, number, () => decode(clip.frame(rules.keys[number]), this.settings).detections);
  }

  seconds(number, chain) {
    const { rules } = this.between;
    return this.between.time(rules.keys[number], chain) - this.between.time(rules.keys[number - 1], chain);
  }

  /** Pairs of a key frame's boxes and those of the one before it; matched knowing nothing. */
  pairsAtFirst(number, chain) {
    return kept(this.first, number, () => this.#match(number, chain, [], []));
  }

  /** The same, knowing how the boxes came there and how they go on. */
  pairs(number, chain) {
    return kept(this.second, number, () => {
      if (chain.last - chain.first < 2) return this.pairsAtFirst(number, chain);
      const came = this.#motion(number - 1, chain, "pairsAtFirst", 1);
      return this.#match(number, chain, came, this.#motion(number + 1, chain, "pairsAtFirst", 0));
    });
  }

  /** How the boxes of a key frame came there from the one before: pixels a second by box, where that is known. */
  motionBefore(number, chain) {
    return this.#motion(number, chain, "pairs", 1);
  }

  /** How the boxes of a key frame go on to the next one. */
  motionAfter(number, chain) {
    return this.#motion(number + 1, chain, "pairs", 0);
  }

  /** How boxes move on the way to a key frame, by box of the one before (side 0) or of itself (side 1). */
  #motion(number, chain, pairs, side) {
    const motion = [];
    if (number <= chain.first || number > chain.last) return motion;
    const [a, b] = [this.frame(number - 1), this.frame(number)];
    const seconds = this.seconds(number, chain);
    for (const pair of this[pairs](number, chain)) {
      const [from, to] = [centre(a, pair[0]), centre(b, pair[1])];
      motion[pair[side]] = [(to[0] - from[0]) / seconds, (to[1] - from[1]) / seconds];
    }
    return motion;
  }

  #match(number, chain, came, goesOn) {
    const [a, b] = [this.frame(number - 1), this.frame(number)];
    const costs = pairCosts(a, b, this.seconds(number, chain), came, goesOn, this.between.rules);
    const pairs = assign(costs.map((cost) => Math.min(cost, 1)), a.count, b.count);
    return pairs.filter(([i, j]) => costs[i * b.count + j] < 1);
  }
}

/** What each pair of boxes costs, as peoplenet_nb/tracks/association.py says. */
function pairCosts(a, b, seconds, came, goesOn, { reach, speed, vertical, size, known: left }) {
  const costs = new Float64Array(a.count * b.count).fill(Infinity);
  for (let i = 0; i < a.count; i++) {
    const [from, tall] = [centre(a, i), heightOf(a, i)];
    for (let j = 0; j < b.count; j++) {
      if (a.classId[i] !== b.classId[j]) continue;
      const [to, other] = [centre(b, j), heightOf(b, j)];
      const motions = [came[i], goesOn[j]].filter(Boolean);
      const foreseen = [0, 1].map((k) => motions.reduce((sum, one) => sum + one[k], 0) / Math.max(motions.length, 1));
      const step = [0, 1].map((k) => (to[k] - from[k] - foreseen[k] * seconds) / ((tall + other) / 2));
      const far = (reach + speed[a.classId[i]] * seconds) * (motions.length ? left : 1);
      const grown = Math.log(tall / other) / size;
      costs[i * b.count + j] = (step[0] * step[0] + (vertical * step[1]) ** 2) / (far * far) + grown * grown;
    }
  }
  return costs;
}

const centre = ({ xyxy }, i) => [(xyxy[4 * i] + xyxy[4 * i + 2]) / 2, (xyxy[4 * i + 1] + xyxy[4 * i + 3]) / 2];
const heightOf = ({ xyxy }, i) => Math.max(Math.fround(xyxy[4 * i + 3] - xyxy[4 * i + 1]), LEAST_HEIGHT);
const area = ([x1, y1, x2, y2]) => Math.fround(Math.fround(x2 - x1) * Math.fround(y2 - y1));

function kept(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}

/** Boxes in the form of `decode`'s detections. */
function listed(boxes, classes) {
  const counts = new Array(classes).fill(0);
  for (const { c } of boxes) counts[c]++;
  return {
    count: boxes.length,
    xyxy: Float32Array.from(boxes.flatMap(({ xyxy }) => xyxy)),
    confidence: Float32Array.from(boxes, ({ score }) => score),
    classId: Int32Array.from(boxes, ({ c }) => c),
    source: new Int32Array(boxes.length).fill(-1),
    counts,
  };
}
