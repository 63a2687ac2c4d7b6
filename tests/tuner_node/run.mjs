// Runs the tuner's browser code in Node or Deno: node run.mjs BUNDLE JOBS RESULTS, where JOBS is a JSON list of
// {call, shape, grids, sparse, settings, ...} that tests/test_tuner_engine.py writes, RESULTS a JSON list.
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";

const [bundle, jobs, results] = process.argv.slice(2);
const engine = await import(pathToFileURL(bundle).href);

const view = (path) => {
  const bytes = readFileSync(path);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
};
const list = (array) => Array.from(array);

const frames = new Map();
/** The frame of a job; kept between jobs, so that what is carried over from other settings is tested too. */
function frameOf(job) {
  const key = `${job.grids}|${job.clip ?? ""}|${job.frame ?? 0}`;
  if (!frames.has(key)) {
    const frame = job.clip
      ? new engine.ClipData(job.shape, view(job.clip)).frame(job.frame)
      : engine.frameOf(job.shape, view(job.grids));
    frames.set(key, frame);
  }
  return frames.get(key);
}

const calls = {
  decode(job) {
    const result = engine.decode(frameOf(job), engine.settingsFrom(job.settings));
    const { candidates, detections, frame } = result;
    return {
      cells: list(candidates.entry).map((entry) => frame.cell(entry)),
      fate: list(candidates.fate),
      by: list(candidates.by),
      iou: list(candidates.iou),
      cluster: list(candidates.cluster),
      xyxy: list(detections.xyxy),
      confidence: list(detections.confidence),
      class_id: list(detections.classId),
      source: list(detections.source),
      stages: engine.stages(result),
    };
  },
  assign(job) {
    return engine.assign(Float64Array.from(job.costs), job.rows, job.columns);
  },
  /** The boxes of every frame of a clip that the network saw in parts. */
  between(job) {
    const clip = new engine.ClipData(job.shape, view(job.clip), job.between);
    const settings = engine.settingsFrom(job.settings);
    return job.frames.map((index) => {
      const { detections, ends } = engine.decodeAt(clip, index, clip.frame(index), settings);
      return {
        ends: ends ?? null,
        xyxy: list(detections.xyxy),
        confidence: list(detections.confidence),
        class_id: list(detections.classId),
      };
    });
  },
  explain(job) {
    return engine.explainPoint(frameOf(job), engine.settingsFrom(job.settings), job.x, job.y, job.class_id);
  },
  compare(job) {
    const [a, b] = [job.a, job.b].map((s) => engine.decode(frameOf(job), engine.settingsFrom(s)).detections);
    const { onlyA, onlyB, moved } = engine.compare(a, b);
    return { only_a: onlyA, only_b: onlyB, moved };
  },
  histogram(job) {
    return list(engine.histogram(frameOf(job), job.class_id, job.bins));
  },
  counts(job) {
    const clip = new engine.ClipData(job.shape, view(job.clip), job.between);
    const counter = new engine.ClipCounts(clip);
    counter.start(engine.settingsFrom(job.settings), job.frame);
    while (!counter.finished) counter.step(1);
    return list(counter.counts);
  },
  /** Figures of every judged class under each of some settings, one after the other. */
  scores(job) {
    const clip = new engine.ClipData(job.shape, view(job.clip), job.between);
    const rows = Uint8Array.from(atob(job.truth.rows), (c) => c.charCodeAt(0));
    const truths = new engine.Truths({ ...job.truth, rows: new DataView(rows.buffer) });
    const judge = new engine.ClipJudge(clip, truths);
    return job.settings.map((numbers) => {
      judge.start(engine.settingsFrom(numbers));
      while (!judge.finished) judge.step(1);
      return truths.judged.map((c) => {
        const { curve, best, ...score } = judge.score(c);
        return { ...score, best, hits: list(curve.hits), confidence: list(curve.confidence) };
      });
    });
  },
  curve(job) {
    const curve = new engine.Curve(job.truths);
    for (const row of job.rows) curve.add(...row);
    return curve.best;
  },
  /** What calls make of records that are labelled: `["at", point, reach]` and the like answer, the others change. */
  labelling(job) {
    const work = new engine.LabelWork(job.records, job.size);
    const answers = job.calls.map(([name, ...values]) => work[name](...values) ?? null);
    const { records, position, selected, done } = work;
    return { answers, records, position, selected, done };
  },
  labels(job) {
    return engine.placeLabels(job.boxes, job.forms, job.picture);
  },
  heat(job) {
    return job.values.map(engine.heatPosition);
  },
  /** Where the frame stands after some steps, and where on it a point of the stage then is. */
  zoom(job) {
    const zoom = new engine.Zoom({ frameSize: job.size });
    return job.steps.map(([name, ...values]) => {
      zoom[name](...values);
      return { factor: zoom.factor, x: zoom.x, y: zoom.y, middle: zoom.point(0.5, 0.5) };
    });
  },
  /** What there is after each step of drawing lines and zones. */
  scene(job) {
    const sent = [];
    const editor = new engine.SceneEditor({ frameSize: job.size }, () => sent.push(editor.data()));
    return job.steps.map(([name, ...values]) => {
      const answer = editor[name](...values);
      const { draft, selected, hint } = editor;
      return structuredClone({ ...editor.data(), draft, selected, hint, sent: sent.length, answer: answer ?? null });
    });
  },
  arrow(job) {
    return job.lines.map((line) => engine.arrowOf(line, job.length));
  },
  hits(job) {
    return job.points.map(([x, y]) => engine.shapeAt(job.shapes, { x, y }, job.reach, job.selected));
  },
  time(job) {
    const settings = job.settings.map(engine.settingsFrom);
    const spent = [];
    for (let i = 0; i < job.repeat; i++) {
      const frame = job.fresh || i === 0 ? engine.frameFromGrids(job.shape, view(job.grids)) : spent.frame;
      frame.prepare();
      spent.frame = frame;
      const start = performance.now();
      engine.decode(frame, settings[i % settings.length]);
      spent.push(performance.now() - start);
    }
    return spent.slice();
  },
};

const answers = JSON.parse(readFileSync(jobs, "utf8")).map((job) => calls[job.call](job));
writeFileSync(results, JSON.stringify(answers));
