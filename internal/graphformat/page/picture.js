// The picture of an image with what it is built from, at most three steps away, and its children.

const boxWidth = 132;
const boxHeight = 24;
const columnWidth = 164;
const lineHeight = 32;
const perColumn = 8;

const space = document.getElementById('svg').namespaceURI;

function svg(tag, attributes, ...children) {
  const e = document.createElementNS(space, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// columns are lists of indexes: ancestors by the longest way to the image, the image, and its children
function columns(n) {
  const distance = new Map([[n.index, 0]]);
  let layer = [n.index];
  const layers = [layer];
  for (let d = 1; d <= 3 && layer.length; d++) {
    layer = [...new Set(layer.flatMap((i) => nodes[i].parents))].slice(0, 4 * perColumn);
    for (const i of layer) distance.set(i, d);
    layers.push(layer);
  }
  const left = layers.map((_, d) => [...distance].filter(([, at]) => at === d).map(([i]) => i)).filter((l) => l.length);
  const important = (a, b) => built(nodes[b]) - built(nodes[a]);
  return [...left.slice(1).reverse().map((l) => l.sort(important)), [n.index], ...(n.children.length ? [[...n.children].sort(important)] : [])];
}

function box(i, x, y, picked) {
  const n = nodes[i];
  const name = [...show(n.name)];
  const label = name.length > 18 ? name.slice(0, 17).join('') + '…' : name.join('');
  const g = svg('g', { class: 'box ' + decision(n) + (picked ? ' picked' : ''), transform: `translate(${x} ${y})` },
    svg('title', {}, show(n.name) + ': ' + n.reasons.map((r) => show(reasonText(r))).join('; ')),
    svg('rect', { width: boxWidth, height: boxHeight, rx: 4 }), svg('text', { x: 7, y: 16 }, label));
  g.addEventListener('click', () => go(i));
  return g;
}

// picture says the same as the lists below it, and is for the eye alone
function picture(n) {
  const list = columns(n);
  if (list.length === 1) return [];
  const rows = Math.max(...list.map((c) => Math.min(c.length, perColumn) + (c.length > perColumn)));
  const height = rows * lineHeight;
  const at = new Map();
  const boxes = [];
  list.forEach((column, x) => {
    const shown = column.slice(0, perColumn);
    const top = (height - (shown.length + (column.length > perColumn)) * lineHeight) / 2 + (lineHeight - boxHeight) / 2;
    shown.forEach((i, y) => {
      at.set(i, [x * columnWidth, top + y * lineHeight]);
      boxes.push(box(i, x * columnWidth, top + y * lineHeight, i === n.index));
    });
    if (column.length > perColumn) {
      const more = 'and ' + number(column.length - perColumn) + ' more';
      boxes.push(svg('text', { class: 'more', x: x * columnWidth + 7, y: top + perColumn * lineHeight + 16 }, more));
    }
  });
  const edges = [];
  for (const [i, [x, y]] of at) {
    for (const p of nodes[i].parents) {
      const from = at.get(p);
      if (!from || from[0] >= x) continue;
      const [x1, y1, y2] = [from[0] + boxWidth, from[1] + boxHeight / 2, y + boxHeight / 2];
      const bend = (x - x1) / 2;
      const d = `M${x1} ${y1}C${x1 + bend} ${y1} ${x - bend} ${y2} ${x} ${y2}`;
      edges.push(svg('path', { class: 'edge ' + (built(nodes[i]) && built(nodes[p]) ? 'build' : ''), d }));
    }
  }
  const width = list.length * columnWidth - columnWidth + boxWidth;
  return [element('div', { id: 'picture', 'aria-hidden': 'true' },
    svg('svg', { viewBox: `-2 -2 ${width + 4} ${height + 4}`, width: width + 4, height: height + 4 }, ...edges, ...boxes))];
}
