// What is known of one image.

const detail = document.getElementById('detail');
const shownLinks = 100;
const shownCauses = 8;

function link(index) {
  const n = nodes[index];
  return element('li', {}, badge(n), element('button', { class: 'link', type: 'button', click: () => go(index) }, show(n.name)));
}

// relatives lists parents or children, and offers to list all of them at the left
function relatives(n, what, title) {
  const all = n[what];
  const parts = [element('h3', { id: what }, title + ' (' + number(all.length) + ')')];
  if (all.length) parts.push(element('ul', { class: 'links', 'aria-labelledby': what }, ...all.slice(0, shownLinks).map(link)));
  if (all.length > shownLinks) parts.push(element('p', { class: 'weak' }, 'and ' + number(all.length - shownLinks) + ' more'));
  if (all.length > 1) {
    const choose = () => {
      state.only = { of: n.index, what };
      refresh();
      list.focus();
    };
    parts.push(element('button', { type: 'button', click: choose }, 'List these ' + number(all.length)));
  }
  return parts;
}

function facts(n) {
  const dl = element('dl', {});
  const fact = (name, value) => {
    if (value) dl.append(element('dt', {}, name), element('dd', {}, show(value)));
  };
  fact('Repository', data.repositories[n.repository]);
  fact('Dockerfile', n.more.file);
  fact('Target', n.more.target);
  fact('Platforms', (n.more.platforms || []).join(', '));
  fact('Tags', (n.more.tags || []).join(', '));
  fact('Source tag', n.more.tag);
  fact('Source hash', n.more.hash);
  fact('Digest', n.more.digest);
  return dl;
}

const ownReason = (n) => show(reasonText(n.reasons.find((r) => data.reasons[r][0] !== 'parent-planned') ?? n.reasons[0]));

// overview says what makes images be built, as long as none is chosen
function overview() {
  const { list, partial } = causes();
  const hint = element('p', { class: 'weak' }, 'Choose an image to see why it is built or skipped, its parents and its children.');
  if (!list.length) return [hint];
  const items = list.slice(0, shownLinks).map(([n, count]) => {
    const li = link(n.index);
    li.append(' ', ownReason(n));
    if (count) li.append(element('span', { class: 'weak' }, ' → ' + images(count) + ' more' + (partial ? ', or above' : '')));
    return li;
  });
  const parts = [element('h2', {}, 'What causes the builds'), element('ul', { class: 'links', id: 'causes' }, ...items)];
  if (list.length > shownLinks) parts.push(element('p', { class: 'weak' }, 'and ' + number(list.length - shownLinks) + ' more'));
  return [...parts, hint];
}

function because(n) {
  const list = causesOf(n);
  if (!list.length) return [];
  const items = list.slice(0, shownCauses).map((c) => {
    const li = link(c.index);
    li.append(' ', ownReason(c));
    return li;
  });
  if (list.length > shownCauses) items.push(element('li', { class: 'weak' }, 'and ' + number(list.length - shownCauses) + ' more'));
  return [element('h3', {}, 'Because of'), element('ul', { class: 'links', id: 'because' }, ...items)];
}

function drawDetail() {
  const n = nodes[state.picked];
  if (!n) {
    detail.replaceChildren(...overview());
    return;
  }
  const why = element('ul', { id: 'reasons' });
  for (const r of n.reasons) {
    const [kind, name, text] = data.reasons[r];
    const li = element('li', {}, show(text || phrase(kind)));
    const parent = kind.startsWith('parent') && byName.get(name);
    if (parent && parent !== n) li.append(' ', element('button', { class: 'link', type: 'button', click: () => go(parent.index) }, 'why?'));
    else if (name && !text.includes(name)) li.append(element('span', { class: 'weak' }, ' ' + show(name)));
    why.append(li);
  }
  const bases = n.bases.length ? [element('h3', {}, 'Other bases (' + number(n.bases.length) + ')'),
    element('ul', { id: 'bases' }, ...n.bases.map((b) => element('li', {}, show(data.bases[b]))))] : [];
  detail.replaceChildren(
    element('h2', {}, show(n.name)),
    element('p', {}, badge(n), built(n) ? ' in wave ' + n.wave : ''),
    element('h3', {}, 'Why'), why, ...picture(n), ...because(n),
    ...relatives(n, 'parents', 'Parents'), ...bases, ...relatives(n, 'children', 'Children'),
    element('h3', {}, 'Image'), facts(n));
  detail.scrollTop = 0;
}
