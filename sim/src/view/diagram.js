// ---- The diagram: only what is in sight is drawn -------------------------------------------------------

const ROW = 32;
const TIME = 92;
const GUTTER = 40;
const HEAD = 42;
const STRIP = 16;
const CLIENT_WIDTH = 0.7;
/** Room below the last row: what happens there may say its name below it. */
const FOOT = 24;
/** How far beyond the edges is drawn, in rows. */
const MARGIN = 8;
/** Long arrows are found by blocks of so many rows. */
const BLOCK = 64;

class Diagram {
  constructor() {
    this.scroll = document.getElementById("scroll");
    this.box = document.getElementById("diagram");
    this.svg = document.getElementById("drawing");
    this.list = document.getElementById("rows");
    this.heads = document.getElementById("lanes");
    this.hasSentences = true;
    this.selected = -1;
    this.hits = new Set();
    this.folded = new Map();
  }

  /** Shows these steps of a run, and the lanes of these nodes. */
  show(run, rows, lanes) {
    this.run = run;
    this.rows = rows;
    this.lanes = lanes;
    // How many rows come before each step; and whether it has one itself.
    this.position = new Int32Array(run.steps.length + 1);
    this.isShown = new Uint8Array(run.steps.length);
    for (const index of rows) this.isShown[index] = 1;
    for (let index = 0; index < run.steps.length; index++) {
      this.position[index + 1] = this.position[index] + this.isShown[index];
    }
    this.place();
    this.index();
    this.box.style.height = `${rows.length * ROW + FOOT}px`;
  }

  /** Where the lanes are: as far apart as there is room for. */
  place() {
    const width = this.scroll.clientWidth;
    // Clients have less to show than replicas.
    const weights = this.lanes.map((node) => node < this.run.replicas ? 1 : CLIENT_WIDTH);
    const count = Math.max(1, weights.reduce((sum, weight) => sum + weight, 0));
    this.words = this.hasSentences ? Math.max(240, Math.round(width * (count > 7 ? 0.28 : 0.37))) : 8;
    const room = width - TIME - GUTTER - this.words - 12;
    this.spacing = Math.max(34, Math.min(190, room / count));
    this.width = Math.max(width, TIME + GUTTER + this.spacing * count + this.words + 12);
    this.right = TIME + GUTTER + this.spacing * count;
    let left = TIME + GUTTER;
    this.x = new Map(this.lanes.map((node, lane) => {
      const width = weights[lane] * this.spacing;
      left += width;
      return [node, left - width / 2];
    }));
    this.hasLabels = this.spacing >= 92;
    this.box.style.width = this.heads.style.width = `${this.width}px`;
  }

  /** Where a step is, from the top: in the middle of its row, or between rows if it has none. */
  y(index) {
    if (index < 0) return 0;
    if (index >= this.run.steps.length) return this.rows.length * ROW;
    return (this.position[index] + (this.isShown[index] ? 0.5 : 0)) * ROW;
  }

  /** Finds arrows and bars by the rows that they cross. */
  index() {
    this.blocks = new Map();
    const put = (from, to, thing) => {
      for (let block = Math.floor(from / ROW / BLOCK); block <= Math.floor(to / ROW / BLOCK); block++) {
        if (!this.blocks.has(block)) this.blocks.set(block, new Set());
        this.blocks.get(block).add(thing);
      }
    };
    this.arrows = this.run.messages.flatMap((message) => this.arrowsOf(message));
    for (const arrow of this.arrows) put(arrow.y1, arrow.y2, arrow);
  }

  /** The arrows of a message: one for each arrival, or a short one for none. */
  arrowsOf(message) {
    const [from, to] = [this.x.get(message.from), this.x.get(message.to)];
    if (from === undefined || to === undefined) return [];
    const isSentHere = message.sentAt >= 0 && this.isShown[message.sentAt];
    const y1 = this.y(message.sentAt);
    const shown = message.arrivedAt.filter((index) => index >= 0 && this.isShown[index]);
    if (shown.length > 0) {
      return shown.map((index, nth) => {
        const y2 = this.y(index);
        const copy = nth > 0;
        // Who sent it is out of sight: only the end is drawn.
        if (!isSentHere) return { message, copy, stub: true, x1: to + (from - to) * 0.35, y1: y2 - ROW * 0.6, x2: to, y2, index };
        return { message, copy, x1: from, y1, x2: to, y2, index };
      });
    }
    if (!isSentHere) return [];
    const x2 = message.dropped ? this.cutAt(message, from, to) : from + (to - from) * 0.4;
    const far = Math.abs(x2 - from) / Math.max(this.spacing, 1);
    return [{ message, lost: true, x1: from, y1, x2, y2: y1 + ROW * Math.min(0.35 + 0.35 * far, 0.9), index: -1 }];
  }

