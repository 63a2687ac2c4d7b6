// Where the labels of boxes go, so that they hide neither small people nor each other.
//
// The rule, the best box first: a label stands above its box, in full or, where it is crowded, as the confidence
// alone in smaller letters; else below the box or inside at its top, in full or short. It takes the first of these
// places that lies in the picture, meets no label and hides no more than a quarter of any box. Where there is none
// it is left out. draw.py has the same rule.

const MOST_HIDDEN = 0.25;

/**
 * @param {number[][]} boxes [left, top, right, bottom] of all boxes, best first, as they are drawn
 * @param {Array<Array<{text: string, width: number, height: number}>>} forms of each label, the longest first
 * @param {number[]} picture [left, top, right, bottom] of what can be seen
 * @returns {Array<null|{form: number, x: number, y: number}>} top left corners, null for labels left out
 */
export function placeLabels(boxes, forms, picture) {
  const taken = [];
  const isFree = (plate) =>
    isInside(plate, picture) &&
    !taken.some((other) => shared(plate, other) > 0) &&
    !boxes.some((other) => shared(plate, other) > MOST_HIDDEN * areaOf(other));
  return boxes.map((box, i) => {
    for (const places of [above, elsewhere]) {
      for (const [form, { width, height }] of forms[i].entries()) {
        for (const [x, y] of places(box, width, height, picture)) {
          const plate = [x, y, x + width, y + height];
          if (!isFree(plate)) continue;
          taken.push(plate);
          return { form, x, y };
        }
      }
    }
    return null;
  });
}

/** Where a label may begin: at the box's left side, pushed in where the picture ends, or ending at its right. */
const across = ([left, , right], width, picture) => [
  Math.max(picture[0], Math.min(left, picture[2] - width)),
  Math.max(picture[0], right - width),
];

const above = (box, width, height, picture) => across(box, width, picture).map((x) => [x, box[1] - height]);

const elsewhere = (box, width, height, picture) => [
  ...across(box, width, picture).map((x) => [x, box[3]]),
  [across(box, width, picture)[0], Math.max(box[1], picture[1])],
];

const areaOf = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);

const isInside = (a, b) => a[0] >= b[0] && a[1] >= b[1] && a[2] <= b[2] && a[3] <= b[3];

function shared(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return width > 0 && height > 0 ? width * height : 0;
}
