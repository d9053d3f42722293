// ---- The page: what is shown, and what the keys do -----------------------------------------------------

const $ = (id) => document.getElementById(id);
const about = JSON.parse($("about-data").textContent);
const diagram = new Diagram();
const minimap = new Minimap(diagram);
const likelihood = new Likelihood(about.likelihood);

let run = new Run(JSON.parse($("start-data").textContent));
const shown = { past: run.violation !== null, kind: "", view: "", lanes: busyLanes(), search: "", heartbeats: false };
/** So many heartbeats in a row are folded into one row. */
const FOLD = 4;

const KEYS = [
  ["↓ ↑ or j k", "next, previous event"],
  ["→ ←", "next, previous event of the same lane"],
  ["Enter", "go to where the message that arrives was sent"],
  ["Space", "go to where the first message that is sent arrives"],
  ["v", "go to the violation; again: to the other fact"],
  ["Page ↓ ↑, Home, End", "further"],
  ["a", "the whole run, where only a part of it is shown"],
  ["c", "only what could have led to the violation, or everything"],
  ["/ then Enter, n N", "search; next, previous match"],
  ["f", "to the filters (Tab goes on)"],
  ["d", "to the details; Esc back"],
  ["s", "sentences on or off"],
  ["h", "every heartbeat a row, or many in one"],
  ["t", "light or dark"],
  ["x", "take the filters back"],
  ["?", "this help"],
];

// ---- What is shown -------------------------------------------------------------------------------------

/** The lanes to begin with: where there are many clients, those that do something, or wait for an answer. */
function busyLanes() {
  const waiting = new Set(run.calls.filter((call) => call.end === null).map((call) => call.node));
  const acts = (node) => run.touched[node].some((index) => run.steps[index].past || !run.violation);
  const isBusy = (node) => node < run.replicas || run.nodes.length - run.replicas <= 4 || acts(node) || waiting.has(node);
  return new Set(run.nodes.map((_, node) => node).filter(isBusy));
}

/** The steps that the filters let through; what contradicts each other is always there. */
function visibleRows() {
  const last = run.violation ? run.at(run.violation.facts.at(-1).step) : run.steps.length;
  const facts = new Set(run.violation?.facts.map((fact) => fact.step));
  const rows = [];
  run.steps.forEach((step, index) => {
    const isOutside = step.nodes.length === 0;
    if (facts.has(step.step)) return rows.push(index);
    if (shown.past && !(step.past || (isOutside && step.then && index <= last))) return;
    if (shown.kind && run.kindOf(step) !== shown.kind) return;
    if (!isOutside && !step.nodes.some((node) => shown.lanes.has(node))) return;
    if (shown.view !== "" && run.viewOf(step, index) !== Number(shown.view)) return;
    rows.push(index);
  });
  return folded(rows);
}

/** Heartbeats in a row are folded into the first of them, unless they are asked for; the last row stays. */
function folded(rows) {
  diagram.folded = new Map();
  if (shown.heartbeats || shown.kind || shown.search) return rows;
  const facts = new Set(run.violation?.facts.map((fact) => fact.step));
  const isRoutine = (index) => {
    const { routine, step } = run.steps[index];
    return routine && !facts.has(step) && !likelihood.decisive.has(step);
  };
  const kept = [];
  for (let row = 0; row < rows.length;) {
    let end = row;
    while (end < rows.length - 1 && isRoutine(rows[end])) end++;
    const isLong = end - row >= FOLD;
    if (isLong) diagram.folded.set(rows[row], end - row - 1);
    kept.push(...rows.slice(row, isLong ? row + 1 : Math.max(end, row + 1)));
    row = Math.max(end, row + 1);
  }
  return kept;
}

function setHeartbeats(isOn) {
  shown.heartbeats = isOn;
  refresh();
}

/** Applies the filters; the selected event stays where it is, if it still is. */
function refresh() {
  const selected = diagram.selected;
  const before = selected >= 0 ? diagram.y(selected) - diagram.scroll.scrollTop : 0;
  const rows = visibleRows();
  diagram.show(run, rows, run.nodes.map((_, node) => node).filter((node) => shown.lanes.has(node)));
  diagram.longGap = longGap(rows);
  if (selected >= 0) diagram.scroll.scrollTop = diagram.y(selected) - before;
  else if (!run.violation) diagram.scroll.scrollTop = rows.length * ROW;
  find();
  minimap.prepare();
  diagram.draw();
  tell(rows.length);
}