  /** Where a lost message ends: at the partition's wall if there is one on its way, else halfway. */
  cutAt(message, from, to) {
    if (!message.cut) return from + (to - from) * 0.5;
    const [a, b] = [this.lanes.indexOf(message.from), this.lanes.indexOf(message.to)];
    const direction = Math.sign(b - a);
    for (let lane = a; lane !== b; lane += direction) {
      const [near, next] = [this.lanes[lane], this.lanes[lane + direction]];
      const isCut = this.run.bands.some((band) => band.kind === "partition" && band.step <= message.step
        && message.step < band.until && band.links.some(([x, y]) => x === near && y === next));
      if (isCut) return (this.x.get(near) + this.x.get(next)) / 2;
    }
    return from + (to - from) * 0.5;
  }

  // ---- Drawing ----------------------------------------------------------------------------------------

  draw() {
    const [top, height] = [this.scroll.scrollTop, this.scroll.clientHeight];
    this.first = Math.max(0, Math.floor(top / ROW) - MARGIN);
    this.end = Math.min(this.rows.length, Math.ceil((top + height) / ROW) + MARGIN);
    this.top = this.first * ROW;
    this.bottom = this.end * ROW + (this.end === this.rows.length ? FOOT : 12);
    this.firstNumber = this.run.numbers[this.rows[this.first]] ?? 0;
    this.lastNumber = this.run.numbers[this.rows[this.end - 1]] ?? Infinity;
    this.svg.setAttribute("width", this.right + 40);
    this.svg.setAttribute("height", Math.max(0, this.bottom - this.top));
    this.svg.setAttribute("viewBox", `0 ${this.top} ${this.right + 40} ${Math.max(1, this.bottom - this.top)}`);
    this.svg.style.top = `${this.top}px`;
    this.svg.innerHTML = [
      SIGNS, this.bands(), this.lines(), this.states(), this.calls(), this.walls(), this.messages(), this.link(),
      this.events(), this.captions(), this.rings(),
    ].join("");
    this.list.innerHTML = this.sentences();
    this.headings(top);
  }

  isInSight(y1, y2) {
    return y2 >= this.top && y1 <= this.bottom;
  }

  /** Stretches of rows in which a fault lasts. */
  bandsInSight() {
    return this.run.bands.map((band) => {
      const [from, to] = [this.run.at(band.step), this.run.at(band.until)];
      return { ...band, y1: this.y(from), y2: Math.max(this.y(to), this.y(from) + 4), from };
    }).filter((band) => this.isInSight(band.y1, band.y2));
  }

  bands() {
    const columns = [];
    return this.bandsInSight().map((band) => {
      if (band.kind === "pause" || band.kind === "late") {
        const x = this.x.get(band.nodes[0]);
        if (x === undefined) return "";
        return `<rect class="still" x="${x - STRIP / 2 - 5}" y="${band.y1}" width="${STRIP + 10}" height="${band.y2 - band.y1}" rx="4"/>
          ${this.hasLabels ? `<text class="caption halo small" x="${x + STRIP / 2 + 8}" y="${band.y1 + 20}">${band.kind === "pause" ? "stands still" : "timers late"}</text>` : ""}`;
      }
      if (band.kind === "core") {
        return `<line class="edge" x1="${TIME}" x2="${this.right}" y1="${band.y1}" y2="${band.y1}"/>`;
      }
      let column = columns.findIndex((end) => end <= band.y1);
      if (column < 0) column = columns.push(0) - 1;
      columns[column] = band.y2;
      const x = TIME + 2 + (column % 4) * 9;
      const height = band.y2 - band.y1;
      const sign = band.kind === "clog" ? "url(#dots)" : "url(#hatch)";
      return `<rect class="band" x="${TIME}" y="${band.y1}" width="${this.right - TIME}" height="${height}"/>
        <rect class="bar" x="${x}" y="${band.y1}" width="7" height="${height}"/>
        <rect fill="${sign}" x="${x}" y="${band.y1}" width="7" height="${height}"/>
        <line class="edge" x1="${TIME}" x2="${this.right}" y1="${band.y1}" y2="${band.y1}"/>
        <line class="edge" x1="${TIME}" x2="${this.right}" y1="${band.y2}" y2="${band.y2}"/>`;
    }).join("");
  }

