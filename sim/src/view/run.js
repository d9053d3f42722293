// ---- The run: what the file holds, made ready to be asked ---------------------------------------------

const ROLES = ["primary", "backup", "view change", "recovering", "without the log", "replaced", "stopped", "no member", "witness"];

/** A view's epoch and number. The first epoch is not spoken of. */
const epochOf = (view) => Math.floor(view / 2 ** 32);
const viewName = (view) => epochOf(view) > 0 ? `${epochOf(view)}/${view % 2 ** 32}` : `${view}`;

/** The colour of a replica's strip; none where it takes no part in its view. */
const TAKES_PART = new Set(["primary", "backup", "view change", "witness"]);
const colourOf = (role, view) => TAKES_PART.has(role) ? `v${(epochOf(view) + view % 2 ** 32) % 7}` : "none";

/** What a message is about decides its colour. */
const GROUPS = {
  Prepare: "normal", PrepareOk: "normal", Commit: "normal",
  StartViewChange: "change", DoViewChange: "change", StartView: "change",
  Recovery: "recovery", RecoveryResponse: "recovery",
  StartEpoch: "change", EpochStarted: "change", NewEpoch: "change", GetEpoch: "change",
  GetCheckpoint: "transfer", CheckpointPart: "transfer",
  GetState: "transfer", NewState: "transfer",
  Request: "client", Reply: "client",
};

/** A replica's state by name; the file has it as a list. */
function stateOf(list) {
  if (!list) return null;
  const [role, view, lastNormal, last, committed, life, fetching] = list;
  return { role: ROLES[role], view, lastNormal, last, committed, life, fetching: fetching === 1 };
}

/** A run, or a part of it. Steps are named by their index here, unless a number is spoken of. */
class Run {
  constructor(model) {
    Object.assign(this, model);
    this.numbers = this.steps.map((step) => step.step);
    // What the steps say of messages is written only there.
    for (const step of this.steps) {
      for (const message of this.sent(step)) message.step = step.step;
      if (step.message === undefined) continue;
      (this.messages[step.message].arrived ??= []).push(step.step);
      this.messages[step.message].isForNobody = step.cause === "nobody";
    }
    for (const message of this.messages) {
      message.arrived = (message.arrived ?? []).sort((a, b) => a - b);
      message.kindName = this.kinds[message.kind];
      message.group = GROUPS[message.kindName];
      message.sentAt = this.find(message.step);
      message.arrivedAt = message.arrived.map((step) => this.find(step));
    }
    this.touched = this.nodes.map(() => []);
    this.steps.forEach((step, index) => step.nodes.forEach((node) => this.touched[node].push(index)));
    this.states = this.before.map((before, node) => this.statesOf(node, before));
    this.segments = this.states.map((states) => this.segmentsOf(states));
  }

