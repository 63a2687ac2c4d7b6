// What the pointer shows: the cell under it, and why somebody is missing where one clicks.
//
// The two panes always have their height, so that nothing on the page jumps while the pointer moves.

import { ClipCounts } from "./clip.js";
import { FATES } from "./decode.js";
import { button, h, setText } from "./dom.js";
import { boxInFrame, cellAt, explainEntry, bestEntryAt, withThreshold } from "./explain.js";
import { entryAt } from "./geometry.js";

const px = (box) => box.map((v) => v.toFixed(0)).join(", ");

export class Inspector {
  /** @param {(c: number, threshold: number) => void} adopt called to take a threshold over */
  constructor(shape, adopt) {
    this.shape = shape;
    this.adopt = adopt;
    this.title = h("div", { class: "pnb-pane-title" }, "Point at a cell");
    this.rows = shape.labels.map((label, c) => {
      const cells = ["coverage", "fate", "box"].map(() => h("td", {}, "–"));
      const dot = h("span", { class: "pnb-dot", style: `background:${shape.colours[c]}` });
      return { element: h("tr", {}, h("th", { scope: "row" }, dot, label), ...cells), cells };
    });
    const heads = ["class", "coverage", "fate", "box it predicts, px"];
    const table = h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, ...this.rows.map((row) => row.element)),
    );
    this.answerTitle = h("div", { class: "pnb-pane-title" }, "Somebody missing?");
    this.answer = h("p", { class: "pnb-answer", "aria-live": "polite" });
    this.inClip = h("p", { class: "pnb-answer", "aria-live": "polite" });
    this.button = button("", "Take this threshold", () => this.#take(), { hidden: "" });
    this.pane = h("div", { class: "pnb-pane" }, this.answerTitle, this.answer, this.inClip, this.button);
    this.element = h("div", { class: "pnb-inspector" }, this.pane, h("div", { class: "pnb-pane" }, this.title, table));
    this.forget();
  }

  /** Nothing was clicked, or the frame changed. */
  forget() {
    this.point = null;
    this.report = null;
    this.counter = null;
    setText(this.answerTitle, "Somebody missing?");
    setText(this.answer, "Click where a box should be; the class to look for stands in the toolbar. The wheel, a pinch or a double click zooms.");
    setText(this.inClip, "");
    this.button.hidden = true;
  }

  /** Bring the answer into view where it is not; where it is, nothing moves. */
  reveal() {
    this.pane.scrollIntoView({ block: "nearest" });
  }

  /** The pointer left: a cell that nobody points at must not show what was true before the last move. */
  leave() {
    setText(this.title, "Point at a cell");
    for (const { cells } of this.rows) for (const cell of cells) setText(cell, "–");
  }

  /** Show the cell at a point. @returns the reports to draw */
  hover(result, settings, x, y, c) {
    const { frame } = result;
    const cell = cellAt(this.shape, x, y);
    if (!cell) return [];
    const seen = !result.ends;
    setText(this.title, seen ? `Row ${cell.row}, column ${cell.col}` : "The network did not see this frame");
    const reports = [];
    this.rows.forEach((row, k) => {
      const entry = entryAt(frame, k, cell.row, cell.col);
      const known = entry !== null && entry < frame.count;
      const index = known ? result.candidates.indexOf[entry] : -1;
      const box = known && this.shape.hasBoxes ? boxInFrame(frame, entry) : null;
      setText(row.cells[0], known ? frame.coverage[entry].toFixed(3) : seen ? "below the clip's floor" : "–");
      setText(row.cells[1], index >= 0 ? FATES[result.candidates.fate[index]] : seen ? "below threshold" : "–");
      setText(row.cells[2], box ? px(box) : "–");
      if (k !== c) return;
      const by = index >= 0 ? result.candidates.by[index] : -1;
      const other = by >= 0 ? boxInFrame(frame, result.candidates.entry[by]) : null;
      reports.push({ ...cell, class_id: c, xyxy: box, by: other });
    });
    return reports;
  }

  /** Say why there is or is not a box at a point. @returns the report, or null outside */
  click(result, settings, x, y, c, clip) {
    const { frame } = result;
    const entry = cellAt(this.shape, x, y) && bestEntryAt(frame, x, y, c);
    if (entry === null) return cellAt(this.shape, x, y) ? this.#unsaved() : null;
    this.point = { x, y, c };
    const report = explainEntry(frame, settings, c, entry, result);
    this.report = report;
    const where = `row ${report.row}, column ${report.col}`;
    setText(this.answerTitle, `Best ${report.label} cell here: ${where}, coverage ${report.coverage.toFixed(3)}`);
    const dead = this.shape.dead[c] ? ` The ${report.label} head of this model is dead: its coverage does not depend on the picture.` : "";
    setText(this.answer, report.sentence + dead);
    this.button.hidden = report.rescue === null;
    this.counter = null;
    setText(this.inClip, "");
    if (report.rescue !== null) {
      setText(this.button, `Set the ${report.label} threshold to ${report.rescue}`);
      if (clip) {
        this.counter = new ClipCounts(clip);
        this.counter.start(withThreshold(settings, c, report.rescue));
        setText(this.inClip, "Counting what it would add in the whole clip …");
      }
    }
    return report;
  }

  /** The whole clip was counted with the threshold that would bring it back. */
  counted(now, floor) {
    const { c } = this.point;
    const added = this.counter.total(c) - now.total(c);
    const least = this.report.rescue < floor ? "at least " : "";
    const what = `${least}${added} ${this.shape.labels[c]} box(es)`;
    setText(this.inClip, `In the whole clip it would add ${what} to ${now.total(c)}.`);
  }

  /** No cell that was kept covers the point that was clicked. */
  #unsaved() {
    this.forget();
    setText(this.answer, "No cell whose box covers this point reaches the floor from which cells were kept.");
    return null;
  }

  /** The network did not see the frame that was clicked. */
  unseen(between) {
    this.forget();
    setText(this.answer, `The network did not see this frame. ${between} Look at one of them for its cells.`);
  }

  #take() {
    if (this.report?.rescue !== null) this.adopt(this.report.class_id, this.report.rescue);
  }
}