  /** Walls between lanes that do not hear each other. */
  walls() {
    return this.bandsInSight().filter((band) => band.kind === "partition").map((band) =>
      this.lanes.slice(0, -1).map((node, lane) => {
        const next = this.lanes[lane + 1];
        const cuts = (from, to) => band.links.some(([a, b]) => a === from && b === to);
        const [there, back] = [cuts(node, next), cuts(next, node)];
        if (!there && !back) return "";
        const x = (this.x.get(node) + this.x.get(next)) / 2;
        return `<line class="wall ${there && back ? "" : "one-way"}" x1="${x}" x2="${x}" y1="${band.y1}" y2="${band.y2}"/>`;
      }).join("")).join("");
  }

  lines() {
    return this.lanes.map((node) => {
      const x = this.x.get(node);
      return `<line class="lane" x1="${x}" x2="${x}" y1="${this.top}" y2="${this.bottom}"/>`;
    }).join("");
  }

  /** What replicas are: colour and number say the view, outline and pattern the role. */
  states() {
    return this.lanes.filter((node) => node < this.run.replicas).map((node) => {
      const x = this.x.get(node);
      return this.run.segments[node].map((segment) => {
        const [y1, y2] = [this.y(segment.from), this.y(segment.to)];
        if (!this.isInSight(y1, y2 + ROW) || y2 <= y1) return "";
        const [from, height] = [Math.max(y1, this.top - 20), Math.min(y2, this.bottom + 20) - Math.max(y1, this.top - 20)];
        return height > 0 ? strip(segment, x, from, height) : "";
      }).join("");
    }).join("");
  }

  /** Clients' operations, with the point at which each takes effect. */
  calls() {
    return this.run.calls.map((call) => {
      const x = this.x.get(call.node);
      if (x === undefined) return "";
      const last = call.end ?? call.given_up;
      if (call.step > this.lastNumber || (last !== null && last < this.firstNumber)) return "";
      const [y1, y2] = [this.y(this.run.at(call.step)), last === null ? this.rows.length * ROW : this.y(this.run.at(last))];
      if (!this.isInSight(y1, y2) || y2 <= y1) return "";
      const isWrong = call.is_refused || (call.end !== null && !call.point);
      let drawn = `<rect class="call ${call.end === null ? "open" : ""} ${isWrong ? "wrong" : ""}" x="${x - 6}" y="${y1}" width="12" height="${y2 - y1}" rx="3"/>`;
      if (call.point) {
        const [step, node] = call.point;
        const y = this.y(this.run.at(step));
        const other = this.x.get(node);
        if (other !== undefined && this.run.find(step) >= 0) drawn += `<line class="point-line" x1="${other}" x2="${x}" y1="${y}" y2="${y}"/>`;
        drawn += `<path class="point" d="M${x} ${y - 6}l6 6-6 6-6-6z"/>`;
      }
      if (isWrong) drawn += `<text class="nowhere end halo" x="${x - 10}" y="${(y1 + y2) / 2 + 4}">⊘ no point</text>`;
      else if (!call.point && y2 - y1 > 3 * ROW) {
        const y = (Math.max(y1, this.top) + Math.min(y2, this.bottom)) / 2;
        drawn += `<text class="halo small centre" transform="translate(${x - 10} ${y}) rotate(-90)">never executed</text>`;
      }
      return drawn;
    }).join("");
  }

  messages() {
    const seen = new Set();
    for (let block = Math.floor(this.first / BLOCK) ; block <= Math.floor(this.end / BLOCK); block++) {
      for (const arrow of this.blocks.get(block) ?? []) {
        if (this.isInSight(arrow.y1 - ROW, arrow.y2 + ROW)) seen.add(arrow);
      }
    }
    return [...seen].map((arrow) => this.arrow(arrow)).join("");
  }