  /** The index of the first step with this number or a later one. */
  at(number) {
    let [low, high] = [0, this.numbers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.numbers[middle] < number) low = middle + 1; else high = middle;
    }
    return low;
  }

  /** The index of the step with this number, or -1 if it is not in this part of the run. */
  find(number) {
    const index = this.at(number);
    return this.numbers[index] === number ? index : -1;
  }

  statesOf(node, before) {
    const states = [{ index: -1, state: stateOf(before.state) }];
    for (const index of this.touched[node]) {
      const after = this.steps[index].after?.find(([other]) => other === node);
      if (after) states.push({ index, state: stateOf(after[1]) });
    }
    return states;
  }

  /** Stretches in which a replica's role and view stay the same. */
  segmentsOf(states) {
    const segments = [];
    for (const { index, state } of states) {
      const last = segments.at(-1);
      const same = last && last.role === (state?.role ?? "down") && last.view === (state?.view ?? 0);
      if (same) continue;
      if (last) last.to = index;
      segments.push({ from: index, to: this.steps.length, role: state?.role ?? "down", view: state?.view ?? 0 });
    }
    return segments;
  }

  /** What a replica is before or after a step; null if it is down. */
  state(node, index, isBefore) {
    const states = this.states[node];
    if (!states) return null;
    let [low, high] = [0, states.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore ? states[middle].index < index : states[middle].index <= index) low = middle + 1; else high = middle;
    }
    return low > 0 ? states[low - 1].state : null;
  }

  /** The end of a replica's log after a step: op-number, view and request of each entry. */
  log(node, index) {
    const { last, tail } = this.before[node];
    let log = tail.map(([op, view, request]) => ({ op, view, request: this.strings[request] }));
    let end = last;
    for (const at of this.touched[node]) {
      if (at > index) break;
      const step = this.steps[at];
      for (const [who, kept] of step.cut ?? []) {
        if (who !== node) continue;
        end = Math.min(end, kept);
        log = log.filter(({ op }) => op <= kept);
      }
      for (const [who, first, count] of step.appended ?? []) {
        if (who !== node) continue;
        for (const [op, view, request] of this.entries.slice(first, first + count)) {
          end = op;
          log.push({ op, view, request: this.strings[request] });
        }
      }
      if (step.after?.some(([who, state]) => who === node && state === null)) [log, end] = [[], 0];
      if (log.length > 64) log = log.slice(-32);
    }
    return { end, entries: log };
  }

  /** The messages that a step sends. */
  sent(step) {
    if (!step.sent) return [];
    const [first, count] = step.sent;
    return this.messages.slice(first, first + count);
  }

  /** The steps that a step could know of, itself included. */
  past(target) {
    const isPast = new Uint8Array(this.steps.length);
    const followed = new Set();
    const wanted = new Set();
    for (let index = target; index >= 0; index--) {
      const step = this.steps[index];
      // What reaches nobody leads to nothing.
      const isIn = index === target || (step.cause !== "nobody" && step.nodes.some((node) => followed.has(node))
        || (step.sent && this.sent(step).some((message) => wanted.has(message))));
      if (!isIn) continue;
      isPast[index] = 1;
      step.nodes.forEach((node) => followed.add(node));
      if (step.cause === "arrival") wanted.add(this.messages[step.message]);
    }
    return isPast;
  }

  /** What a step is called in the list of kinds. */
  kindOf(step) {
    if (step.message !== undefined) return this.messages[step.message].kindName;
    if (step.cause === "timer") return "timers";
    if (step.cause === "client" || step.cause === "patience") return "clients";
    return "faults";
  }

  /** The view that a step belongs to: that of the replica that acts, or of the message. */
  viewOf(step, index) {
    const [node] = step.nodes;
    const state = node < this.replicas ? this.state(node, index, false) : null;
    return state ? state.view : step.message === undefined ? null : this.messages[step.message].view;
  }

  /** What happened, as a sentence; without what a replica has become by it, if that is said elsewhere. */
  sentence(step, isRest = false) {
    const then = [...step.then ?? [], ...isRest ? [] : step.turn ?? []];
    if (step.cause === "fault" || step.cause === "client" || step.cause === "mend") {
      return then.length > 0 ? capital(then.join("; ")) : step.what;
    }
    return then.length > 0 ? `${step.what}; ${then.join("; ")}` : step.what;
  }
}

/** How likely the failure is along the run, where that is known. */
class Likelihood {
  constructor(known) {
    this.points = known?.points ?? [];
    this.decisive = new Set(known?.decisive ?? []);
  }

  /** In a hundred, after a step; null where nothing is known. */
  after(number) {
    const before = this.points.filter(({ step }) => step <= number).at(-1);
    return before ? percent(before) : null;
  }

  /** From where to where it jumps at a step, if it does. */
  jump(number) {
    if (!this.decisive.has(number)) return "";
    const before = this.points.filter(({ step }) => step < number).at(-1);
    const after = this.points.find(({ step }) => step === number);
    return before && after ? `${percent(before)} to ${percent(after)} %` : "";
  }
}

function percent({ failed, of }) {
  return Math.round((failed * 100) / of);
}

/** Reads the whole run out of the file; it is compressed there. */
async function wholeRun() {
  const text = document.getElementById("whole-data").textContent.trim();
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Run(await new Response(stream).json());
}

function capital(text) {
  return text.replace(/^[a-z](?![0-9])/, (letter) => letter.toUpperCase());
}

/** Nanoseconds as milliseconds. */
function millis(time) {
  return (time / 1e6).toLocaleString("en", { minimumFractionDigits: 3, maximumFractionDigits: 3 });
}

/** A stretch of time with as many places as matter. */
function stretch(time) {
  const ms = time / 1e6;
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}

function escape(text) {
  return String(text).replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);
}

