'use strict';
const facts = JSON.parse(document.getElementById('facts').textContent);
const root = document.documentElement;
const canvas = document.getElementById('plot');
const pen = canvas.getContext('2d');
const tip = document.getElementById('tip');
const n = facts.names.length;
// Pictures that are listed at a time.
const MOST = 600;

let layout = 0, colour = 0, caught = [], lasso = [], drawing = false, pointed = -1, screen = [];

document.getElementById('theme').addEventListener('click', () => {
  const dark = getComputedStyle(root).colorScheme.includes('dark');
  root.dataset.theme = dark ? 'light' : 'dark';
  draw();
});

const ink = name => getComputedStyle(root).getPropertyValue('--' + name).trim();
const KINDS = 10;
const by = () => facts.colours[colour];
// From quiet to loud, in light and dark.
const shade = share => `rgb(${[[120, 228], [152, 74], [190, 12]].map(([a, b]) => Math.round(a + (b - a) * share)).join(' ')})`;

function scale() {
  const values = by().of.slice().sort((a, b) => a - b);
  const low = values[0], high = values[Math.floor((n - 1) * 0.99)];
  return v => high > low ? Math.min(1, Math.max(0, (v - low) / (high - low))) : 0;
}

function draw() {
  const box = canvas.getBoundingClientRect(), fine = window.devicePixelRatio || 1;
  canvas.width = Math.round(box.width * fine);
  canvas.height = Math.round(box.height * fine);
  pen.setTransform(fine, 0, 0, fine, 0, 0);
  const at = facts.layouts[layout].at;
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of at) { x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y); }
  const room = 24;
  const unit = Math.min((box.width - 2 * room) / (x1 - x0 || 1), (box.height - 2 * room) / (y1 - y0 || 1));
  screen = at.map(([x, y]) => [
    box.width / 2 + (x - (x0 + x1) / 2) * unit,
    box.height / 2 - (y - (y0 + y1) / 2) * unit,
  ]);
  const of = by().of, share = by().kinds ? null : scale();
  const palette = [...Array(KINDS).keys()].map(k => ink('c' + k));
  const radius = n > 3000 ? 2.4 : 3.6, chosen = new Set(caught);
  for (let i = 0; i < n; i++) {
    pen.globalAlpha = chosen.size && !chosen.has(i) ? 0.12 : 0.85;
    pen.fillStyle = share ? shade(share(of[i])) : palette[of[i] % KINDS];
    pen.beginPath();
    const [x, y] = screen[i], kind = share ? 0 : Math.floor(of[i] / KINDS) % 3;
    if (kind === 0) pen.arc(x, y, radius, 0, 7);
    else if (kind === 1) pen.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    else { pen.moveTo(x, y - radius * 1.3); pen.lineTo(x + radius * 1.2, y + radius); pen.lineTo(x - radius * 1.2, y + radius); }
    pen.fill();
  }
  pen.globalAlpha = 1;
  pen.strokeStyle = ink('ink');
  if (pointed >= 0) {
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.arc(...screen[pointed], radius + 4, 0, 7);
    pen.stroke();
  }
  if (lasso.length > 1) {
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 4]);
    pen.beginPath();
    lasso.forEach(([x, y], i) => i ? pen.lineTo(x, y) : pen.moveTo(x, y));
    pen.closePath();
    pen.stroke();
    pen.setLineDash([]);
  }
}

function legend() {
  const box = document.getElementById('legend');
  box.replaceChildren();
  const entry = (fill, text) => {
    const item = document.createElement('span'), dot = document.createElement('i');
    dot.style.background = fill;
    item.append(dot, text);
    box.append(item);
  };
  const { kinds, of } = by();
  if (kinds) {
    kinds.slice(0, 24).forEach((name, k) => entry(`var(--c${k % KINDS})`, name));
    if (kinds.length > 24) box.append(`and ${kinds.length - 24} more`);
  } else {
    const sorted = of.slice().sort((a, b) => a - b);
    [0, 0.5, 0.99].forEach(q => {
      const v = sorted[Math.floor((n - 1) * q)];
      entry(shade(scale()(v)), String(v));
    });
  }
}

