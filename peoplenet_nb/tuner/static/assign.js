// Pairs whose costs are least in sum, found the way SciPy's linear_sum_assignment does, so that ties fall alike.
//
// Shortest augmenting paths: D. F. Crouse, On implementing 2D rectangular assignment algorithms, 2016. A row after the
// other is given a column; where that is taken, its owner moves on along the cheapest path, with prices kept so that no
// step of it is dear by what was given before.

/**
 * @param {Float64Array} costs (rows, columns), finite
 * @returns {Array<[number, number]>} as many pairs as the shorter side has, by rising row
 */
export function assign(costs, rows, columns) {
  if (columns < rows) {
    const turned = new Float64Array(costs.length);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = costs[i * columns + j];
    const pairs = assign(turned, columns, rows).map(([j, i]) => [i, j]);
    return pairs.sort((a, b) => a[0] - b[0]);
  }
  const priceOfRow = new Float64Array(rows);
  const priceOfColumn = new Float64Array(columns);
  const columnOf = new Int32Array(rows).fill(-1);
  const rowOf = new Int32Array(columns).fill(-1);
  for (let row = 0; row < rows; row++) {
    const shortest = new Float64Array(columns).fill(Infinity);
    const from = new Int32Array(columns).fill(-1);
    const left = Int32Array.from({ length: columns }, (_, j) => columns - 1 - j);
    const passed = [];
    const ended = [];
    let [count, at, far, sink] = [columns, row, 0, -1];
    while (sink < 0) {
      passed.push(at);
      let [best, lowest] = [-1, Infinity];
      for (let k = 0; k < count; k++) {
        const j = left[k];
        const reached = far + costs[at * columns + j] - priceOfRow[at] - priceOfColumn[j];
        if (reached < shortest[j]) {
          from[j] = at;
          shortest[j] = reached;
        }
        // Of equally far columns a free one ends the path.
        if (shortest[j] < lowest || (shortest[j] === lowest && rowOf[j] < 0)) [best, lowest] = [k, shortest[j]];
      }
      const j = left[best];
      far = lowest;
      ended.push(j);
      left[best] = left[--count];
      if (rowOf[j] < 0) sink = j;
      else at = rowOf[j];
    }
    priceOfRow[row] += far;
    for (const i of passed) if (i !== row) priceOfRow[i] += far - shortest[columnOf[i]];
    for (const j of ended) priceOfColumn[j] -= far - shortest[j];
    for (let j = sink; ; ) {
      const i = from[j];
      rowOf[j] = i;
      [columnOf[i], j] = [j, columnOf[i]];
      if (i === row) break;
    }
  }
  return Array.from(columnOf, (j, i) => [i, j]);
}
