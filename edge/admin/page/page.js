(() => {
"use strict";

// ---- Words and numbers -----------------------------------------------------

const $ = id => document.getElementById(id);
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

// make builds an element. A child that is a string is text, and never markup.
function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null) e.setAttribute(name, value);
  }
  e.append(...children.filter(c => c !== null && c !== undefined));
  return e;
}

function bytes(n) {
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (Math.abs(n) < 1000 || unit === "TiB") return (n < 10 && unit !== "B" ? n.toFixed(1) : n.toFixed(0)) + " " + unit;
    n /= 1024;
  }
}

function count(n) {
  if (n >= 1e9) return (n / 1e9).toFixed(1) + " G";
  if (n >= 1e6) return (n / 1e6).toFixed(1) + " M";
  if (n >= 1e5) return (n / 1e3).toFixed(0) + " k";
  return plain.format(n < 10 ? n : Math.round(n));
}

function milliseconds(ms) {
  if (ms >= 1000) return (ms / 1000).toFixed(ms < 10000 ? 1 : 0) + " s";
  return ms < 1 ? ms.toFixed(2) + " ms" : ms < 10 ? ms.toFixed(1) + " ms" : ms.toFixed(0) + " ms";
}

const percent = (part, all) => all > 0 ? (100 * part / all).toFixed(1) + " %" : "–";

// age is a time span in at most two units, as in "edge status".
function age(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  for (let i = 0; i < units.length; i++) {
    const [size, letter] = units[i];
    if (seconds < size && size > 1) continue;
    const rest = i + 1 < units.length ? Math.floor(seconds % size / units[i + 1][0]) : 0;
    return Math.floor(seconds / size) + letter + (rest > 0 ? " " + rest + units[i + 1][1] : "");
  }
}

// The clock of the edge counts, and not that of this machine.
let skew = 0;
let seen = 0; // the time of the state that is shown: ages are those of its sentences
const now = () => Date.now() + skew;
const since = at => age((seen - Date.parse(at)) / 1000);
const clock = ms => new Date(ms).toLocaleTimeString("en-GB");
const given = at => at && !at.startsWith("0001-");

// replace gives a list of rows to a table, unless they are there already: a reader may be
// in them.
function replace(body, key, rows, none, width) {
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...(rows.length ? rows : [make("tr", {}, make("td", { colspan: width, class: "muted" }, none))]));
}

// ---- Problems ----------------------------------------------------------------

let known = null; // the problems that have been read out, without their numbers

function problems(state) {
  const names = { "!!": "wrong", "!": "weak", "-": "note" };
  const spoken = { "!!": "Clients notice: ", "!": "Next may be: ", "-": "Note: " };
  $("problems").replaceChildren(...state.problems.map(p => make("li", { class: "problem " + names[p.mark] },
    make("b", { "aria-hidden": "true" }, p.mark), make("span", {}, make("span", { class: "unseen" }, spoken[p.mark]), p.text))));
  const verdict = $("verdict");
  verdict.textContent = state.problems.length ? "" : "✓ " + state.verdict;
  verdict.className = "verdict" + (state.problems.length ? "" : " well");

  // A sentence is read out when it is new. The durations in it change with each state.
  const bare = new Map(state.problems.map(p => [p.mark + p.text.replace(/[0-9]+/g, "0"), p]));
  const fresh = [...bare].filter(([text]) => !known || !known.has(text)).map(([, p]) => p);
  const urgent = fresh.filter(p => p.mark === "!!"), other = fresh.filter(p => p.mark !== "!!");
  if (urgent.length) $("cries").textContent = urgent.map(p => p.text).join(". ");
  if (other.length) $("says").textContent = other.map(p => spoken[p.mark] + p.text).join(". ");
  if (known && known.size && !bare.size) {
    $("cries").textContent = "";
    $("says").textContent = "All is well";
  }
  known = new Set(bare.keys());
}

