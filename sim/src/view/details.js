// ---- The selected event --------------------------------------------------------------------------------

const STATE_NAMES = [
  ["role", "role"], ["view", "view"], ["lastNormal", "last normal view"], ["last", "log ends at op"],
  ["committed", "committed to op"], ["life", "life"], ["fetching", "waits for state"],
];

/** A step's number as something to click on. */
function stepLink(number, text = `step ${number.toLocaleString("en")}`) {
  return `<button type="button" class="step-link" data-step="${number}">${text}</button>`;
}

function details(run, index, isPast) {
  const step = run.steps[index];
  const parts = [`<h2>Step ${step.step.toLocaleString("en")} <small>at ${millis(step.time)} ms</small></h2>`];
  parts.push(`<p>${escape(capital(run.sentence(step)))}.</p>`);
  const facts = (run.violation?.facts ?? []).filter((fact) => fact.step === step.step);
  facts.forEach((fact) => parts.push(`<p class="wrong">✗ ${escape(fact.text)}: contradicts ${escape(run.violation.property)}, ${escape(run.violation.title)}</p>`));
  const [chance, jump] = [likelihood.after(step.step), likelihood.jump(step.step)];
  if (jump) parts.push(`<p class="wrong">⚑ Decisive: the likelihood of the failure goes from ${jump}</p>`);
  else if (chance !== null) parts.push(`<p>Had chance decided anew from about here on, the run would have failed ${chance} times in a hundred.</p>`);
  if (step.message !== undefined) parts.push(messageDetails(run, run.messages[step.message]));
  for (const node of step.nodes.filter((node) => node < run.replicas)) parts.push(stateDetails(run, node, index));
  parts.push(sentDetails(run, step));
  for (const node of step.nodes.filter((node) => node < run.replicas)) parts.push(logDetails(run, node, index));
  if (isPast) {
    const count = isPast.reduce((sum, bit) => sum + bit, 0) - 1;
    parts.push(`<h3>Causal past</h3><p>${count.toLocaleString("en")} earlier events could have led to this one; the others are faint.</p>`);
  }
  return parts.join("");
}

function table(rows) {
  return `<table>${rows.map(([name, ...values]) => `<tr><th scope="row">${escape(name)}</th>${values.join("")}</tr>`).join("")}</table>`;
}

function cell(text, style = "") {
  return `<td class="${style}">${escape(text)}</td>`;
}

function messageDetails(run, message) {
  const rows = [["from", cell(`${run.nodes[message.from]} to ${run.nodes[message.to]}`)]];
  if (message.kindName !== "Request") rows.push(["view", cell(viewName(message.view))]);
  for (const [name, value] of message.fields) {
    if (run.strings[name] !== "view") rows.push([run.strings[name], cell(run.strings[value])]);
  }
  rows.push(["sent", `<td>${stepLink(message.step)}</td>`]);
  if (message.fate_text) rows.push(["on its way", cell(message.fate_text)]);
  if (message.arrived.length > 1) rows.push(["arrived", `<td>${message.arrived.map((step) => stepLink(step)).join(", ")}</td>`]);
  return `<h3>Message: ${message.kindName}</h3>${table(rows)}`;
}

const VIEW_FIELDS = new Set(["view", "lastNormal"]);

function stateDetails(run, node, index) {
  const [before, after] = [run.state(node, index, true), run.state(node, index, false)];
  const name = run.nodes[node];
  if (!before && !after) return "";
  const show = (state, field) => !state ? "–" : field === "fetching" ? (state.fetching ? "yes" : "no") : VIEW_FIELDS.has(field) ? viewName(state[field]) : state[field];
  const rows = STATE_NAMES.map(([field, title]) => {
    const [was, is] = [show(before, field), show(after, field)];
    return [title, cell(was), cell(is, was === is ? "" : "changed")];
  });
  const titles = `<tr><th></th><th scope="col">before</th><th scope="col">after</th></tr>`;
  return `<h3>${name}</h3>${table(rows).replace("<table>", `<table>${titles}`)}`;
}

function sentDetails(run, step) {
  const items = run.sent(step).map((message) => {
    const fields = message.fields.filter(([name]) => run.strings[name] !== "view").map(([name, value]) => `${run.strings[name]} ${run.strings[value]}`);
    const what = `<b>${message.kindName}</b> to ${run.nodes[message.to]} <span title="${escape(fields.join(", "))}">(view ${viewName(message.view)}${fields.length > 0 ? `, ${escape(fields.join(", "))}` : ""})</span>`;
    const fate = [message.fate_text, message.dropped].filter(Boolean).map(escape).join(", ");
    const arrivals = message.arrived.map((number) => stepLink(number)).join(", ");
    const end = message.dropped ? "" : arrivals ? `: ${arrivals}` : ": has not arrived when the run ends";
    return `<li>${what}${fate ? ` – ${fate}` : ""}${end}</li>`;
  });
  return items.length > 0 ? `<h3>Sent</h3><ul>${items.join("")}</ul>` : "";
}

function logDetails(run, node, index) {
  const { end, entries } = run.log(node, index);
  const state = run.state(node, index, false);
  if (!state || end === 0) return state ? `<h3>Log of ${run.nodes[node]}</h3><p>empty</p>` : "";
  const shown = entries.slice(-8).reverse();
  const rows = shown.map(({ op, view, request }) => [
    `op ${op}`, cell(`view ${viewName(view)}`, op <= state.committed ? "log-view committed" : "log-view"), cell(request),
  ]);
  const rest = end - shown.length;
  return `<h3>Log of ${run.nodes[node]} <small>(✓ committed)</small></h3>${table(rows)}${rest > 0 ? `<p>and ${rest.toLocaleString("en")} before</p>` : ""}`;
}

