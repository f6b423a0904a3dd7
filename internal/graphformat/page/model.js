// The images, what is chosen, and the rows that follow from it.

const data = JSON.parse(document.getElementById('data').textContent);

// Characters that would change the text around them are shown as their numbers.
const odd = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const show = (s) => s.replace(odd, (c) => '<U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0') + '>');
const number = (n) => n.toLocaleString('en-US');
const images = (n) => number(n) + (n === 1 ? ' image' : ' images');

const nodes = data.images.map(([name, repository, wave, reasons, parents, bases, more], index) => ({
  index, name, repository, wave, reasons, parents, bases, more, children: [], text: '',
}));
for (const n of nodes) {
  for (const p of n.parents) nodes[p].children.push(n.index);
}
const byName = new Map(nodes.map((n) => [n.name, n]));
const built = (n) => n.wave >= 0;
const decision = (n) => (built(n) ? 'build' : 'skip');
const kindsOf = (n) => new Set(n.reasons.map((r) => data.reasons[r][0]));
const reasonText = (r) => data.reasons[r][2] || data.phrases[data.reasons[r][0]];
const phrase = (kind) => data.phrases[kind] || kind;

// A cause is an image that is built for a reason of its own, and not only because a parent is built.
const isCause = (n) => built(n) && n.reasons.some((r) => data.reasons[r][0] !== 'parent-planned');
let budget = 3e6; // steps to count causes with: a chain of all images would take their square

// causesOf are the causes among what an image is built from, nearest first
function causesOf(n) {
  const seen = new Set([n.index]);
  const found = [];
  const queue = [n];
  for (const at of queue) {
    for (const p of at.parents) {
      if (!built(nodes[p]) || seen.has(p)) continue;
      seen.add(p);
      queue.push(nodes[p]);
      if (isCause(nodes[p])) found.push(nodes[p]);
    }
  }
  budget -= queue.length;
  return found;
}

// causes are all causes with how many images are built because of each, the greatest first
function causes() {
  const counts = new Map(nodes.filter(isCause).map((n) => [n, 0]));
  for (const n of nodes) {
    if (!built(n)) continue;
    if (budget < 0) return { list: [...counts], partial: true };
    for (const c of causesOf(n)) counts.set(c, counts.get(c) + 1);
  }
  return { list: [...counts].sort((a, b) => b[1] - a[1] || a[0].index - b[0].index), partial: false };
}

// what a search looks at; made once, at the first search
function searchText(n) {
  if (!n.text) {
    const parts = [n.name, n.more.file || '', n.more.target || ''];
    for (const t of n.more.tags || []) parts.push(t);
    for (const r of n.reasons) parts.push(reasonText(r));
    for (const p of n.parents) parts.push(nodes[p].name);
    for (const b of n.bases) parts.push(data.bases[b]);
    n.text = parts.join('\n').toLowerCase();
  }
  return n.text;
}

const state = {
  query: '',
  decisions: new Set(), // none chosen means all
  kinds: new Set(),
  group: 'repository',
  folded: new Set(), // keys of groups
  only: null, // {of: index, what: 'children' or 'parents'}
  picked: -1, // an index of nodes
  at: 0, // an index of rows
};

// rows are {group: …} or {node: …}
let rows = [];
let matches = [];

function match() {
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  const only = state.only && new Set(nodes[state.only.of][state.only.what]);
  matches = nodes.filter((n) => {
    if (only && !only.has(n.index)) return false;
    if (state.decisions.size && !state.decisions.has(decision(n))) return false;
    if (state.kinds.size && !n.reasons.some((r) => state.kinds.has(data.reasons[r][0]))) return false;
    return words.every((w) => searchText(n).includes(w));
  });
}

function groupOf(n) {
  switch (state.group) {
    case 'repository':
      return { key: 'r' + n.repository, label: show(data.repositories[n.repository]) || '(without a tag)', order: 0 };
    case 'wave':
      return built(n) ? { key: 'w' + n.wave, label: 'Wave ' + n.wave, order: n.wave } : { key: 'skip', label: 'Skipped', order: Infinity };
    case 'reason': {
      const kind = n.reasons.length ? data.reasons[n.reasons[0]][0] : '';
      return { key: 'k' + kind, label: phrase(kind) || '(without a reason)', order: built(n) ? 0 : 1 };
    }
  }
  return null;
}

// arrange makes the rows of what matches
function arrange() {
  rows = [];
  if (state.group === 'none') {
    rows = matches.map((n) => ({ node: n, level: 1 }));
    return;
  }
  const groups = new Map();
  for (const n of matches) {
    const g = groupOf(n);
    const have = groups.get(g.key) || { ...g, members: [], build: 0 };
    groups.set(g.key, have);
    have.members.push(n);
    if (built(n)) have.build++;
  }
  const sorted = [...groups.values()].sort((a, b) => (a.order === b.order ? a.label.localeCompare(b.label) : a.order < b.order ? -1 : 1));
  sorted.forEach((g, i) => {
    g.folded = state.folded.has(g.key);
    rows.push({ group: g, level: 1, position: i + 1, size: sorted.length });
    if (!g.folded) g.members.forEach((n, k) => rows.push({ node: n, level: 2, position: k + 1, size: g.members.length }));
  });
}