  arrow(arrow) {
    const { message, x1, y1, x2, y2 } = arrow;
    const group = message.group;
    const side = Math.sign(x2 - x1) || 1;
    const touch = arrow.lost ? x2 : x2 - side * (STRIP / 2 + 1);
    const isMine = this.selected >= 0 && (message.sentAt === this.selected || arrow.index === this.selected);
    const isPast = !this.isPast || (message.sentAt >= 0 && this.isPast[message.sentAt] && (arrow.lost || this.isPast[arrow.index]));
    const style = [
      "arrow", group, arrow.copy ? "copy" : message.fate === "held" || message.fate === "late" ? "held" : "",
      arrow.stub ? "stub" : "", isMine ? "strong" : "",
    ].join(" ");
    const start = arrow.stub ? x1 : x1 + side * (STRIP / 2);
    const end = arrow.lost
      ? message.dropped || message.isForNobody
        ? `<path class="cross ${group}" d="M${x2 - 5} ${y2 - 5}l10 10m0-10l-10 10"/>`
        : openEnd(group, start, y1, x2, y2)
      : head(group, start, y1, touch, y2);
    const middle = [(start + touch) / 2, (y1 + y2) / 2];
    const name = arrow.copy ? "copy" : { held: "held", late: "late" }[message.fate];
    const note = name && !arrow.stub ? `<text class="small halo centre" x="${middle[0]}" y="${middle[1] - 3}">${name}</text>` : "";
    return `<g${isPast ? "" : ' class="dim"'}><path class="${style}" d="M${start} ${y1}L${touch} ${y2}"/>${end}${note}</g>`;
  }

  /** What happens in each row. */
  events() {
    const drawn = [];
    for (let row = this.first; row < this.end; row++) {
      const index = this.rows[row];
      const step = this.run.steps[index];
      const y = (row + 0.5) * ROW;
      const dim = this.isFaint(index) ? ' class="dim"' : "";
      drawn.push(`<g${dim}>${this.event(step, index, y)}</g>`);
    }
    return drawn.join("");
  }

  /** Whether a step is not in the causal past of the selected one. */
  isFaint(index) {
    return this.isPast && !this.isPast[index] && this.run.steps[index].nodes.length > 0;
  }

  event(step, index, y) {
    const drawn = [];
    const x = this.x.get(step.nodes[0]);
    if (x !== undefined) drawn.push(this.sign(step, x, y));
    for (const [node, state] of step.after ?? []) {
      const at = this.x.get(node);
      if (at === undefined) continue;
      if (state === null) drawn.push(`<path class="strike" d="M${at - 8} ${y - 8}l16 16m0-16l-16 16"/>`);
    }
    for (const node of this.lanes) drawn.push(this.commits(step, node, y));
    return drawn.join("");
  }

  sign(step, x, y) {
    const isFact = this.run.violation?.facts.some((fact) => fact.step === step.step);
    const right = x + STRIP / 2 + (isFact ? 16 : 6);
    const label = (text, style = "") => this.hasLabels ? `<text class="halo ${style}" x="${right}" y="${y + 4}">${escape(this.short(text, x, right))}</text>` : "";
    if (step.message !== undefined) {
      const message = this.run.messages[step.message];
      const number = SAYS_NUMBER.has(message.kindName) ? ` ${message.number}` : message.kindName === "StartViewChange" ? ` ${viewName(message.number)}` : SAYS_VIEW.has(message.kindName) ? ` ${viewName(message.view)}` : "";
      if (step.cause === "nobody") return `<path class="cross ${message.group}" d="M${x - 5} ${y - 5}l10 10m0-10l-10 10"/>${label("nobody there")}`;
      return `<circle class="dot ${message.group} ${step.ignored ? "ignored" : ""}" cx="${x}" cy="${y}" r="5"/>${label(message.kindName + number)}`;
    }
    switch (step.cause) {
      case "timer": return `<g class="sign"><circle cx="${x}" cy="${y}" r="6"/><path d="M${x} ${y - 4}v4h3" fill="none"/></g>${label("timer")}`;
      case "restart": return `<path class="sign" d="M${x} ${y - 7}l7 12h-14z"/>${label("starts again")}`;
      case "client": case "patience": return `<rect class="sign" x="${x - 5}" y="${y - 5}" width="10" height="10"/>${label(step.cause === "patience" ? "gives up" : "asks")}`;
      case "fault": return step.after?.some(([, state]) => state === null) ? label("crash", "caption")
        : `<path class="strike" d="M${x + 3} ${y - 8}l-6 9h6l-6 8"/>${label("fault", "caption")}`;
      default: return "";
    }
  }

  /** A label, cut where the next lane begins. */
  short(text, x, left) {
    const next = Math.min(this.right + 4, ...[...this.x.values()].filter((other) => other > x).map((other) => other - STRIP / 2));
    const room = Math.floor((next - left) / 5.3);
    return text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text;
  }

