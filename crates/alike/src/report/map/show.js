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
