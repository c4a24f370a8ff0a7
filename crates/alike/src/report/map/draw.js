// Drawing ---------------------------------------------------------------------------------------
// What is drawn reaches this many pixels beyond the canvas on each side, so that no dot has to be cut.
const MARGIN = 16;
let image = null, pixels = null, wide = 0, stamps = [], wanted = false;

/** Offsets of a shape's pixels, for dots of `size` pixels. */
function stamp(letters, size) {
  const of = [];
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
    const [u, v] = [Math.floor((x + 0.5) / size * 7), Math.floor((y + 0.5) / size * 7)];
    if (letters[v * 7 + u] === '#') of.push(y - (size >> 1), x - (size >> 1));
  }
  return Int32Array.from({ length: of.length / 2 }, (_, k) => of[2 * k] * wide + of[2 * k + 1]);
}

function size() {
  const box = canvas.getBoundingClientRect();
  fine = Math.min(2, window.devicePixelRatio || 1);
  width = Math.max(1, Math.round(box.width * fine));
  height = Math.max(1, Math.round(box.height * fine));
  for (const c of [canvas, over]) { c.width = width; c.height = height; }
  wide = width + 2 * MARGIN;
  image = pen.createImageData(wide, height + 2 * MARGIN);
  pixels = new Uint32Array(image.data.buffer);
  whole();
}

/** The whole map, with room around it. */
function whole() {
  const { at } = layouts[layout];
  let [x0, x1, y0, y1] = [65535, 0, 65535, 0];
  for (let i = 0; i < n; i++) {
    const x = at[2 * i], y = at[2 * i + 1];
    if (x < x0) x0 = x;
    if (x > x1) x1 = x;
    if (y < y0) y0 = y;
    if (y > y1) y1 = y;
  }
  const room = 24 * fine;
  unit = Math.min((width - 2 * room) / (x1 - x0 || 1), (height - 2 * room) / (y1 - y0 || 1));
  dx = width / 2 - (x0 + x1) / 2 * unit;
  dy = height / 2 + (y0 + y1) / 2 * unit;
  redraw();
}

// Whether more has changed than where the map lies, and how far it was pushed since it was drawn.
let stale = true, pushed = [0, 0];
function frame() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => { wanted = false; draw(); });
}
function redraw() { stale = true; frame(); }

// While very many dots move they are small; they get their size when they rest.
let moving = 0;
function move() {
  clearTimeout(moving);
  moving = setTimeout(() => { moving = 0; redraw(); }, 160);
  frame();
}
/** By whole pixels, so that what is drawn already can be shifted. */
function push(x, y) {
  dx += x;
  dy += y;
  pushed = [pushed[0] + x, pushed[1] + y];
  move();
}

let gridded = false, thinned = false;
function draw() {
  const zoomed = unit * 65535 / Math.min(width, height);
  const base = n > MANY ? 3 : n > 3000 ? 5 : 7;
  const dot = Math.min(moving && n > MANY ? 3 : 11, Math.round((base + (n > MANY ? 0.8 : 1.5) * Math.max(0, Math.log2(zoomed))) * Math.max(1, fine * 0.8))) | 1;
  if (stamps.dot !== dot || stamps.wide !== wide) {
    stamps = facts.marks.map(m => stamp(m, dot));
    Object.assign(stamps, { dot, wide });
    stale = true;
  }
  gridded = false;
  if (stale || !shift()) all(unit, dx, dy);
  stale = false;
  pushed = [0, 0];
  pen.putImageData(image, -MARGIN, -MARGIN);
  names();
  above();
}

/** Shifts what is drawn by as much as it was pushed, and draws what is missing at the edges then. False where nothing would be left, or not all is drawn. */
function shift() {
  const [x, y] = pushed, by = y * wide + x, rows = height + 2 * MARGIN;
  if (thinned || Math.abs(x) >= width - 16 || Math.abs(y) >= height - 16) return false;
  pixels.copyWithin(Math.max(0, by), Math.max(0, -by), pixels.length - Math.max(0, by));
  const [left, right] = x > 0 ? [0, MARGIN + x] : [wide - MARGIN + x, wide];
  for (let row = 0; row < rows; row++) pixels.fill(ground, row * wide + left, row * wide + right);
  const [top, bottom] = y > 0 ? [0, MARGIN + y] : [rows - MARGIN + y, rows];
  pixels.fill(ground, top * wide, bottom * wide);
  // A dot reaches up to 8 pixels beyond its middle.
  const inner = [Math.max(0, x) + 8, Math.max(0, y) + 8, width + Math.min(0, x) - 8, height + Math.min(0, y) - 8];
  const some = caught !== null;
  for (let i = 0; i < n; i++) {
    const px = sx[i] += x, py = sy[i] += y;
    if (px > inner[0] && py > inner[1] && px < inner[2] && py < inner[3]) continue;
    if (!shown[i] || px < -8 || py < -8 || px > width + 8 || py > height + 8) continue;
    put(i, px, py, (some && !marked[i] ? pale : palette)[tint[i]]);
  }
  return true;
}

/** Draws one dot, not more than 8 pixels outside the canvas. */
function put(i, x, y, c) {
  const flat = stamps[shape[i]], at = ((y | 0) + MARGIN) * wide + (x | 0) + MARGIN;
  for (let k = 0; k < flat.length; k++) pixels[at + flat[k]] = c;
}

/** Draws all dots, some at a time: a browser compiles a function that is called often, and the first drawings would be slow otherwise. */
function all(unit, dx, dy) {
  pixels.fill(ground);
  // While very many move, every other one is drawn: they overlap, and all of them come back when the map rests.
  const step = moving && n > MANY ? 2 : 1;
  thinned = step > 1;
  // What is not meant lies below what is.
  for (let pass = caught ? 0 : 1; pass < 2; pass++)
    for (let from = 0; from < n; from += 1024) some(from, Math.min(n, from + 1024), step, pass, unit, dx, dy);
}

/** Where the map lies comes as arguments: what reads a variable of the script is compiled anew when it changes. */
function some(from, to, step, pass, unit, dx, dy) {
  const { at } = layouts[layout], of = pass ? palette : pale, every = caught === null;
  const [right, bottom] = [width + 8, height + 8];
  for (let i = from; i < to; i += step) {
    const x = at[2 * i] * unit + dx, y = dy - at[2 * i + 1] * unit;
    sx[i] = x;
    sy[i] = y;
    if (shown[i] && (every || marked[i] === pass) && x >= -8 && y >= -8 && x <= right && y <= bottom) put(i, x, y, of[tint[i]]);
  }
}

/** Rings and the lasso, on a canvas of their own. */
function above() {
  line.clearRect(0, 0, width, height);
  line.strokeStyle = ink('ink');
  line.lineWidth = 2 * fine;
  for (const [i, r] of [[pointed, 7], [chosen, 10]]) {
    if (i < 0) continue;
    line.beginPath();
    line.arc(sx[i], sy[i], r * fine, 0, 7);
    line.stroke();
  }
  stretch(0);
}

/** Draws the lasso from a corner on: as it grows, its last stretch alone, so that a long one takes no longer. */
function stretch(from) {
  if (lasso.length < 4) return;
  line.beginPath();
  line.moveTo(lasso[from], lasso[from + 1]);
  for (let k = from + 2; k < lasso.length; k += 2) line.lineTo(lasso[k], lasso[k + 1]);
  line.stroke();
}