/** From where on a stretch without events is worth saying: ten times the usual. */
function longGap(rows) {
  const gaps = rows.slice(1).map((index, row) => run.steps[index].time - run.steps[rows[row]].time).filter((gap) => gap > 0);
  gaps.sort((a, b) => a - b);
  return Math.max(1e6, (gaps[gaps.length >> 1] ?? 0) * 10);
}

/** Says how much is shown, and what is left out. */
function tell(count) {
  const all = run.run_steps + 1;
  const number = (value) => value.toLocaleString("en");
  const folded = [...diagram.folded.values()].reduce((sum, more) => sum + more, 0);
  const hidden = run.steps.length - count - folded;
  const parts = [`${number(count + folded)} of ${number(all)} steps shown`];
  if (folded > 0) parts.push(`${number(folded)} of them are heartbeats folded into rows of others (h)`);
  if (!run.is_whole) {
    const what = shown.past ? "what led to the violation" : "the end of the run";
    parts.push(`this is ${what} from step ${number(run.numbers[0])} on; ${number(all - run.steps.length)} steps are left out <button type="button" id="whole">Show all (a)</button>`);
  } else if (hidden > 0 && shown.past) {
    parts.push(`${number(hidden)} left out: they could not have led to the violation, or a filter hides them`);
  } else if (hidden > 0) parts.push(`the filters hide ${number(hidden)}`);
  $("status").innerHTML = parts.join("; ");
}

async function showAll() {
  if (!run.is_whole) {
    const number = run.numbers[diagram.selected];
    $("status").textContent = "Reading the whole run …";
    run = await wholeRun();
    diagram.run = run;
    diagram.selected = number === undefined ? -1 : run.find(number);
    diagram.isPast = diagram.selected >= 0 && run.steps[diagram.selected].nodes.length > 0 ? run.past(diagram.selected) : null;
    fillFilters();
  }
  shown.past = false;
  $("past").setAttribute("aria-pressed", "false");
  shown.lanes = new Set(run.nodes.keys());
  tickLanes();
  diagram.show(run, visibleRows(), [...shown.lanes]);
  refresh();
  reveal(diagram.selected);
}

// ---- Selecting -----------------------------------------------------------------------------------------

function select(index) {
  if (index < 0 || index >= run.steps.length) return;
  diagram.selected = index;
  const step = run.steps[index];
  // What comes from outside has no past: nothing is faint then.
  diagram.isPast = step.nodes.length > 0 ? run.past(index) : null;
  $("details").innerHTML = details(run, index, diagram.isPast);
  $("details").scrollTop = 0;
  reveal(index);
  diagram.scroll.setAttribute("aria-activedescendant", `step-${step.step}`);
}

/** Scrolls so that a step can be seen, and draws. */
function reveal(index) {
  const { scroll } = diagram;
  const y = diagram.y(index);
  const room = scroll.clientHeight - HEAD;
  if (y < scroll.scrollTop + 2 * ROW) scroll.scrollTop = y - 4 * ROW;
  else if (y > scroll.scrollTop + room - 2 * ROW) scroll.scrollTop = y - room + 4 * ROW;
  diagram.draw();
  minimap.draw();
}

/** The step with this number; what a filter hides is let in for it. */
function goTo(number) {
  const index = run.find(number);
  if (index < 0) {
    $("status").textContent = `Step ${number.toLocaleString("en")} is left out here: press a for the whole run`;
    return;
  }
  if (!diagram.isShown[index]) takeFiltersBack();
  if (!diagram.isShown[index] && run.steps[index].routine) setHeartbeats(true);
  if (!diagram.isShown[index]) setPast(false);
  select(index);
}