  /** Commits: dots with the op-number; filled where nobody had executed it before. */
  commits(step, node, y) {
    const executed = (step.executed ?? []).filter(([who]) => who === node);
    if (executed.length === 0) return "";
    const [from, to] = [executed[0][1], executed.at(-1)[2]];
    const isFirst = executed.some(([, , , first]) => first) ? "first" : "";
    const text = from === to ? `${from}` : `${from}–${to}`;
    const width = Math.max(16, 8 + text.length * 5.5);
    const x = this.x.get(node) - STRIP / 2 - 5 - width;
    return `<rect class="commit ${isFirst}" x="${x}" y="${y - 8}" width="${width}" height="16" rx="8"/>
      <text class="commit-text ${isFirst}" x="${x + width / 2}" y="${y + 3}">${text}</text>`;
  }

  /** Names of views and roles, where they begin. */
  captions() {
    return this.lanes.filter((node) => node < this.run.replicas).map((node) => this.run.segments[node].map((segment) => {
      const y = segment.from < 0 ? 0 : this.y(segment.from) + ROW * 0.22;
      if (!this.isInSight(y - ROW, y + ROW) || this.y(segment.to) - this.y(segment.from) < 6) return "";
      return pill(segment, this.x.get(node), y + (segment.from < 0 ? 1 : 0), this.spacing);
    }).join("")).join("");
  }

  /** The facts that contradict each other, with their places. */
  facts() {
    return (this.run.violation?.facts ?? []).map((fact, nth) => {
      const x = this.x.get(fact.node) ?? this.right - 10;
      return { x, y: this.y(this.run.at(fact.step)), number: nth + 1 };
    });
  }

  /** The red link between them. */
  link() {
    const facts = this.facts();
    const [a, b] = [facts[0], facts.at(-1)];
    if (facts.length < 2 || !this.isInSight(a.y - ROW, b.y + ROW)) return "";
    const bulge = Math.max(a.x, b.x) + this.spacing * 0.46;
    const bend = Math.min(40, (b.y - a.y) / 2);
    const path = `M${a.x + 11} ${a.y}Q${bulge} ${a.y} ${bulge} ${a.y + bend}L${bulge} ${b.y - bend}Q${bulge} ${b.y} ${b.x + 11} ${b.y}`;
    return `<path class="link-under" d="${path}"/><path class="link" d="${path}"/>`;
  }

  rings() {
    return this.facts().map(({ x, y, number }) => !this.isInSight(y - ROW, y + ROW) ? "" : `<circle class="ring" cx="${x}" cy="${y}" r="11"/>
      <circle class="fact-number" cx="${x + 13}" cy="${y - 9}" r="8"/><text class="fact-text" x="${x + 13}" y="${y - 5}">${number}</text>`).join("");
  }

  /** The rows: the time, and what happens in words. */
  sentences() {
    const drawn = [];
    const facts = new Map((this.run.violation?.facts ?? []).map((fact, nth) => [this.run.find(fact.step), `${nth + 1}`]));
    for (let row = this.first; row < this.end; row++) {
      const index = this.rows[row];
      const step = this.run.steps[index];
      const before = row > 0 ? this.run.steps[this.rows[row - 1]].time : step.time;
      const gap = step.time - before;
      const classes = ["row", this.isFaint(index) ? "dim" : "", this.hits.has(index) ? "hit" : "",
        facts.has(index) ? "fact" : "", step.nodes.length === 0 ? "outside" : ""].join(" ").trim();
      const jump = likelihood.jump(step.step);
      const badge = (facts.has(index) ? `<span class="badge">${facts.get(index)}</span>` : "")
        + (jump ? `<span class="jump" title="How likely the failure is before and after this event">⚑ ${jump}</span>` : "");
      const more = this.folded.get(index);
      const rest = more ? `<button type="button" class="folded" tabindex="-1" title="A row for each (h)">+${more} heartbeats</button>` : "";
      const time = gap >= this.longGap ? `<span class="gap">+${stretch(gap)}</span>` : millis(step.time);
      const sentence = escape(this.run.sentence(step));
      const turn = step.turn ? `<b>${escape(capital(step.turn.join("; ")))}</b>: ` : "";
      drawn.push(`<div role="option" id="step-${step.step}" class="${classes}" data-row="${row}" style="top:${row * ROW}px;height:${ROW}px;"
        aria-selected="${index === this.selected}" aria-posinset="${row + 1}" aria-setsize="${this.rows.length}" aria-label="${sentence}"
        ><span class="time" title="${millis(step.time)} ms, step ${step.step}">${time}</span>${this.hasSentences
        ? `<span class="sentence" style="left:${this.right + 8}px" title="${sentence}">${badge}${rest}<span>${turn}${escape(this.run.sentence(step, true))}</span></span>` : ""}</div>`);
    }
    return drawn.join("");
  }

