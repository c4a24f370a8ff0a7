'use strict';
const facts = JSON.parse(document.getElementById('facts').textContent);
const root = document.documentElement;
const $ = id => document.getElementById(id);
const canvas = $('plot'), over = $('over'), tip = $('tip');
const pen = canvas.getContext('2d', { alpha: false, willReadFrequently: true }), line = over.getContext('2d');
const n = facts.names.length;
// Pictures that are listed at a time, and names that the map writes.
const MOST = 240, MOST_NAMES = 60, COLOURS = 8, SHAPES = facts.marks.length;

const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer;
const layouts = facts.layouts.map(l => ({ name: l.name, at: new Uint16Array(bytes(l.at)) }));
const colours = facts.colours.map(c => c.kinds
  ? { ...c, of: new Uint32Array(bytes(c.of)) }
  : { ...c, of: new Float32Array(bytes(c.scale)) });
const neighbours = new Uint32Array(bytes(facts.neighbours));

let layout = 0, colour = 0, mode = 'move';
let width = 0, height = 0, fine = 1, unit = 1, dx = 0, dy = 0;
let pointed = -1, chosen = -1, caught = null, lasso = [], drag = null;
// By point: whether its kind is shown; whether it was caught or found.
const shown = new Uint8Array(n).fill(1), marked = new Uint8Array(n);
const hiddenKinds = colours.map(() => new Set());
// By point: where it stands on the screen.
const sx = new Float32Array(n), sy = new Float32Array(n);

// Colours ---------------------------------------------------------------------------------------
const ink = name => getComputedStyle(root).getPropertyValue('--' + name).trim();
const pack = hex => {
  const v = parseInt(hex.slice(1), 16);
  return (0xff << 24 | (v & 255) << 16 | (v >> 8 & 255) << 8 | v >> 16) >>> 0;
};
// Towards the ground: what is not meant.
const faint = (packed, ground) => {
  const mix = shift => Math.round(0.16 * (packed >>> shift & 255) + 0.84 * (ground >>> shift & 255)) << shift;
  return (0xff << 24 | mix(16) | mix(8) | mix(0)) >>> 0;
};
// From quiet to loud.
const shade = share => `#${[[96, 214], [128, 58], [170, 6]].map(([a, b]) => Math.round(a + (b - a) * share).toString(16).padStart(2, '0')).join('')}`;
const SHADES = 64;
let palette = new Uint32Array(0), pale = new Uint32Array(0), ground = 0;
// By point: its place in the palette, and its shape.
const tint = new Uint8Array(n), shape = new Uint8Array(n);

function quantile(of, q) {
  const sorted = Float32Array.from(of).sort();
  return sorted[Math.floor((n - 1) * q)];
}

function paint() {
  const { of, kinds } = colours[colour];
  ground = pack(ink('card'));
  let list;
  if (kinds) {
    list = [...Array(COLOURS).keys()].map(k => pack(ink('c' + k)));
    for (let i = 0; i < n; i++) { tint[i] = of[i] % COLOURS; shape[i] = Math.floor(of[i] / COLOURS) % SHAPES; }
  } else {
    list = [...Array(SHADES).keys()].map(k => pack(shade(k / (SHADES - 1))));
    const low = quantile(of, 0), high = quantile(of, 0.99);
    for (let i = 0; i < n; i++) {
      const share = high > low ? Math.min(1, Math.max(0, (of[i] - low) / (high - low))) : 0;
      tint[i] = Math.round(share * (SHADES - 1));
      shape[i] = 0;
    }
  }
  palette = Uint32Array.from(list);
  pale = Uint32Array.from(list, c => faint(c, ground));
}

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

// From so many dots on, they are small while they move; they get their size when they rest.
const MANY = 20000;
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
  const base = n > 20000 ? 3 : n > 3000 ? 5 : 7;
  const dot = Math.min(moving && n > MANY ? 3 : 11, Math.round((base + (n > 20000 ? 0.8 : 1.5) * Math.max(0, Math.log2(zoomed))) * Math.max(1, fine * 0.8))) | 1;
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

// Pictures and words ------------------------------------------------------------------------------
// Sprites' addresses: soon short ones, for a long one would be read anew for each picture.
const sheets = facts.sprites.slice();
sheets.forEach(async (long, k) => {
  try {
    sheets[k] = URL.createObjectURL(await (await fetch(long)).blob());
  } catch { /* The long one does, too. */ }
});

