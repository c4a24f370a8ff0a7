'use strict';
const facts = JSON.parse(document.getElementById('facts').textContent);
const root = document.documentElement;
const $ = id => document.getElementById(id);
const canvas = $('plot'), over = $('over'), tip = $('tip');
const pen = canvas.getContext('2d', { alpha: false, willReadFrequently: true }), line = over.getContext('2d');
const n = facts.names.length;
// Pictures that are listed at a time, and names that the map writes.
const MOST = 240, MOST_NAMES = 60, COLOURS = 8, SHAPES = facts.marks.length;
// From so many dots on, they are drawn smaller, and more so while they move.
const MANY = 20000;

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