/** The next row in a direction for which something holds. */
function step(direction, holds = () => true) {
  const { rows, position, selected } = diagram;
  let row = selected < 0 ? (direction > 0 ? 0 : rows.length - 1) : position[selected] + (direction > 0 ? (diagram.isShown[selected] ? 1 : 0) : -1);
  while (row >= 0 && row < rows.length && !holds(rows[row])) row += direction;
  if (row >= 0 && row < rows.length) select(rows[row]);
}

/** The next match of the search; after the last one comes the first. */
function nextMatch(direction) {
  const { rows, hits, selected, position } = diagram;
  const matches = rows.filter((index) => hits.has(index));
  if (matches.length === 0) return;
  const row = selected < 0 ? -1 : position[selected];
  const next = direction > 0
    ? matches.find((index) => position[index] > row) ?? matches[0]
    : matches.findLast((index) => position[index] < row) ?? matches.at(-1);
  select(next);
}

function sameLane(index) {
  const nodes = diagram.selected < 0 ? [] : run.steps[diagram.selected].nodes;
  return run.steps[index].nodes[0] === nodes[0];
}

function violation() {
  const facts = run.violation?.facts ?? [];
  if (facts.length === 0) return;
  const at = facts.findIndex((fact) => fact.step === run.numbers[diagram.selected]);
  goTo(facts.at(at <= 0 ? -1 : at - 1).step);
}

// ---- Searching -----------------------------------------------------------------------------------------

function find() {
  const wanted = shown.search.toLowerCase();
  diagram.hits = new Set(wanted === "" ? [] : diagram.rows.filter((index) => text(index).includes(wanted)));
  $("matches").textContent = wanted === "" ? "" : diagram.hits.size === 0 ? (run.is_whole ? "none" : "none in this part") : `${diagram.hits.size.toLocaleString("en")} found`;
}

/** All that can be searched for in a step. */
function text(index) {
  const step = run.steps[index];
  const kind = step.message === undefined ? "" : run.messages[step.message].kindName;
  return `${run.sentence(step)} ${kind} step ${step.step}`.toLowerCase();
}

// ---- Filters -------------------------------------------------------------------------------------------

function setPast(isOn) {
  shown.past = isOn && run.violation !== null;
  $("past").setAttribute("aria-pressed", String(shown.past));
  if (!isOn && !run.is_whole) return showAll();
  return refresh();
}

function takeFiltersBack() {
  [shown.kind, shown.view, shown.search] = ["", "", ""];
  shown.lanes = new Set(run.nodes.keys());
  [$("kind").value, $("view").value, $("search").value] = ["", "", ""];
  tickLanes();
  refresh();
}

function tickLanes() {
  $("nodes").querySelectorAll("input").forEach((box) => { box.checked = shown.lanes.has(Number(box.value)); });
}

function fillFilters() {
  const option = (value, text) => `<option value="${value}">${text}</option>`;
  const kinds = new Set(run.steps.map((step) => run.kindOf(step)));
  const ordered = [...run.kinds, "timers", "clients", "faults"].filter((kind) => kinds.has(kind));
  $("kind").innerHTML = option("", "all") + ordered.map((kind) => option(kind, kind)).join("");
  const views = new Set(run.segments.flat().map(({ view }) => view));
  $("view").innerHTML = option("", "all") + [...views].sort((a, b) => a - b).map((view) => option(view, viewName(view))).join("");
  $("kind").value = shown.kind;
  $("view").value = shown.view;
  if ($("nodes").querySelector("input")) return;
  $("nodes").insertAdjacentHTML("beforeend", run.nodes.map((name, node) =>
    `<label><input type="checkbox" value="${node}"${shown.lanes.has(node) ? " checked" : ""}>${name}</label>`).join(""));
}

// ---- The rest of the page ------------------------------------------------------------------------------