function picture(i, longest) {
  const box = document.createElement('div'), k = longest / Math.max(facts.w, facts.h);
  const [sheet, at] = [Math.floor(i / facts.per), i % facts.per];
  const [column, row] = [at % facts.columns, Math.floor(at / facts.columns)];
  Object.assign(box.style, {
    width: `${facts.w * k}px`, height: `${facts.h * k}px`, backgroundImage: `url(${sheets[sheet]})`,
    backgroundSize: `${facts.columns * facts.w * k}px auto`, backgroundPosition: `${-column * facts.w * k}px ${-row * facts.h * k}px`,
  });
  return box;
}

const value = (c, i) => c.kinds ? c.kinds[c.of[i]] : Number(c.of[i].toPrecision(4));
const words = i => colours.map(c => `${c.name}: ${value(c, i)}`);

function point(i, clientX, clientY) {
  if (i !== pointed) { pointed = i; above(); }
  tip.hidden = i < 0;
  if (i < 0) return;
  tip.replaceChildren(picture(i, 96));
  for (const text of [facts.names[i], ...words(i)]) tip.append(text, document.createElement('br'));
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(clientX + 16, innerWidth - box.width - 4))}px`;
  tip.style.top = `${Math.max(4, Math.min(clientY + 16, innerHeight - box.height - 4))}px`;
}

/** Shows an image large, with its nearest ones. */
function choose(i) {
  chosen = i;
  tip.hidden = true;
  const box = $('detail');
  const was = box.hidden;
  box.hidden = i < 0;
  if (i >= 0) {
    const parts = [];
    const close = document.createElement('button');
    close.type = 'button';
    close.textContent = 'close';
    close.addEventListener('click', () => { choose(-1); canvas.focus(); });
    parts.push(close);
    if (facts.assets) {
      const large = new Image();
      large.src = `${facts.assets}/${i}.png`;
      large.alt = facts.names[i];
      large.style.aspectRatio = `${facts.large[0]} / ${facts.large[1]}`;
      parts.push(large);
    } else parts.push(picture(i, 224));
    const name = document.createElement('p');
    name.append(facts.names[i]);
    for (const text of words(i)) name.append(document.createElement('br'), text);
    parts.push(name);
    if (facts.near) {
      const heading = document.createElement('p'), list = document.createElement('div');
      heading.textContent = 'nearest:';
      list.className = 'near';
      for (let k = 0; k < facts.near; k++) {
        const j = neighbours[i * facts.near + k], button = document.createElement('button');
        button.type = 'button';
        button.setAttribute('aria-label', `${facts.names[j]}, ${words(j)[0]}`);
        button.append(picture(j, 52));
        button.addEventListener('click', () => choose(j));
        list.append(button);
      }
      parts.push(heading, list);
    }
    box.replaceChildren(...parts);
  }
  if (was !== box.hidden) size();
  else above();
}

// Catching ----------------------------------------------------------------------------------------
/** Marks points, lists them, and lets the others fade. Nothing lets go. */
function hold(list, what) {
  caught = list;
  marked.fill(0);
  for (const i of list ?? []) marked[i] = 1;
  $('caught').hidden = !list?.length;
  $('status').textContent = list ? `${list.length.toLocaleString('en')} ${what}` : '';
  if (list?.length) {
    $('count').textContent = list.length === 1 ? '1 image' : `${list.length.toLocaleString('en')} images`;
    $('sheet').replaceChildren(...list.slice(0, MOST).map(i => {
      const item = document.createElement('figure');
      item.append(picture(i, 64), facts.names[i].split('/').slice(-2).join('/'));
      return item;
    }));
    if (list.length > MOST) $('sheet').append(`and ${list.length - MOST} more; all are in the CSV`);
  }
  redraw();
}

/** Points inside the lasso: it is filled on a canvas, whose pixels then tell. */
function inside() {
  const scratch = document.createElement('canvas');
  scratch.width = width;
  scratch.height = height;
  const fill = scratch.getContext('2d', { willReadFrequently: true });
  fill.beginPath();
  for (let k = 0; k < lasso.length; k += 2) fill.lineTo(lasso[k], lasso[k + 1]);
  fill.fill('evenodd');
  const { data } = fill.getImageData(0, 0, width, height);
  const list = [];
  for (let i = 0; i < n; i++) {
    if (!shown[i] || sx[i] < 0 || sy[i] < 0 || sx[i] >= width || sy[i] >= height) continue;
    if (data[4 * ((sy[i] | 0) * width + (sx[i] | 0)) + 3] > 127) list.push(i);
  }
  return list;
}

// Pointer, wheel, keys ------------------------------------------------------------------------------
const spot = event => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * fine, (event.clientY - box.top) * fine];
};
const touches = new Map();

function zoom(factor, x, y) {
  const k = Math.min(Math.max(unit * factor, 1e-4), 100) / unit;
  unit *= k;
  dx = x + (dx - x) * k;
  dy = y + (dy - y) * k;
  stale = true;
  move();
}

canvas.addEventListener('pointerdown', event => {
  canvas.setPointerCapture(event.pointerId);
  const at = spot(event);
  touches.set(event.pointerId, at);
  if (touches.size > 1) { drag = null; lasso = []; above(); return; }
  drag = { from: at, at, catching: (mode === 'lasso') !== event.shiftKey, moved: false };
  if (drag.catching) { lasso = at.slice(); above(); }
});
canvas.addEventListener('pointermove', event => {
  const at = spot(event);
  if (touches.size > 1 && touches.has(event.pointerId)) {
    const [other] = [...touches].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
    const was = touches.get(event.pointerId);
    const far = p => Math.hypot(p[0] - other[0], p[1] - other[1]);
    touches.set(event.pointerId, at);
    return zoom(far(at) / Math.max(1, far(was)), other[0], other[1]);
  }
  if (!drag) return point(nearest(...at), event.clientX, event.clientY);
  touches.set(event.pointerId, at);
  if (Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) > 4 * fine) drag.moved = true;
  tip.hidden = true;
  if (drag.catching) { lasso.push(...at); stretch(lasso.length - 4); }
  else if (drag.moved) {
    const by = [Math.round(at[0] - drag.at[0]), Math.round(at[1] - drag.at[1])];
    push(...by);
    drag.at = [drag.at[0] + by[0], drag.at[1] + by[1]];
    return;
  }
  drag.at = at;
});
const end = event => {
  touches.delete(event.pointerId);
  if (!drag) return;
  const { catching, moved, at } = drag;
  drag = null;
  if (!moved) {
    lasso = [];
    return choose(nearest(...at));
  }
  if (!catching) return;
  const list = inside();
  lasso = [];
  hold(list.length ? list : null, 'caught');
};
canvas.addEventListener('pointerup', end);
canvas.addEventListener('pointercancel', event => { touches.delete(event.pointerId); drag = null; lasso = []; above(); });
canvas.addEventListener('pointerleave', () => { if (!drag) { tip.hidden = true; pointed = -1; above(); } });
canvas.addEventListener('wheel', event => {
  event.preventDefault();
  const lines = event.deltaMode ? 32 : 1;
  zoom(Math.exp(-event.deltaY * lines * 0.0015), ...spot(event));
}, { passive: false });
canvas.addEventListener('dblclick', event => zoom(2, ...spot(event)));

const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener('keydown', event => {
  const way = ways[event.key];
  if (way && event.shiftKey) { dx -= way[0] * width / 8; dy -= way[1] * height / 8; redraw(); }
  else if (way) {
    const from = pointed >= 0 ? pointed : chosen >= 0 ? chosen : nearest(width / 2, height / 2);
    const next = from < 0 ? shown.indexOf(1) : pointed < 0 ? from : towards(from, way);
    const box = canvas.getBoundingClientRect();
    if (next >= 0) point(next, box.left + sx[next] / fine, box.top + sy[next] / fine);
    if (next >= 0) $('status').textContent = [facts.names[next], ...words(next)].join(', ');
  } else if (event.key === '+' || event.key === '=') zoom(1.4, width / 2, height / 2);
  else if (event.key === '-') zoom(1 / 1.4, width / 2, height / 2);
  else if (event.key === '0') whole();
  else if (event.key === 'Enter' && pointed >= 0) choose(pointed);
  else if (event.key === 'l' || event.key === 'L') setMode(mode === 'lasso' ? 'move' : 'lasso');
  else return;
  event.preventDefault();
});
const release = () => { $('find').value = ''; hold(null, ''); };
addEventListener('keydown', event => { if (event.key === 'Escape') { choose(-1); release(); } });

// The bar -------------------------------------------------------------------------------------------
function setMode(to) {
  mode = to;
  for (const m of ['move', 'lasso']) $(m).setAttribute('aria-pressed', String(m === mode));
  canvas.style.cursor = mode === 'lasso' ? 'crosshair' : 'grab';
}
$('move').addEventListener('click', () => setMode('move'));
$('lasso').addEventListener('click', () => setMode('lasso'));
$('whole').addEventListener('click', whole);
$('names').addEventListener('click', () => {
  named = !named;
  $('names').setAttribute('aria-pressed', String(named));
  redraw();
});
$('clear').addEventListener('click', release);

let lower = null, typing = 0;
$('find').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const text = $('find').value.trim().toLowerCase();
    if (!text) return hold(null, '');
    lower ??= facts.names.map(name => name.toLowerCase());
    const list = [];
    for (let i = 0; i < n; i++) if (shown[i] && lower[i].includes(text)) list.push(i);
    hold(list, 'found');
  }, 120);
});

$('save').addEventListener('click', () => {
  const cell = v => /[",\n\r]/.test(String(v)) ? `"${String(v).replace(/"/g, '""')}"` : String(v);
  const head = ['path', ...colours.map(c => c.name), 'written_by'];
  const rows = caught.map(i => [facts.names[i], ...colours.map(c => value(c, i)), 'alike map']);
  const text = [head, ...rows].map(row => row.map(cell).join(',')).join('\n') + '\n';
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = 'images.csv';
  link.click();
  URL.revokeObjectURL(link.href);
});

