// Looks at pages that alike report and alike map wrote, in a headless Chromium: axe-core finds nothing serious, texts of figures are
// large enough, inside their drawing and off each other, at 1280 and 375 pixels, in light and dark; how many pages of A4 they print on;
// and of maps how long the main thread works for each pointer event.
//
//     npm install --prefix /tmp/pages puppeteer-core axe-core
//     NODE_PATH=/tmp/pages/node_modules node bench/pages.js report.html map.html
//
// CHROMIUM names the browser; /usr/bin/chromium unless it is set. --no-timing leaves pointer events out, for machines that do other work
// too. Says that it was skipped where there is no browser or no npm package, and ends with 1 where something is wrong.
'use strict';
const fs = require('fs');
const path = require('path');

const skipped = why => { console.log(`skipped: ${why}`); process.exit(0); };
let puppeteer, axe;
try {
  puppeteer = require('puppeteer-core');
  axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
} catch (e) {
  skipped(`puppeteer-core and axe-core are not installed (${e.message.split('\n')[0]})`);
}
const browserPath = process.env.CHROMIUM || '/usr/bin/chromium';
if (!fs.existsSync(browserPath)) skipped(`${browserPath} is not there; CHROMIUM names a browser`);
const timed = !process.argv.includes('--no-timing');
const files = process.argv.slice(2).filter(word => word !== '--no-timing');
if (!files.length) { console.error('name pages'); process.exit(2); }

/** In the page: what is wrong with the texts of its figures. */
function texts() {
  const faults = [];
  for (const svg of document.querySelectorAll('svg.panel')) {
    const frame = svg.getBoundingClientRect();
    if (!frame.width) continue;
    const section = svg.closest('section')?.id;
    const all = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => {
      const size = parseFloat(getComputedStyle(t).fontSize) * frame.width / svg.viewBox.baseVal.width;
      const own = [...t.childNodes].filter(c => c.nodeName !== 'title').map(c => c.textContent).join('');
      return { own, size, box: t.getBoundingClientRect() };
    });
    all.forEach((t, i) => {
      if (t.size < 10.99) faults.push(`${section}: '${t.own}' has ${t.size.toFixed(1)} px`);
      const { left, right, top, bottom } = t.box;
      if (left < frame.left - 1.5 || right > frame.right + 1.5 || top < frame.top - 3 || bottom > frame.bottom + 3)
        faults.push(`${section}: '${t.own}' leaves its drawing`);
      for (const o of all.slice(0, i)) {
        const across = Math.min(right, o.box.right) - Math.max(left, o.box.left);
        const down = Math.min(bottom, o.box.bottom) - Math.max(top, o.box.top);
        if (across > 1 && down > 0.32 * Math.min(t.box.height, o.box.height)) faults.push(`${section}: '${t.own}' lies on '${o.own}'`);
      }
    });
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) faults.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  return faults;
}

const quantile = (list, q) => list.slice().sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))] ?? 0;

/** The main thread's work for each of some pointer events, in milliseconds: from the trace, between one event's dispatch and the next. */
async function perEvent(page, gesture) {
  const session = await page.createCDPSession();
  const events = [];
  session.on('Tracing.dataCollected', d => events.push(...d.value));
  const done = new Promise(r => session.once('Tracing.tracingComplete', r));
  await session.send('Tracing.start', { transferMode: 'ReportEvents', categories: 'devtools.timeline,toplevel' });
  const times = await gesture();
  await session.send('Tracing.end');
  await done;
  const thread = events.find(e => e.name === 'EventDispatch' && /^(pointer|wheel)/.test(e.args?.data?.type ?? ''));
  if (!thread) return [];
  const spent = e => e.tdur ?? e.dur;
  const main = events.filter(e => e.pid === thread.pid && e.tid === thread.tid && e.ph === 'X' && /RunTask|ThreadControllerImpl::RunTask/.test(e.name));
  const work = main.reduce((sum, e) => sum + spent(e) / 1000, 0);
  const at = events.filter(e => e.pid === thread.pid && e.tid === thread.tid && e.name === 'EventDispatch' && /^(pointermove|wheel)$/.test(e.args?.data?.type ?? ''))
    .map(e => e.ts).sort((a, b) => a - b);
  await session.detach();
  const per = at.map((from, i) => {
    const to = at[i + 1] ?? from + 50_000;
    return main.filter(e => e.ts + e.dur > from && e.ts < to).reduce((sum, e) => sum + spent(e) / 1000, 0);
  });
  return { per, work, times };
}