function fillHead() {
  const { scenario, seed, bug, note, workload } = about;
  $("title").textContent = `Seed ${seed} of ${scenario}`;
  const clients = run.nodes.length - run.replicas;
  $("about").textContent = [
    bug ? `planted bug ${bug}` : "", `${run.replicas} replicas`, `${clients} ${clients === 1 ? "client" : "clients"} (${workload})`,
    `${run.run_steps.toLocaleString("en")} steps`, run.lanes, run.violation ? "" : `verdict: ${run.verdict}`,
  ].filter(Boolean).join(" · ");
  $("note").textContent = note ?? "";
  $("note").hidden = !note;
  $("past").textContent = "Only what led to it";
  $("past").hidden = !run.violation;
  if (!run.violation) return;
  const { property, title, witness, facts } = run.violation;
  const links = facts.map((fact, nth) => `<button type="button" data-step="${fact.step}"><span class="badge">${nth + 1}</span> ${escape(fact.text)}, step ${fact.step.toLocaleString("en")}</button>`);
  $("finding").innerHTML = `<b>✗ ${escape(property)} ${escape(title)}</b>: ${escape(witness)} ${links.join("")}`;
  $("finding").hidden = false;
}

function fillLegend() {
  const icon = (width, inner) => `<svg width="${width}" height="18" aria-hidden="true">${SIGNS}${inner}</svg>`;
  const state = (role) => icon(20, strip({ role, view: 0 }, 10, 1, 16));
  const line = (style, end) => icon(36, `<path class="arrow ${style}" d="M1 9L28 9"/>${end}`);
  const signs = [
    [icon(34, '<rect class="v0" width="10" height="16" y="1"/><rect class="v1" width="10" height="16" x="11" y="1"/><rect class="v2" width="10" height="16" x="22" y="1"/>'), "colour: the view"],
    [state("primary"), "★ primary"], [state("backup"), "backup"], [state("witness"), "◇ witness: the log, no state"], [state("view change"), "view change"],
    [state("recovering"), "recovering"], [state("no member"), "takes no part: … without the log, ↷ replaced, ■ stopped, – no member"], [state("down"), "crashed"],
    [line("normal", head("normal", 0, 9, 34, 9)), "message"], [line("change", head("change", 0, 9, 34, 9)), "of a view change"],
    [line("recovery", head("recovery", 0, 9, 34, 9)), "of a recovery"],
    [line("transfer", head("transfer", 0, 9, 34, 9)), "of a state transfer"],
    [line("client", head("client", 0, 9, 34, 9)), "of a client"],
    [line("normal", '<path class="cross normal" d="M26 4l9 9m0-9l-9 9"/>'), "lost or cut off"],
    [line("normal held", head("normal", 0, 9, 34, 9)), "late or held"], [line("normal copy", head("normal", 0, 9, 34, 9)), "copy"],
    [icon(36, '<path class="arrow normal" d="M1 9L15 9"/>' + openEnd("normal", 1, 9, 15, 9)), "arrival not shown"],
    [icon(18, '<circle class="dot normal ignored" cx="9" cy="9" r="5"/>'), "ignored"],
    [icon(24, '<rect class="commit first" x="2" y="1" width="20" height="16" rx="8"/><text class="commit-text first" x="12" y="12">4</text>'), "op 4 committed first"],
    [icon(24, '<rect class="commit" x="2" y="1" width="20" height="16" rx="8"/><text class="commit-text" x="12" y="12">4</text>'), "then by others"],
    [icon(18, '<rect class="call" x="4" y="1" width="10" height="16" rx="3"/><path class="point" d="M9 3l6 6-6 6-6-6z"/>'), "operation, ◆ takes effect"],
    ['<b class="no-point">⊘</b> ', "fits in nowhere"],
    [icon(12, '<line class="wall" x1="6" x2="6" y1="1" y2="17"/>'), "partition"],
    [icon(22, '<rect class="still" x="2" y="1" width="18" height="16" rx="4"/>'), "stands still, or timers late"],
    [icon(18, '<g class="sign"><circle cx="9" cy="9" r="6"/><path d="M9 5v4h3" fill="none"/></g>'), "timer"],
  ];
  if (run.violation) signs.push([icon(20, '<path class="link" d="M4 2Q16 2 16 9Q16 16 4 16"/>'), "contradict each other"]);
  if (likelihood.points.length > 0) signs.push(['<b class="jump">⚑</b> ', "decisive: the likelihood of the failure jumps"]);
  $("legend").innerHTML = signs.map(([sign, text]) => `<li>${sign}${text}</li>`).join("");
  $("key-list").innerHTML = KEYS.map(([keys, does]) => `<dt><kbd>${keys}</kbd></dt><dd>${does}</dd>`).join("");
}

