// Finding a point --------------------------------------------------------------------------------
const CELL = 24;
let across = 0, begins = new Uint32Array(1), order = new Uint32Array(n);

/** Points by squares of the screen, made anew when it is asked for after a move. */
function grid() {
  if (gridded) return;
  across = Math.ceil(width / CELL);
  const cells = across * Math.ceil(height / CELL);
  begins = new Uint32Array(cells + 1);
  const cell = i => (sx[i] < 0 || sy[i] < 0 || sx[i] >= width || sy[i] >= height || !shown[i])
    ? -1 : (sy[i] / CELL | 0) * across + (sx[i] / CELL | 0);
  for (let i = 0; i < n; i++) { const c = cell(i); if (c >= 0) begins[c + 1]++; }
  for (let c = 0; c < cells; c++) begins[c + 1] += begins[c];
  const at = begins.slice();
  for (let i = 0; i < n; i++) { const c = cell(i); if (c >= 0) order[at[c]++] = i; }
  gridded = true;
}

function nearest(x, y) {
  grid();
  const reach = 14 * fine, rows = Math.ceil(height / CELL);
  let best = -1, least = reach * reach;
  const from = v => Math.max(0, (v - reach) / CELL | 0);
  for (let cy = from(y); cy <= Math.min(rows - 1, (y + reach) / CELL | 0); cy++) {
    for (let cx = from(x); cx <= Math.min(across - 1, (x + reach) / CELL | 0); cx++) {
      for (let k = begins[cy * across + cx]; k < begins[cy * across + cx + 1]; k++) {
        const i = order[k], d = (sx[i] - x) ** 2 + (sy[i] - y) ** 2;
        if (d < least) { least = d; best = i; }
      }
    }
  }
  return best;
}

/** The nearest point that lies that way. */
function towards(i, [wx, wy]) {
  let best = -1, least = Infinity;
  for (let j = 0; j < n; j++) {
    if (j === i || !shown[j] || sx[j] < 0 || sy[j] < 0 || sx[j] >= width || sy[j] >= height) continue;
    const [ex, ey] = [sx[j] - sx[i], sy[j] - sy[i]];
    const along = ex * wx + ey * wy, aside = Math.abs(ex * wy) + Math.abs(ey * wx);
    if (along > 0.5 && aside <= 2 * along && along + 2 * aside < least) { best = j; least = along + 2 * aside; }
  }
  return best;
}