async function map(browser, file) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 800 });
  await page.goto('file://' + file);
  await page.waitForFunction(() => typeof n !== 'undefined' && n > 0);
  const count = await page.evaluate(() => n);
  const box = await page.evaluate(() => { const b = document.getElementById('plot').getBoundingClientRect(); return { x: b.x, y: b.y, width: b.width, height: b.height }; });
  const [cx, cy] = [box.x + box.width / 2, box.y + box.height / 2];
  const drag = async moves => {
    await page.mouse.move(cx - 150, cy);
    await page.mouse.down();
    for (let i = 1; i <= moves; i++) {
      const turn = 2 * Math.PI * i / moves;
      await page.mouse.move(cx - 150 * Math.cos(turn), cy - 120 * Math.sin(turn));
    }
    const before = Date.now();
    await page.mouse.up();
    await page.evaluate(() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r))));
    return Date.now() - before;
  };
  const limits = { hover: 16, pan: 16, zoom: 16, lasso: 8 };
  const gestures = {
    hover: async () => { for (let i = 0; i < 60; i++) await page.mouse.move(cx - 200 + 6 * i, cy + 40 * Math.sin(i / 5)); },
    pan: () => drag(60),
    zoom: async () => { await page.mouse.move(cx, cy); for (let i = 0; i < 60; i++) await page.mouse.wheel({ deltaY: i < 30 ? -60 : 60 }); },
    lasso: async () => { await page.click('#lasso'); return drag(60); },
  };
  let wrong = 0;
  for (const [name, gesture] of Object.entries(gestures)) {
    const { per = [], times } = await perEvent(page, gesture);
    const p95 = quantile(per, 0.95);
    const ok = per.length > 10 && p95 < limits[name];
    if (!ok) wrong++;
    console.log(`${path.basename(file)}: ${count} points, ${name}: ${per.length} events, 95th percentile ${p95.toFixed(1)} ms (limit ${limits[name]}), median ${quantile(per, 0.5).toFixed(1)} ms${times ? `, end ${times} ms` : ''}${ok ? '' : '  WRONG'}`);
  }
  const caught = await page.evaluate(() => caught?.length ?? 0);
  console.log(`${path.basename(file)}: the lasso caught ${caught}`);
  if (!caught) wrong++;
  await page.close();
  return wrong;
}

(async () => {
  const browser = await puppeteer.launch({ executablePath: browserPath, args: ['--no-sandbox', '--headless=new'], protocolTimeout: 600_000 });
  let wrong = 0;
  for (const name of files) {
    const file = path.resolve(name);
    for (const width of [1280, 375]) for (const scheme of ['light', 'dark']) {
      const page = await browser.newPage();
      const errors = [];
      page.on('pageerror', e => errors.push(`script: ${e.message}`));
      await page.setViewport({ width, height: 800 });
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await page.goto('file://' + file);
      const faults = [...errors, ...await page.evaluate(texts)];
      await page.evaluate(axe);
      const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
      for (const v of found.violations.filter(v => ['serious', 'critical'].includes(v.impact)))
        faults.push(`axe: ${v.id} (${v.impact}) at ${v.nodes.length}: ${v.nodes[0].target.join(' ')} ${(v.nodes[0].failureSummary ?? '').replace(/\s+/g, ' ').slice(0, 160)}`);
      wrong += faults.length;
      console.log(`${path.basename(file)}, ${width} px, ${scheme}: ${faults.length ? `${faults.length} faults` : 'sound'}`);
      for (const f of faults.slice(0, 12)) console.log(`  ${f}`);
      if (width === 1280 && scheme === 'light') {
        const pdf = Buffer.from(await page.pdf({ format: 'A4', preferCSSPageSize: true, printBackground: true }));
        console.log(`${path.basename(file)}: ${(pdf.toString('latin1').match(/\/Type\s*\/Page[^s]/g) ?? []).length} pages of A4`);
      }
      await page.close();
    }
    if (timed && /id="plot"/.test(fs.readFileSync(file, 'utf8').slice(0, 200_000))) wrong += await map(browser, file);
  }
  await browser.close();
  process.exit(wrong ? 1 : 0);
})();
