// Names -----------------------------------------------------------------------------------------
/** The middles of kinds' points, and the names that are written near them. */
let middles = [];
function findMiddles() {
  const { kinds, of, short } = colours[colour];
  middles = [];
  $('names').hidden = !kinds || kinds.length > MOST_NAMES;
  if ($('names').hidden) return;
  const { at } = layouts[layout];
  const members = kinds.map(() => [[], []]);
  for (let i = 0; i < n; i++) { members[of[i]][0].push(at[2 * i]); members[of[i]][1].push(at[2 * i + 1]); }
  const median = list => (list.sort((a, b) => a - b)[list.length - 1 >> 1] + list[list.length >> 1]) / 2;
  const brief = name => name.length > 24 ? `${name.slice(0, 12)}…${name.slice(-11)}` : name;
  members.forEach(([x, y], k) => { if (x.length) middles.push({ k, text: brief(short[k]), x: median(x), y: median(y), off: null }); });
}

// Dots by squares of the screen: each sum is of all squares above and before it, so that a box is counted by its corners.
const SQUARE = 6;
let sums = new Uint32Array(0), squares = 0;
function count() {
  squares = Math.ceil(width / SQUARE) + 1;
  const rows = Math.ceil(height / SQUARE) + 1;
  sums = new Uint32Array(squares * rows);
  for (let i = 0; i < n; i++) {
    if (shown[i] && sx[i] >= 0 && sy[i] >= 0 && sx[i] < width && sy[i] < height)
      sums[((sy[i] / SQUARE | 0) + 1) * squares + (sx[i] / SQUARE | 0) + 1]++;
  }
  for (let y = 1; y < rows; y++) {
    for (let x = 1, row = 0; x < squares; x++) {
      row += sums[y * squares + x];
      sums[y * squares + x] = sums[(y - 1) * squares + x] + row;
    }
  }
}
function hides([x0, y0, x1, y1]) {
  const [a, b, c, d] = [Math.floor(x0 / SQUARE), Math.floor(y0 / SQUARE), Math.ceil(x1 / SQUARE), Math.ceil(y1 / SQUARE)];
  return sums[d * squares + c] - sums[b * squares + c] - sums[d * squares + a] + sums[b * squares + a];
}

// Places that are tried for a name: so many heights of it up or down, and so many widths to a side.
const ROWS = [0, -1, 1, -2, 2, -3, 3, -4, 4, -5, 5, -6, 6], COLUMNS = [0, -0.5, 0.5, -1, 1, -1.5, 1.5];
// A name may lie farther off by so many pixels, to hide a dot less.
const WORTH = 30;
let named = true;

/** Finds a place for every name: the one of those nearer to its kind's middle than to another's that hides the fewest dots. */
function place() {
  count();
  const at = middles.map(m => [m.x * unit + dx, dy - m.y * unit]);
  const meant = middles.map(m => !hiddenKinds[colour].has(m.k));
  const taken = [];
  let left = 0;
  middles.forEach((m, i) => {
    m.off = null;
    const [x0, y0] = at[i], [w, h] = [pen.measureText(m.text).width + 8 * fine, 18 * fine];
    if (!meant[i] || x0 < 0 || y0 < 0 || x0 > width || y0 > height) return;
    let best = null, least = Infinity;
    for (const row of ROWS) for (const column of COLUMNS) {
      const [ox, oy] = [column * w, row * h], [x, y] = [x0 + ox, y0 + oy];
      const box = [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
      if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
      if (taken.some(t => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3])) continue;
      const far = Math.hypot(ox, oy), cost = hides(box) + far / (WORTH * fine);
      if (cost >= least || at.some(([ax, ay], k) => k !== i && meant[k] && Math.hypot(ax - x, ay - y) < far)) continue;
      [best, least] = [{ off: [ox, oy], box }, cost];
    }
    if (!best) { left++; return; }
    m.off = best.off;
    taken.push(best.box);
  });
  $('names').textContent = left ? `names (no room for ${left})` : 'names';
}

/** Writes the names: where they were placed, as long as the map moves. */
function names() {
  if (!named || !middles.length) return;
  pen.font = `bold ${13 * fine}px system-ui, 'DejaVu Sans', sans-serif`;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.lineJoin = 'round';
  pen.lineWidth = 4 * fine;
  pen.strokeStyle = ink('card');
  pen.fillStyle = ink('ink');
  if (!moving) place();
  for (const { x, y, off, text } of middles) {
    if (!off) continue;
    const [at, down] = [x * unit + dx + off[0], dy - y * unit + off[1]];
    pen.strokeText(text, at, down);
    pen.fillText(text, at, down);
  }
}
