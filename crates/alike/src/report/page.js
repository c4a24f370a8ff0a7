'use strict';
const facts = JSON.parse(document.getElementById('facts').textContent);
const root = document.documentElement;

// Light and dark: the system's choice until the reader makes one.
document.getElementById('theme').addEventListener('click', () => {
  const dark = getComputedStyle(root).colorScheme.includes('dark');
  root.dataset.theme = dark ? 'light' : 'dark';
});

// Classes on and off, in every plot with dots.
const hidden = new Set();
const toggles = [...document.querySelectorAll('[data-k]')];
function show() {
  for (const button of toggles) button.setAttribute('aria-pressed', String(!hidden.has(button.dataset.k)));
  for (const mark of document.querySelectorAll('#spaces [class*=k], #map [class*=k]')) {
    const k = /(?:^| )k(\d+)/.exec(mark.getAttribute('class'));
    if (k) mark.style.display = hidden.has(k[1]) ? 'none' : '';
  }
}
for (const button of toggles) button.addEventListener('click', () => {
  const k = button.dataset.k;
  if (!hidden.delete(k)) hidden.add(k);
  show();
});
for (const button of document.querySelectorAll('[data-all]')) button.addEventListener('click', () => {
  hidden.clear();
  if (button.dataset.all === 'off') for (const t of toggles) hidden.add(t.dataset.k);
  show();
});

// The image at a dot, and the same image's dot in the plots beside it.
const tip = document.getElementById('tip');
const plots = [...document.querySelectorAll('svg.panel')].map(svg => ({
  svg, dots: [...svg.querySelectorAll('[data-i]')].map(dot => ({ dot, x: +dot.dataset.x, y: +dot.dataset.y, i: +dot.dataset.i })),
})).filter(plot => plot.dots.length);
for (const plot of plots) plot.byImage = new Map(plot.dots.map(d => [d.i, d]));

function ring(plot, at) {
  let mark = plot.svg.querySelector('.ring');
  if (!mark) {
    mark = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
    mark.setAttribute('class', 'ring');
    mark.setAttribute('r', '6');
    plot.dots[0].dot.parentNode.appendChild(mark);
  }
  mark.setAttribute('cx', at.x);
  mark.setAttribute('cy', at.y);
  mark.style.display = '';
}

function leave() {
  tip.hidden = true;
  for (const mark of document.querySelectorAll('.ring')) mark.style.display = 'none';
}

for (const plot of plots) {
  // Dots may be moved by a transform of their own; their parent is not.
  const matrix = () => plot.dots[0].dot.parentNode.getScreenCTM();
  let current = null;
  const look = (best, clientX, clientY) => {
    current = best;
    const section = plot.svg.closest('section');
    for (const other of plots) {
      const at = other.svg.closest('section') === section && other.byImage.get(best.i);
      if (at) ring(other, at);
    }
    const scale = Math.max(1, Math.round(84 / Math.max(facts.w, facts.h)));
    const picture = document.createElement('div');
    const [w, h] = [facts.w * scale, facts.h * scale];
    const [column, row] = [best.i % facts.columns, Math.floor(best.i / facts.columns)];
    picture.style.cssText = `width:${w}px;height:${h}px;background:url(${facts.sprite}) ${-column * w}px ${-row * h}px / ${facts.columns * w}px auto`;
    tip.replaceChildren(picture, facts.classes[facts.labels[best.i]]);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(clientX + 16, innerWidth - box.width - 8))}px`;
    tip.style.top = `${Math.max(8, clientY - box.height - 14)}px`;
  };
  const point = event => {
    const inside = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix().inverse());
    let best = null, least = 14 * 14;
    for (const d of plot.dots) {
      const far = (d.x - inside.x) ** 2 + (d.y - inside.y) ** 2;
      if (far < least && d.dot.style.display !== 'none') { best = d; least = far; }
    }
    if (best) look(best, event.clientX, event.clientY);
    else leave();
  };
  // From dot to dot by the arrow keys: the nearest that lies that way.
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const go = to => {
    const at = new DOMPoint(to.x, to.y).matrixTransform(matrix());
    look(to, at.x, at.y);
  };
  plot.svg.addEventListener('focus', () => {
    if (!plot.svg.matches(':focus-visible')) return;
    const first = current ?? plot.dots.find(d => d.dot.style.display !== 'none');
    if (first) go(first);
  });
  plot.svg.addEventListener('blur', leave);
  plot.svg.addEventListener('keydown', event => {
    if (event.key === 'Escape') return leave();
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    const from = current ?? plot.dots[0];
    let best = null, least = Infinity;
    for (const d of plot.dots) {
      const [dx, dy] = [d.x - from.x, d.y - from.y];
      const along = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      if (along > 0.05 && aside <= 2 * along && along + 2 * aside < least && d.dot.style.display !== 'none') {
        best = d;
        least = along + 2 * aside;
      }
    }
    if (best) go(best);
  });
  plot.svg.addEventListener('pointermove', point);
  plot.svg.addEventListener('pointerdown', point);
  plot.svg.addEventListener('pointerleave', event => { if (event.pointerType === 'mouse') leave(); });
}
addEventListener('scroll', leave, { passive: true });