function filter() {
  const { kinds, of } = colours[colour], hidden = hiddenKinds[colour];
  if (!kinds || !hidden.size) shown.fill(1);
  else for (let i = 0; i < n; i++) shown[i] = hidden.has(of[i]) ? 0 : 1;
  document.querySelectorAll('#legend [data-k]').forEach(b => b.setAttribute('aria-pressed', String(!hidden.has(+b.dataset.k))));
  redraw();
}

function legend() {
  const box = $('legend'), { kinds, of, short } = colours[colour];
  box.replaceChildren();
  if (!kinds) {
    for (const q of [0, 0.5, 0.99]) {
      const v = quantile(of, q), low = quantile(of, 0), high = quantile(of, 0.99);
      const item = document.createElement('span'), dot = document.createElement('i');
      dot.style.background = shade(high > low ? (v - low) / (high - low) : 0);
      item.append(dot, String(Number(v.toPrecision(3))));
      box.append(item);
    }
    return;
  }
  const button = (text, act, k) => {
    const b = document.createElement('button');
    b.type = 'button';
    if (k !== undefined) {
      b.dataset.k = k;
      b.title = kinds[k];
      const mark = document.createElement('canvas');
      mark.width = mark.height = 14;
      const draw = mark.getContext('2d');
      draw.fillStyle = ink('c' + k % COLOURS);
      const letters = facts.marks[Math.floor(k / COLOURS) % SHAPES];
      for (let p = 0; p < 49; p++) if (letters[p] === '#') draw.fillRect(p % 7 * 2, Math.floor(p / 7) * 2, 2, 2);
      b.append(mark);
    }
    b.append(text);
    b.addEventListener('click', act);
    box.append(b);
  };
  const hidden = hiddenKinds[colour];
  short.forEach((name, k) => button(name, () => { if (!hidden.delete(k)) hidden.add(k); filter(); }, k));
  button('all', () => { hidden.clear(); filter(); });
  button('none', () => { kinds.forEach((_, k) => hidden.add(k)); filter(); });
}

layouts.forEach((l, i) => {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = l.name;
  button.addEventListener('click', () => { layout = i; press(); findMiddles(); whole(); });
  $('layouts').append(button);
});
function press() {
  document.querySelectorAll('#layouts button').forEach((b, i) => b.setAttribute('aria-pressed', String(i === layout)));
}
colours.forEach((c, i) => {
  const option = document.createElement('option');
  option.value = i;
  option.textContent = c.name;
  $('colour').append(option);
});
function recolour() { paint(); legend(); findMiddles(); filter(); }
$('colour').addEventListener('change', event => { colour = +event.target.value; recolour(); });
$('theme').addEventListener('click', () => {
  const dark = getComputedStyle(root).colorScheme.includes('dark');
  root.dataset.theme = dark ? 'light' : 'dark';
  recolour();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolour);
addEventListener('resize', size);
press();
setMode('move');
recolour();
size();
