// What ties the parts together: filters, the address, keys.

const search = document.getElementById('search');
const by = (id) => document.getElementById(id);

function refresh() {
  match();
  arrange();
  const i = rows.findIndex((r) => r.node && r.node.index === state.picked);
  state.at = i >= 0 ? i : 0;
  list.scrollTop = 0;
  draw(true);
  reveal(state.at);
  draw(false);
  const toBuild = matches.filter(built).length;
  by('count').textContent = matches.length === nodes.length
    ? 'All ' + images(nodes.length) + ' are listed.'
    : images(matches.length) + ' of ' + number(nodes.length) + ' match, ' + number(toBuild) + ' to build.';
  for (const chip of document.querySelectorAll('.chips button')) {
    chip.setAttribute('aria-pressed', String(state[chip.dataset.set].has(chip.dataset.value)));
  }
  by('only').hidden = !state.only;
  if (state.only) by('only').textContent = '✕ only ' + state.only.what + ' of ' + show(nodes[state.only.of].name);
}

// pick shows an image at the right
function pick(index, focus) {
  state.picked = index;
  const address = '#' + encodeURIComponent(nodes[index].name);
  if (location.hash !== address) history.pushState(null, '', address);
  draw(true);
  drawDetail();
  if (focus) detail.focus();
}

// go shows an image at the right and in the list, even where a filter or a fold hides it
function go(index) {
  if (!matches.some((n) => n.index === index)) {
    state.query = search.value = '';
    state.decisions.clear();
    state.kinds.clear();
    state.only = null;
  }
  const g = groupOf(nodes[index]);
  if (g) state.folded.delete(g.key);
  state.picked = index;
  refresh();
  pick(index, true);
}

function fromAddress() {
  let name = '';
  try {
    name = decodeURIComponent(location.hash.slice(1));
  } catch {
    return;
  }
  const n = byName.get(name);
  if (n && n.index !== state.picked) go(n.index);
}

function chips(id, set, values) {
  for (const [value, label, n] of values) {
    const toggle = () => {
      if (!state[set].delete(value)) state[set].add(value);
      refresh();
    };
    by(id).append(element('button', { type: 'button', 'data-set': set, 'data-value': value, 'aria-pressed': 'false', click: toggle },
      label, element('span', {}, number(n))));
  }
}

function foldAll(folded) {
  state.folded.clear();
  if (folded) for (const n of nodes) state.folded.add(groupOf(n)?.key);
  refresh();
}

function counted() {
  const kinds = new Map();
  for (const n of nodes) for (const k of kindsOf(n)) kinds.set(k, (kinds.get(k) || 0) + 1);
  const toBuild = nodes.filter(built).length;
  chips('decisions', 'decisions', [['build', 'build', toBuild], ['skip', 'skip', nodes.length - toBuild]]);
  chips('kinds', 'kinds', [...kinds].sort((a, b) => b[1] - a[1]).map(([k, n]) => [k, phrase(k), n]));
  const waves = nodes.reduce((w, n) => Math.max(w, n.wave + 1), 0);
  by('summary').textContent = images(nodes.length) + ': ' + number(toBuild) + ' to build in ' + waves + (waves === 1 ? ' wave' : ' waves') +
    ', ' + number(nodes.length - toBuild) + ' to skip';
}

search.addEventListener('input', () => {
  state.query = search.value;
  if (state.query) state.folded.clear(); // what is found is shown
  refresh();
});
search.addEventListener('keydown', (e) => {
  if (e.key === 'ArrowDown' || e.key === 'Enter') {
    list.focus();
    e.preventDefault();
  }
});
document.addEventListener('keydown', (e) => {
  if (e.key === '/' && !/^(INPUT|SELECT)$/.test(e.target.tagName) && !e.ctrlKey && !e.metaKey && !e.altKey) {
    search.focus();
    search.select();
    e.preventDefault();
  } else if (e.key === 'Escape' && e.target !== search) list.focus();
});
by('group').addEventListener('change', (e) => {
  state.group = e.target.value;
  state.folded.clear();
  refresh();
});
by('fold').addEventListener('click', () => foldAll(true));
by('unfold').addEventListener('click', () => foldAll(false));
by('only').addEventListener('click', () => {
  state.only = null;
  refresh();
  list.focus();
});
by('reset').addEventListener('click', () => {
  state.query = search.value = '';
  state.decisions.clear();
  state.kinds.clear();
  state.only = null;
  state.folded.clear();
  refresh();
});
by('theme').addEventListener('change', (e) => document.documentElement.style.setProperty('color-scheme', e.target.value));
addEventListener('hashchange', fromAddress);
addEventListener('popstate', fromAddress);

counted();
// repositories of one image each are no groups
if (data.repositories.length * 2 > nodes.length) state.group = by('group').value = 'wave';
foldAll(nodes.length > 1000); // so many are looked at from above first
drawDetail();
fromAddress();