  /** The lanes' names, and what each replica is at the top of what is in sight. */
  headings(top) {
    const row = Math.min(this.rows.length - 1, Math.max(0, Math.floor((top + 2) / ROW)));
    const index = this.rows[row] ?? 0;
    const wide = this.spacing >= 92;
    this.heads.innerHTML = `<div style="left:8px;width:${TIME - 16}px;text-align:right"><small>time</small><small>ms</small></div>` + this.lanes.map((node) => {
      const state = node < this.run.replicas ? this.run.state(node, index, true) : undefined;
      const text = state === undefined ? (wide ? "client" : "") : state === null ? "✕ down" : roleText(state, wide);
      const width = this.spacing * (node < this.run.replicas ? 1 : CLIENT_WIDTH);
      return `<div style="left:${this.x.get(node) - width / 2}px;width:${width}px">${this.run.nodes[node]}<small>${text}</small></div>`;
    }).join("") + (this.hasSentences ? `<div style="left:${this.right + 8}px;text-align:left"><small>what happens</small></div>` : "");
  }
}

/** Kinds whose number, or view, is worth a place in the diagram. */
const SAYS_NUMBER = new Set(["Prepare", "PrepareOk", "Commit"]);
const SAYS_VIEW = new Set(["DoViewChange", "StartView", "RecoveryResponse"]);

/** Patterns for what must not be told by colour alone. */
const SIGNS = `<defs>
  <pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="hatch" x1="0" x2="0" y1="0" y2="7"/></pattern>
  <pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><circle class="dots" cx="3" cy="3" r="1.4"/></pattern>
</defs>`;

/** Signs of the roles, where there is no room for words. */
const ROLE_SIGNS = { primary: "★", backup: "", "view change": "▨", recovering: "∴", "without the log": "…", replaced: "↷", stopped: "■", "no member": "–", witness: "◇" };

/** What a replica is, in words or signs. */
function roleText({ role, view }, wide) {
  const [sign, named] = [ROLE_SIGNS[role], TAKES_PART.has(role)];
  return wide ? `${sign} ${role} ${named ? viewName(view) : ""}` : named ? `${sign}v${viewName(view)}` : sign;
}

/** A replica's strip: a stretch in one role and view. */
function strip({ role, view }, x, y, height) {
  const left = x - STRIP / 2;
  if (role === "down") return `<line class="down" x1="${x}" x2="${x}" y1="${y}" y2="${y + height}"/>`;
  const pattern = { "view change": "hatch", recovering: "dots" }[role];
  const colour = colourOf(role, view);
  return `<rect class="state ${role} ${colour}" x="${left}" y="${y}" width="${STRIP}" height="${height}"/>`
    + (pattern ? `<rect fill="url(#${pattern})" x="${left}" y="${y}" width="${STRIP}" height="${height}"/>` : "");
}

/** The name of a stretch. */
function pill({ role, view }, x, y, spacing) {
  const name = viewName(view);
  const [long, short] = {
    primary: [`★ view ${name}`, `★${name}`], backup: [`view ${name}`, name], witness: [`◇ view ${name}`, `◇${name}`], "view change": [`→ view ${name}`, `→${name}`], down: ["✕ down", "✕"],
  }[role] ?? [role, ROLE_SIGNS[role]];
  const text = spacing >= 60 ? long : short;
  const width = text.length * 5.6 + 10;
  const colour = colourOf(role, view);
  return `<rect class="pill ${colour}" x="${x - width / 2}" y="${y}" width="${width}" height="14" rx="7"/>
    <text class="pill-text" x="${x}" y="${y + 10.5}">${text}</text>`;
}

/** The end of an arrow whose arrival is not shown. */
function openEnd(group, x1, y1, x2, y2) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = Math.hypot(dx, dy) || 1;
  return [5, 11, 17].map((far) => `<circle class="more ${group}" cx="${x2 + (dx / length) * far}" cy="${y2 + (dy / length) * far}" r="1.6"/>`).join("");
}

/** The head of an arrow. */
function head(group, x1, y1, x2, y2) {
  const angle = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
  return `<path class="head ${group}" d="M0 0l-9-4v8z" transform="translate(${x2} ${y2}) rotate(${angle.toFixed(1)})"/>`;
}