function outages(state) {
  const down = [];
  for (const s of state.sites) {
    if (s.outage) down.push(["site " + s.name, s.outage_since]);
    for (const c of s.scopes || []) if (c.outage) down.push(["site " + s.name + ", " + c.name, c.outage_since]);
  }
  $("outages").replaceChildren(...down.map(([where, at]) => make("div", { class: "outage" },
    make("strong", {}, "OUTAGE for " + since(at)),
    make("span", {}, where + ": no master answers, since " + clock(Date.parse(at)) + ". Clients get what is stored, of any age, and 503 for the rest. The edge goes on asking the masters."))));
  const urgent = state.problems.filter(p => p.mark === "!!").length;
  const colour = urgent ? "b3261e" : state.problems.some(p => p.mark === "!") ? "c77700" : "1a7f3c";
  document.title = (down.length ? "OUTAGE – " : urgent ? "!! " + urgent + " – " : "") + "edge " + location.host;
  const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%23" + colour + "'/%3E%3C/svg%3E";
  if ($("icon").getAttribute("href") !== icon) $("icon").setAttribute("href", icon);
}

// ---- Masters -------------------------------------------------------------------

const cards = new Map(); // by site, pool and number: a card stays, with the focus on its button

function masters(state) {
  const seen = new Set(), sites = [];
  for (const s of state.sites) {
    const box = cards.get("site " + s.name) || make("div", { class: "site" });
    cards.set("site " + s.name, box);
    seen.add("site " + s.name);
    const parts = [make("div", { class: "head" }, make("h3", {}, s.name), make("span", { class: "muted" }, s.kind + ", at ", make("code", {}, s.public)), feed(s.changes))];
    const pools = [["", s.masters], ["for files", s.files]];
    for (const c of s.scopes || []) pools.push([c.name, c.masters], [c.name + ", for files", c.files]);
    for (const [title, list] of pools) {
      if (!list || !list.length) continue;
      if (title) parts.push(make("h4", {}, "masters " + (title.startsWith("for") ? "" : "of ") + title));
      const key = "pool " + s.name + " " + title;
      const ul = cards.get(key) || make("ul", { class: "masters", "aria-label": "masters of " + s.name + " " + title });
      cards.set(key, ul);
      seen.add(key);
      arrange(ul, list.map(m => {
        const id = key + " " + m.n;
        seen.add(id);
        if (!cards.has(id)) cards.set(id, card(s.name));
        show(cards.get(id), m);
        return cards.get(id);
      }));
      parts.push(ul);
    }
    arrange(box, parts);
    sites.push(box);
  }
  arrange($("sites"), sites);
  for (const id of cards.keys()) if (!seen.has(id)) cards.delete(id);
}