function toggleTheme() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  minimap.prepare();
}

function toggleWords() {
  diagram.hasSentences = !diagram.hasSentences;
  $("words").setAttribute("aria-pressed", String(diagram.hasSentences));
  refresh();
}

// ---- Keys and clicks -----------------------------------------------------------------------------------

function page() {
  return Math.max(1, Math.floor((diagram.scroll.clientHeight - HEAD) / ROW) - 2);
}

function moveBy(rows) {
  const at = diagram.selected < 0 ? 0 : diagram.position[diagram.selected];
  select(diagram.rows[Math.max(0, Math.min(diagram.rows.length - 1, at + rows))] ?? -1);
}

const selectedStep = () => run.steps[diagram.selected];
const ACTIONS = {
  ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1),
  ArrowRight: () => step(1, sameLane), ArrowLeft: () => step(-1, sameLane),
  PageDown: () => moveBy(page()), PageUp: () => moveBy(-page()),
  Home: () => select(diagram.rows[0] ?? -1), End: () => select(diagram.rows.at(-1) ?? -1),
  Enter: () => { const sent = run.messages[selectedStep()?.message]; if (sent) goTo(sent.step); },
  " ": () => { const sent = selectedStep() && run.sent(selectedStep()).find(({ arrived }) => arrived.length > 0); if (sent) goTo(sent.arrived[0]); },
  v: violation, c: () => setPast(!shown.past), a: showAll, t: toggleTheme, s: toggleWords, h: () => setHeartbeats(!shown.heartbeats), x: takeFiltersBack,
  "/": () => $("search").focus(), f: () => $("kind").focus(), d: () => $("details").focus(),
  n: () => nextMatch(1), N: () => nextMatch(-1),
  "?": () => $("help").showModal(),
  Escape: () => diagram.scroll.focus(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const inField = event.target.matches("input, select, button");
  if (inField && event.key === "Escape") return diagram.scroll.focus();
  if (inField && !(event.target.matches("button") && event.key.length === 1 && event.key !== " ")) return;
  if (event.target.id === "details" && /^(Arrow|Page|Home|End| )/.test(event.key)) return;
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function listen() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    if (button) goTo(Number(button.dataset.step));
    if (event.target.id === "whole") showAll();
  });
  let isWaiting = false;
  diagram.scroll.addEventListener("scroll", () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => { isWaiting = false; diagram.draw(); minimap.draw(); });
  });
  diagram.list.addEventListener("click", (event) => {
    if (event.target.closest(".folded")) return setHeartbeats(true);
    const row = event.target.closest("[data-row]");
    if (row) select(diagram.rows[Number(row.dataset.row)]);
  });
  $("past").addEventListener("click", () => setPast(!shown.past));
  $("words").addEventListener("click", toggleWords);
  $("theme").addEventListener("click", toggleTheme);
  $("keys").addEventListener("click", () => $("help").showModal());
  $("kind").addEventListener("change", (event) => { shown.kind = event.target.value; refresh(); });
  $("view").addEventListener("change", (event) => { shown.view = event.target.value; refresh(); });
  $("nodes").addEventListener("change", (event) => {
    const node = Number(event.target.value);
    if (event.target.checked) shown.lanes.add(node); else shown.lanes.delete(node);
    refresh();
  });
  $("search").addEventListener("input", (event) => {
    const searched = shown.search !== "";
    shown.search = event.target.value.trim();
    // A search is for folded rows too.
    if (searched !== (shown.search !== "")) return refresh();
    find();
    diagram.draw();
  });
  $("search").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    nextMatch(event.shiftKey ? -1 : 1);
  });
  new ResizeObserver(() => refresh()).observe(diagram.scroll);
}

function begin() {
  fillHead();
  fillLegend();
  fillFilters();
  refresh();
  listen();
  $("details").innerHTML = "<p>Select an event: click on it, or press ↓.</p>";
  if (run.violation) goTo(run.violation.facts.at(-1).step);
  else reveal(diagram.rows.at(-1) ?? 0);
  diagram.scroll.focus({ preventScroll: true });
  performance.mark("ready");
}

begin();
