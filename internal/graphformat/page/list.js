// The list: only the rows that are seen are in the document.

const rowHeight = 28;
const list = document.getElementById('list');
const spacer = document.getElementById('rows');
const drawn = new Map(); // by index of rows

function element(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k === 'class') e.className = v;
    else if (k === 'click') e.addEventListener('click', v);
    else e.setAttribute(k, v);
  }
  e.append(...children);
  return e;
}

const badge = (n) => element('span', { class: 'badge ' + decision(n) }, decision(n));

function rowElement(row, i) {
  const e = element('div', { class: 'item', role: 'treeitem', id: 'row' + i, 'aria-level': row.level });
  if (row.position) {
    e.setAttribute('aria-posinset', row.position);
    e.setAttribute('aria-setsize', row.size);
  }
  e.style.top = i * rowHeight + 'px';
  if (row.group) {
    const g = row.group;
    e.classList.add('group');
    e.setAttribute('aria-expanded', String(!g.folded));
    const bar = element('span', { class: 'bar', 'aria-hidden': 'true' }, element('span', {}));
    bar.firstChild.style.width = (100 * g.build) / g.members.length + '%';
    e.append(
      element('span', { class: 'mark', 'aria-hidden': 'true' }, g.folded ? '▸' : '▾'),
      element('span', { class: 'name' }, g.label),
      element('span', { class: 'sum' }, images(g.members.length) + ', ' + number(g.build) + ' to build'), bar);
    return e;
  }
  const n = row.node;
  const why = n.reasons.map((r) => show(reasonText(r)));
  const more = why.length > 1 ? ' (+' + (why.length - 1) + ')' : '';
  e.setAttribute('aria-selected', String(n.index === state.picked));
  e.append(badge(n), element('span', { class: 'name', title: show(n.name) }, show(n.name)),
    element('span', { class: 'why', title: why.join('\n') }, (why[0] || '') + more));
  return e;
}

// draw puts the rows that are seen into the document; anew makes all of them again
function draw(anew) {
  if (anew) {
    drawn.forEach((e) => e.remove());
    drawn.clear();
    spacer.style.height = rows.length * rowHeight + 'px';
  }
  const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - 8);
  const last = Math.min(rows.length - 1, Math.ceil((list.scrollTop + list.clientHeight) / rowHeight) + 8);
  drawn.forEach((e, i) => {
    if (i < first || i > last) {
      e.remove();
      drawn.delete(i);
    }
  });
  for (let i = first; i <= last; i++) {
    if (!drawn.has(i)) {
      const e = rowElement(rows[i], i);
      drawn.set(i, e);
      spacer.append(e);
    }
    drawn.get(i).classList.toggle('at', i === state.at);
  }
  if (drawn.has(state.at)) list.setAttribute('aria-activedescendant', 'row' + state.at);
  else list.removeAttribute('aria-activedescendant');
}

function reveal(i) {
  const top = i * rowHeight;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight;
}

function moveTo(i) {
  state.at = Math.max(0, Math.min(rows.length - 1, i));
  reveal(state.at);
  draw(false);
}

function setFolded(g, folded) {
  if (folded) state.folded.add(g.key);
  else state.folded.delete(g.key);
  arrange();
  state.at = Math.max(0, rows.findIndex((r) => r.group && r.group.key === g.key));
  draw(true);
  reveal(state.at);
}

function listKey(e) {
  const page = Math.max(1, Math.floor(list.clientHeight / rowHeight) - 1);
  const row = rows[state.at];
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length };
  if (e.ctrlKey || e.metaKey || e.altKey || !row) return;
  if (e.key in steps) moveTo(state.at + steps[e.key]);
  else if (e.key === 'ArrowRight' && row.group) {
    if (row.group.folded) setFolded(row.group, false);
    else moveTo(state.at + 1);
  } else if (e.key === 'ArrowLeft') {
    if (row.group) setFolded(row.group, true);
    else if (row.level === 2) moveTo(rows.findLastIndex((r, i) => i < state.at && r.group));
  } else if (e.key === 'Enter' || e.key === ' ') {
    if (row.group) setFolded(row.group, !row.group.folded);
    else pick(row.node.index, e.key === 'Enter');
  } else return;
  e.preventDefault();
}

list.addEventListener('keydown', listKey);
list.addEventListener('scroll', () => requestAnimationFrame(() => draw(false)), { passive: true });
list.addEventListener('click', (e) => {
  const item = e.target.closest('.item');
  if (!item) return;
  const i = Number(item.id.slice(3));
  state.at = i;
  if (rows[i].group) setFolded(rows[i].group, !rows[i].group.folded);
  else pick(rows[i].node.index, false);
});
new ResizeObserver(() => draw(false)).observe(list);