// arrange gives an element its children, and leaves alone those in their places: to move a
// button takes the focus off it.
function arrange(parent, children) {
  children.forEach((c, i) => {
    if (parent.children[i] !== c) parent.insertBefore(c, parent.children[i] || null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

function feed(f) {
  if (!f) return null;
  return make("span", { class: "muted" }, f.live ? "change feed live for " + since(f.since) : "change feed not live for " + since(f.since));
}

function card(site) {
  const part = (tag, name) => make(tag, { class: name });
  const c = make("li", { class: "master" });
  c.at = { name: part("div", "name"), probes: part("div", "probes"), facts: part("dl", "facts"), act: part("div", "act"), why: part("p", "why"), button: make("button", { type: "button" }), site };
  c.at.act.append(c.at.button);
  c.at.button.addEventListener("click", () => turn(c.at.site, c.at.master));
  c.append(c.at.name, c.at.probes, c.at.facts, c.at.act, c.at.why);
  return c;
}

const glyphs = { healthy: "●", suspect: "◐", recovering: "◔", out: "✕", drained: "‖" };

function show(c, m) {
  const at = c.at;
  at.master = m;
  c.className = "master " + m.state;
  c.style.setProperty("--share", m.share);
  at.name.replaceChildren(
    make("span", { class: "state" }, make("span", { "aria-hidden": "true" }, (glyphs[m.state] || "?") + " "), m.state), " ",
    make("span", { class: "since" }, "for " + since(m.since)), make("br"),
    make("span", { class: "role" }, m.role + " " + m.n), " ", make("code", {}, m.url));
  at.why.textContent = m.why && m.state !== "healthy" ? "Why: " + m.why + ". Since " + clock(Date.parse(m.since)) + "." : "";
  at.probes.replaceChildren(...probes(m.probe));
  const fact = (name, value) => [make("dt", {}, name), make("dd", {}, value)];
  at.facts.replaceChildren(...fact("in flight", m.in_flight + (m.waiting ? ", " + m.waiting + " wait" : "")), ...fact("share", Math.round(100 * m.share) + " %"),
    ...fact("first byte", m.latency_ms ? milliseconds(m.latency_ms) + (m.p95_ms ? ", p95 " + milliseconds(m.p95_ms) : "") : "–"));
  const word = m.drained ? "Undrain" : "Drain";
  if (at.button.textContent !== word + "…") at.button.textContent = word + "…";
  at.button.setAttribute("aria-label", word + " " + m.role + " " + m.n + ", " + host(m.url));
}

const host = url => { try { return new URL(url).host; } catch { return url; } };

// probes draws the last probes: a bar for each, by the logarithm of its time. A failed one is as high as
// the picture, and has a foot below the line.
function probes(p) {
  if (!p) return ["no probes"];
  if (p.stalled) return [make("strong", { class: "late" }, "probes have stalled")];
  const all = p.recent || [];
  if (!all.length) return ["not probed yet"];
  const slots = 40, wide = 5, high = 26, svg = "http://www.w3.org/2000/svg";
  const failed = all.filter(r => !r.ok).length, last = all[all.length - 1];
  const draw = document.createElementNS(svg, "svg");
  draw.setAttribute("viewBox", "0 0 " + slots * wide + " " + high);
  draw.setAttribute("preserveAspectRatio", "none");
  draw.setAttribute("role", "img");
  draw.setAttribute("aria-label", "the last " + all.length + " probes: " + (failed ? failed + " failed" : "all well") + ", the last took " + milliseconds(last.ms));
  all.forEach((r, i) => {
    const tall = r.ok ? Math.min(20, 3 + 17 * Math.log10(1 + r.ms) / 3.5) : high;
    const bar = document.createElementNS(svg, "rect");
    bar.setAttribute("x", (slots - all.length + i) * wide);
    bar.setAttribute("y", r.ok ? 22 - tall : 0);
    bar.setAttribute("width", wide - 1.5);
    bar.setAttribute("height", tall);
    if (!r.ok) bar.setAttribute("class", "failed");
    draw.append(bar);
  });
  return [draw, make("span", {}, (p.result === "ok" ? "probe ok, " + milliseconds(last.ms) : "probe failed") + (given(p.at) ? ", " + since(p.at) + " ago" : ""))];
}

// ---- The last hour ---------------------------------------------------------------

const hour = {}; // lists by name, as the edge sends them
const span = 3600;
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const perSecond = list => list.map((n, i) => n / (hour.seconds[i] || 10));
const ratio = (part, all) => part.map((n, i) => all[i] > 0 ? 100 * n / all[i] : null);
const sum = (list, from = 0) => (list || []).slice(from).reduce((a, b) => a + b, 0);
const last = list => list && list.length ? list[list.length - 1] : 0;

const plots = [{
  title: "Requests a second", unit: count,
  series: [["all", "--blue"], ["waited for a master", "--violet", [5, 3]], ["stale, no master answered", "--amber"], ["answered 5xx", "--red"]],
  data: () => [perSecond(hour.requests), perSecond(hour.reads.map((n, i) => Math.max(0, n - hour.stored[i]))), perSecond(hour.stale), perSecond(hour.errors)],
  sum: () => count(sum(hour.requests)) + " requests, " + count(sum(hour.errors)) + " answered 5xx",
}, {
  title: "From the store", unit: n => n.toFixed(0) + " %", range: [0, 100],
  series: [["of the requests", "--blue"], ["of the bytes", "--violet", [5, 3]]],
  data: () => [ratio(hour.stored, hour.reads), ratio(hour.sent_stored, hour.sent_reads)],
  sum: () => percent(sum(hour.stored), sum(hour.reads)) + " of the requests, " + percent(sum(hour.sent_stored), sum(hour.sent_reads)) + " of the bytes",
}, {
  title: "Time to answer", unit: n => milliseconds(n), log: true,
  series: [["p50", "--blue"], ["p99", "--violet", [5, 3]]],
  data: () => [hour.p50.map(s => s ? 1000 * s : null), hour.p99.map(s => s ? 1000 * s : null)],
  sum: () => last(hour.p50) ? "now p50 " + milliseconds(1000 * last(hour.p50)) + ", p99 " + milliseconds(1000 * last(hour.p99)) : "no requests now",
}, {
  title: "Bytes a second", unit: n => bytes(n), bytes: true,
  series: [["to clients", "--blue"], ["from masters", "--violet", [5, 3]]],
  data: () => [perSecond(hour.sent), perSecond(hour.fetched)],
  sum: () => bytes(sum(hour.sent_stored)) + " saved at the masters: " + percent(sum(hour.sent_stored), sum(hour.sent)) + " of " + bytes(sum(hour.sent)),
}];

function buildPlots() {
  for (const p of plots) {
    p.keys = p.series.map(([name, colour, dash]) => {
      const li = make("li", { class: dash ? "dashed" : null }, name);
      li.style.setProperty("--key", "var(" + colour + ")");
      return li;
    });
    p.canvas = make("div", { class: "canvas", role: "img", "aria-label": p.title });
    p.text = make("span", { class: "sum" });
    p.figure = make("figure", { class: "plot card" }, make("figcaption", {}, make("h3", {}, p.title), p.text, make("ul", { class: "legend" }, ...p.keys)), p.canvas);
    $("plots").append(p.figure);
    p.plot = new uPlot(options(p), [[], ...p.series.map(() => [])], p.canvas);
    new ResizeObserver(() => p.plot.setSize({ width: p.canvas.clientWidth, height: p.canvas.clientHeight })).observe(p.canvas);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach(p => p.plot.redraw(false)));
}

function options(p) {
  const axis = { stroke: () => css("--muted"), font: "11px system-ui, sans-serif", grid: { stroke: () => css("--grid"), width: 1 }, ticks: { show: false } };
  const steps = [];
  for (let n = 1; n < 1e15; n *= 1024) for (const k of [1, 2, 5, 10, 20, 50, 100, 200, 500]) steps.push(n * k);
  return {
    width: p.canvas.clientWidth || 300, height: 170, pxAlign: 1, padding: [6, 6, 0, 0],
    legend: { show: false }, select: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: true, range: () => [now() / 1000 - span, now() / 1000] },
      y: p.range ? { range: p.range } : p.log ? { distr: 3, range: (u, low, high) => [Math.min(low || 0.1, 0.1), Math.max((high || 10) * 1.5, 10)] }
        : { range: (u, low, high) => [0, Math.max((high || 0) * 1.15, p.bytes ? 1024 : 1)] },
    },
    axes: [
      { ...axis, size: 24, space: 60, values: (u, at) => at.map(s => new Date(s * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })) },
      { ...axis, grid: { ...axis.grid, filter: (u, at) => p.log ? at.map(n => whole(n) ? n : null) : at }, size: 62, space: 26, incrs: p.bytes ? steps : undefined, values: (u, at) => at.map(n => n === null || n === undefined ? "" : p.log && !whole(n) ? "" : p.unit(n)) },
    ],
    series: [{}, ...p.series.map(([label, colour, dash]) => ({ label, stroke: () => css(colour), width: 1.75, dash, spanGaps: false, points: { show: false } }))],
    hooks: { drawClear: [shade], setCursor: [u => legend(p, u.cursor.idx)] },
  };
}

// whole reports whether a number is a power of ten.
const whole = n => Math.abs(Math.log10(n) - Math.round(Math.log10(n))) < 1e-6;

// shade marks the time in which no master answered.
function shade(u) {
  if (!hour.outage) return;
  u.ctx.save();
  u.ctx.fillStyle = css("--band");
  for (let i = 0; i < hour.outage.length; i++) {
    if (!hour.outage[i]) continue;
    const from = u.valToPos(hour.at[i] - (hour.seconds[i] || 10), "x", true), to = u.valToPos(hour.at[i], "x", true);
    const left = Math.max(from, u.bbox.left), right = Math.min(to, u.bbox.left + u.bbox.width);
    if (right > left) u.ctx.fillRect(left, u.bbox.top, right - left + 0.5, u.bbox.height);
  }
  u.ctx.restore();
}

// legend shows the values under the pointer, or the latest.
function legend(p, index) {
  const data = p.plot ? p.plot.data : null;
  if (!data || !data[0].length) return;
  const i = index === null || index === undefined ? data[0].length - 1 : index;
  p.keys.forEach((key, n) => {
    const value = data[n + 1][i];
    key.textContent = p.series[n][0] + " " + (value === null || value === undefined ? "–" : p.unit(value));
  });
}

function samples(more) {
  for (const name of Object.keys(more)) hour[name] = (hour[name] || []).concat(more[name] || []);
  for (const name of ["seconds", "requests", "reads", "stored", "stale", "errors", "sent", "sent_reads", "sent_stored", "fetched", "p50", "p99", "memory", "disk", "outage"]) hour[name] = hour[name] || [];
  const old = hour.at.findIndex(s => s > now() / 1000 - span - 30);
  if (old > 0) for (const name of Object.keys(hour)) hour[name] = hour[name].slice(old);
  for (const p of plots) {
    p.plot.setData([hour.at, ...p.data()]);
    p.text.textContent = p.sum();
    p.canvas.setAttribute("aria-label", p.title + " over the last hour. " + p.sum() + ". The table below has the figures.");
    legend(p, p.plot.cursor.idx);
  }
  tabulate();
}

function tabulate() {
  const rows = [];
  for (let to = hour.at.length; to > 0; to -= 30) {
    const from = Math.max(0, to - 30), part = name => sum(hour[name].slice(from, to));
    const middle = list => { const all = list.slice(from, to).filter(n => n > 0).sort((a, b) => a - b); return all.length ? milliseconds(1000 * all[all.length >> 1]) : "–"; };
    const cells = [count(part("requests")), percent(part("stored"), part("reads")), percent(part("sent_stored"), part("sent_reads")), middle(hour.p50), middle(hour.p99), bytes(part("sent")), bytes(part("fetched")), count(part("errors"))];
    rows.push(make("tr", {}, make("th", { scope: "row" }, clock(1000 * hour.at[to - 1])), ...cells.map(c => make("td", { class: "tight" }, c))));
  }
  replace($("hour-rows"), String(last(hour.at)), rows, "no samples yet: one is taken every ten seconds", 9);
}

// ---- Everything else ---------------------------------------------------------------

function room(state) {
  const c = state.cache;
  const bar = (title, text, limit, ...parts) => {
    const all = parts.reduce((a, b) => a + b, 0), full = limit > 0 && all > limit * 0.97;
    const b = make("div", { class: "bar" + (full ? " full" : ""), role: "img", "aria-label": title + ": " + bytes(all) + " of " + bytes(limit) },
      ...parts.map(n => { const i = make("i"); i.style.width = Math.min(100, limit > 0 ? 100 * n / limit : 0) + "%"; return i; }));
    return make("div", {}, make("strong", {}, title), " " + bytes(all) + " of " + bytes(limit) + (limit > 0 ? ", " + percent(all, limit) : ""), b, make("span", { class: "muted" }, text));
  };
  const disk = plain.format(c.disk_objects) + " files, " + plain.format(c.evictions) + " evicted" + (c.spoiled ? ", " + plain.format(c.spoiled) + " damaged" : "") + (c.disk_paused ? ", WRITES ARE PAUSED" : "");
  const key = [c.memory_bytes, state.memory, c.disk_bytes, disk].join();
  if ($("room").dataset.key === key) return;
  $("room").dataset.key = key;
  $("room").replaceChildren(
    bar("Memory", bytes(c.memory_bytes) + " (blue) are " + plain.format(c.memory_objects) + " responses, the rest is work and the program", c.memory_limit, c.memory_bytes, Math.max(0, state.memory - c.memory_bytes)),
    bar("Disk", disk, c.disk_limit, c.disk_bytes));
}

function fleet(state) {
  const f = state.fleet;
  $("fleet").hidden = !f;
  if (!f) return;
  const key = JSON.stringify(f.lines);
  if ($("fleet-lines").dataset.key !== key) {
    $("fleet-lines").dataset.key = key;
    $("fleet-lines").replaceChildren(...f.lines.flatMap(l => [make("dt", {}, l.name), make("dd", {}, l.text)]));
  }
  $("fleet-read").hidden = !f.edges.length;
  $("fleet-share").hidden = !f.members.length;
  replace($("fleet-edges"), JSON.stringify(f.edges), f.edges.map(e => make("tr", {}, make("td", {}, make("code", {}, e.name), e.pop ? make("span", { class: "muted" }, " of " + e.pop) : null),
    make("td", {}, e.well ? e.state : make("strong", { class: "late" }, e.state), e.state === "away" ? ", heard " + since(e.heard) + " ago" : ""), make("td", { class: "number" }, plain.format(e.place)), make("td", {}, e.version))), "none", 4);
  replace($("fleet-members"), JSON.stringify(f.members), f.members.map(m => make("tr", {}, make("td", {}, make("code", {}, m.address)),
    make("td", {}, m.state === "out" ? make("strong", { class: "late" }, m.state) : m.state), make("td", { class: "number" }, Math.round(100 * m.share) + " %"))), "none", 3);
}

function packages(state) {
  const many = state.sites.length > 1;
  for (const [id, list, none, figure] of [["asked", state.asked, "no requests yet", n => plain.format(n)], ["missed", state.missed, "no misses yet", n => plain.format(n)], ["sent", state.sent, "nothing sent yet", bytes]]) {
    replace($(id), JSON.stringify(list), list.map(r => make("tr", {}, make("td", {}, make("code", {}, r.name), many ? make("span", { class: "muted" }, " " + r.site) : null), make("td", { class: "number" }, figure(r.count)))), none, 2);
  }
}

function failures(state) {
  const key = JSON.stringify(state.failures);
  if ($("failures").dataset.key === key) return;
  $("failures").dataset.key = key;
  $("failures").replaceChildren(...state.failures.map(f => make("li", {},
    make("p", {}, make("strong", { class: "late" }, f.status < 400 ? "broken off" : String(f.status)), " ", make("strong", {}, f.reason)),
    make("p", { class: "muted" }, (f.count > 1 ? plain.format(f.count) + " times, last " : "once, ") + clock(Date.parse(f.last)) + (f.count > 1 ? ", first " + clock(Date.parse(f.first)) : "") + ", ", make("code", {}, f.request), f.site ? " at site " + f.site : ""),
    f.detail ? make("p", { class: "muted detail" }, f.detail) : null)));
  $("no-failures").hidden = state.failures.length > 0;
}

function upkeep(state) {
  const level = ["", "soon", "soon", "late"];
  replace($("certificates"), JSON.stringify(state.certificates), state.certificates.map(c => make("tr", {}, make("td", {}, c.title),
    make("td", { class: "number " + level[c.level] }, c.days === null ? "–" : String(c.days)), make("td", {}, c.text))), "none: there is no encrypted listener", 3);
  const rows = state.reloads.map(r => make("tr", {}, make("td", { class: "tight" }, new Date(r.at).toLocaleString("en-GB")),
    make("td", {}, r.mistakes ? make("strong", { class: "late" }, "refused: ") : "in force: ", r.mistakes ? r.mistakes.join("; ") : (r.changed || []).join(", ") || "nothing changed")));
  replace($("reloads"), JSON.stringify(state.reloads), rows, "none since the start: " + state.config.file + " was read then", 2);
}

function head(state) {
  $("ready").textContent = state.ready ? "ready" : "not ready: " + state.why;
  $("ready").className = "pill " + (state.ready ? "ok" : "bad");
  $("about").textContent = ["up " + since(state.started), state.version && "version " + state.version, "configuration " + state.config.file + " read " + since(state.config.read) + " ago"].filter(Boolean).join(", ");
}

// ---- The stream --------------------------------------------------------------------

let heardAt = 0, state = null, ended = false, locked = false;

// take shows an event. The first hour of a stream is all of it.
function take(event, data, first) {
  if (event === "status") {
    state = data;
    heardAt = Date.now();
    ended = false;
    seen = Date.parse(state.at);
    skew = seen - heardAt;
    for (const show of [head, outages, problems, masters, fleet, room, packages, failures, upkeep]) show(state);
  } else if (event === "hour") {
    if (first) for (const name of Object.keys(hour)) hour[name] = [];
    samples(data);
  } else if (event === "end") ended = true;
  watch();
}

// connect reads the stream to its end, and then begins again. An EventSource could not send the token.
async function connect() {
  let wait = 2000;
  try {
    const response = await fetch("events", { headers: bearer(), credentials: "omit", redirect: "error", cache: "no-store" });
    locked = response.status === 401;
    if (locked) return unlock();
    if (!response.ok) wait = 5000;
    else await read(response.body.pipeThrough(new TextDecoderStream()).getReader());
  } catch { /* it is not there, or the stream broke: the page says so by itself */ }
  watch();
  setTimeout(connect, wait);
}

async function read(stream) {
  let text = "", first = true;
  for (;;) {
    const { value, done } = await stream.read();
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const parts = block.match(/^event: (\w+)\ndata: ([^\n]*)$/);
      if (!parts) continue;
      take(parts[1], JSON.parse(parts[2]), first);
      if (parts[1] === "hour") first = false;
    }
  }
}