function picture(i, size) {
  const box = document.createElement('div'), k = size / Math.max(facts.w, facts.h);
  const column = i % facts.columns, row = Math.floor(i / facts.columns);
  Object.assign(box.style, {
    width: `${facts.w * k}px`, height: `${facts.h * k}px`, backgroundImage: `url(${facts.sprite})`,
    backgroundSize: `${facts.columns * facts.w * k}px auto`, backgroundPosition: `${-column * facts.w * k}px ${-row * facts.h * k}px`,
  });
  return box;
}

const words = i => facts.colours.map(c => `${c.name} ${c.kinds ? c.kinds[c.of[i]] : c.of[i]}`);

function hover(x, y, clientX, clientY) {
  let best = -1, near = 14 * 14;
  screen.forEach(([px, py], i) => {
    const d = (px - x) ** 2 + (py - y) ** 2;
    if (d < near) { near = d; best = i; }
  });
  if (best !== pointed) { pointed = best; draw(); }
  tip.hidden = best < 0;
  if (best < 0) return;
  tip.replaceChildren(picture(best, 96));
  for (const text of [facts.names[best], ...words(best)]) tip.append(text, document.createElement('br'));
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(clientX + 16, innerWidth - box.width - 4))}px`;
  tip.style.top = `${Math.max(4, Math.min(clientY + 16, innerHeight - box.height - 4))}px`;
}

function inside([x, y]) {
  let odd = false;
  for (let i = 0, j = lasso.length - 1; i < lasso.length; j = i++) {
    const [xi, yi] = lasso[i], [xj, yj] = lasso[j];
    if ((yi > y) !== (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

function list() {
  const section = document.getElementById('caught');
  section.hidden = !caught.length;
  document.getElementById('count').textContent = `${caught.length} images`;
  const sheet = document.getElementById('sheet');
  sheet.replaceChildren(...caught.slice(0, MOST).map(i => {
    const item = document.createElement('figure');
    item.append(picture(i, 64), facts.names[i].split('/').slice(-2).join('/'));
    return item;
  }));
  if (caught.length > MOST) sheet.append(`and ${caught.length - MOST} more; all are in the CSV`);
}

const place = event => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
canvas.addEventListener('pointerdown', event => {
  drawing = true;
  lasso = [place(event)];
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointermove', event => {
  const [x, y] = place(event);
  if (!drawing) return hover(x, y, event.clientX, event.clientY);
  tip.hidden = true;
  lasso.push([x, y]);
  draw();
});
const end = () => {
  if (!drawing) return;
  drawing = false;
  const wide = Math.max(...lasso.map(p => Math.hypot(p[0] - lasso[0][0], p[1] - lasso[0][1])));
  caught = lasso.length > 2 && wide > 6 ? [...screen.keys()].filter(i => inside(screen[i])) : [];
  lasso = [];
  list();
  draw();
};
canvas.addEventListener('pointerup', end);
canvas.addEventListener('pointercancel', end);
canvas.addEventListener('pointerleave', () => { if (!drawing) { tip.hidden = true; pointed = -1; draw(); } });
const release = () => { caught = []; list(); draw(); };
document.getElementById('clear').addEventListener('click', release);
addEventListener('keydown', event => { if (event.key === 'Escape') release(); });

document.getElementById('save').addEventListener('click', () => {
  const cell = v => /[",\n]/.test(String(v)) ? `"${String(v).replace(/"/g, '""')}"` : String(v);
  const head = ['path', ...facts.colours.map(c => c.name)];
  const rows = caught.map(i => [facts.names[i], ...facts.colours.map(c => c.kinds ? c.kinds[c.of[i]] : c.of[i])]);
  const text = [head, ...rows].map(row => row.map(cell).join(',')).join('\n') + '\n';
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = 'images.csv';
  link.click();
  URL.revokeObjectURL(link.href);
});

facts.layouts.forEach((l, i) => {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = l.name;
  button.addEventListener('click', () => { layout = i; press(); draw(); });
  document.getElementById('layouts').append(button);
});
function press() {
  document.querySelectorAll('#layouts button').forEach((b, i) => b.setAttribute('aria-pressed', String(i === layout)));
}
facts.colours.forEach((c, i) => {
  const option = document.createElement('option');
  option.value = i;
  option.textContent = c.name;
  document.getElementById('colour').append(option);
});
document.getElementById('colour').addEventListener('change', event => { colour = +event.target.value; legend(); draw(); });
addEventListener('resize', draw);
press();
legend();
draw();
