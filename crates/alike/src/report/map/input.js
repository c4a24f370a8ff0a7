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