// unlock asks for the token, without which this page is empty.
function unlock() {
  const wrong = token !== "";
  token = "";
  watch();
  ask("Admin token", "This page names packages. The edge wants its token for that.", "Show", async () => { setTimeout(connect); return ""; }, text => text);
  if (wrong) $("confirm-error").textContent = "The token is not right.";
}

// watch says how old the page is. One that stands still must not look well.
function watch() {
  const silent = heardAt ? (Date.now() - heardAt) / 1000 : 0, lost = ended || silent > 8;
  $("heard").textContent = heardAt ? (lost ? "" : "live, ") + clock(heardAt + skew) : "";
  const text = locked ? "The edge wants its admin token: load this page again to give it." : !lost ? "" : ended ? "The edge has stopped. This page shows " + clock(heardAt + skew) + ", and goes on by itself when the edge is back."
    : "No news for " + age(silent) + ": this page shows " + clock(heardAt + skew) + ". The edge, or the way to it, is down.";
  if (lost && $("lost").hidden) $("cries").textContent = text;
  if (!lost && !$("lost").hidden) $("says").textContent = "The edge is heard again";
  $("lost").hidden = !lost && !locked;
  $("lost").textContent = text;
}

// ---- Changes -------------------------------------------------------------------------

let token = ""; // in memory alone, until the page is closed
const bearer = () => token ? { Authorization: "Bearer " + token } : {};

// ask has a person confirm a change, and give the token where one is needed. It sends the request.
function ask(title, text, verb, act, told) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = verb;
  $("confirm-yes").className = ["Undrain", "Count", "Show"].includes(verb) ? "" : "danger";
  $("confirm-error").textContent = "";
  const wants = () => (locked || !!(state && state.token)) && !token;
  $("token-field").hidden = !wants();
  $("confirm-form").onsubmit = async e => {
    e.preventDefault();
    if (wants()) token = $("token").value;
    $("confirm-yes").disabled = true;
    try {
      tell(told(await act()));
      dialog.close();
    } catch (error) {
      $("token-field").hidden = !wants();
      $("confirm-error").textContent = error.message;
    } finally {
      $("token").value = "";
      $("confirm-yes").disabled = false;
    }
  };
  dialog.showModal();
}

async function send(path, body) {
  let response;
  try {
    response = await fetch(path, { method: "POST", headers: { ...bearer(), "Content-Type": "application/json" }, body: body ? JSON.stringify(body) : "", credentials: "omit", redirect: "error", cache: "no-store" });
  } catch {
    throw new Error("The edge cannot be reached.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401) {
    const wrong = token !== "";
    token = "";
    if (state) state.token = true;
    throw new Error(wrong ? "The token is not right." : "The edge wants its admin token.");
  }
  if (!response.ok) throw new Error([answer.error || "The edge answers " + response.status, ...(answer.mistakes || [])].join("; "));
  return answer;
}

function tell(text) {
  $("result").textContent = text;
  if (text) $("result").scrollIntoView({ block: "nearest" });
}

function turn(site, m) {
  const name = m.role + " " + m.n + ", " + host(m.url);
  const path = "masters/" + encodeURIComponent(site) + "/" + m.n;
  const told = r => name + (r.drained ? " is drained: " : " is back in rotation: ") + (r.left.length === 1 ? "1 master is left" : r.left.length + " masters are left") + (r.warnings || []).map(w => ". " + w).join("") + ".";
  if (m.drained) ask("Undrain " + name + "?", "It gets requests again, its share at once.", "Undrain", () => send(path + "/undrain"), told);
  else ask("Drain " + name + "?", "No new request goes there. The " + m.in_flight + " under way finish. It stays out until it is put back, or the edge starts again.", "Drain", () => send(path + "/drain"), told);
}

$("purge").addEventListener("submit", e => {
  e.preventDefault();
  const by = $("purge-by").value, name = $("purge-name").value.trim(), count = e.submitter && e.submitter.value === "count", soft = $("purge-soft").checked;
  const body = { [by]: name };
  if (soft) body.soft = true;
  if (count) body.dry_run = true;
  const told = r => (count ? "A purge of " : "Purged ") + name + (count ? " would cover " : ": ") + plain.format(r.covers.responses) + " stored responses and " + r.covers.fetches + " fetches under way" + (r.covers.whole ? "." : "; not everything stored was looked at.");
  if (count && !(state && state.token && !token)) return void send("purge", body).then(r => tell(told(r)), error => tell(error.message));
  ask((count ? "Count " : "Purge ") + name + "?", count ? "Nothing is changed." : soft ? "A master is asked before they answer again." : "Masters are asked for all of it again, by every client that wants it.", count ? "Count" : "Purge", () => send("purge", body), told);
});
$("reload").addEventListener("click", () => ask("Reload the configuration?", "The file is read again. Requests under way keep the configuration that they began with.", "Reload", () => send("reload"),
  r => "Reloaded " + r.config + ". " + (r.changed.length ? "Changed: " + r.changed.join(", ") + "." : "Nothing has changed.") + (r.warnings || []).map(w => " " + w + ".").join("")));
$("confirm-no").addEventListener("click", () => $("confirm").close());

$("host").textContent = location.host;
buildPlots();
connect();
setInterval(watch, 1000);
})();
