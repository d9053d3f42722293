//! `sim check`: whether anybody's history is linearizable.

mod index;

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::history::models::Priority;
use crate::history::value::Atom;
use crate::history::{Finding, History, Judgement, Limits, ModelName, Subject, check, page, words};

use super::exit::Exit;
use super::text::{BAD, DOUBTFUL, GOOD, LABEL, complain, items, line, print, styled};
use super::{files, number};
use index::Listed;

/// Of how many operations of the prefix the lines are printed; JSON has all of them.
const LAST_OF_PREFIX: usize = 12;
/// How many ways to explain what matters are printed; JSON and pages have more.
const MOST_WAYS: usize = 3;
/// How many of the operations that matter are printed, the last ones; JSON has all of them.
const MOST_MEMBERS: usize = 50;
/// How long it may take to explain why a history is not linearizable, once that is known.
const EXPLANATION: Duration = Duration::from_secs(1);

/// What `sim check` is asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = help())]
pub(crate) struct CheckArgs {
    /// The history: a file, or - for standard input
    #[arg(value_name = "HISTORY", required_unless_present = "index", conflicts_with = "index")]
    history: Option<PathBuf>,
    /// What the history is about. [default: what index.json beside it says]
    #[arg(long, value_name = "MODEL", value_enum)]
    model: Option<ModelName>,
    /// What it starts as, as JSON: null, "0", ["1","2"]; or plain text. [default: what index.json beside the
    /// history says, else null, "", [], free or 0, as suits the model]
    #[arg(long, value_name = "VALUE", alias = "initial", allow_hyphen_values = true, value_parser = init)]
    init: Option<Atom>,
    /// Which value of a priority queue comes first
    #[arg(long, value_name = "WHICH", value_enum, default_value = "greatest")]
    priority: Priority,
    /// Give up after so long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = super::sweep::time)]
    time: Duration,
    /// Give up rather than take more memory than so many mebibytes, the history itself not included
    #[arg(long, value_name = "MIB", default_value = "1024", value_parser = number)]
    memory: u64,
    /// Print one JSON object, and nothing else
    #[arg(long)]
    json: bool,
    /// Draw the clients' operations as bars on a page: one HTML file that needs no network
    #[arg(short, long, value_name = "PAGE", conflicts_with = "index")]
    output: Option<PathBuf>,
    /// Check every history that this file lists, against the verdict that it says
    #[arg(long, value_name = "INDEX", conflicts_with_all = ["model", "init", "priority"])]
    index: Option<PathBuf>,
}

fn help() -> &'static str {
    "\
A history is a file of one JSON object per line, one for each operation:

  {\"client\":3,\"call\":17,\"return\":21,\"op\":{\"type\":\"cas\",\"key\":\"r\",\"from\":\"1\",\"to\":\"2\"},\"result\":true}

Times are integers of one clock; equal ones overlap. \"return\" null: the outcome is unknown, it may take effect
at any time after its call, once, or never.

  model      operations (members) and what is answered
  register   read(key) the value, write(key, value) null, cas(key, from, to) true or false
  kv         get(key) the value, \"\" at first; put, append(key, value) null; delete(key); cas
  queue      enq(value) null; deq, peek the oldest value, null where empty
  stack      push(value) null; pop, peek the youngest value, null where empty
  deque      push_front, push_back(value) null; pop_front, pop_back, peek_front, peek_back
  pqueue     insert(value) null; poll, peek the greatest value, null where empty; --priority turns it
  set        insert, remove(value) true if that changed the set; contains(value)
  mutex      acquire true if it was free, release true if it was taken; with owner and key where they matter
  semaphore  incr true; decr true, or false at zero

Exits with 0 if the history is linearizable, 1 if it is not, 3 if time or memory ran out before that was
certain, 2 if it cannot be read, 4 if it holds no operation: then nothing was run.

Examples:
  sim check register.jsonl --model register
  sim check register.jsonl --model register --init 0 -o page.html
  sim check queue.jsonl --model queue --json
  sim check --index histories/index.json                  a folder of histories with known verdicts
  sim --seed 42 --history run.jsonl; sim check run.jsonl --model mutex"
}

/// Reads an initial value: JSON, or else the text itself.
fn init(text: &str) -> Result<Atom, String> {
    Ok(serde_json::from_str(text).unwrap_or_else(|_| Atom::Text(text.to_owned())))
}

/// Runs `sim check`.
#[must_use]
pub(crate) fn run(args: &CheckArgs) -> u8 {
    let exit = match (&args.index, &args.history) {
        (Some(index), _) => index::run(args, index),
        (None, Some(path)) => check_one(args, path),
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    exit.unwrap_or_else(|problem| {
        complain(&problem);
        Exit::Usage
    })
    .code()
}

fn check_one(args: &CheckArgs, path: &Path) -> Result<Exit, String> {
    if let Some(problem) = args.output.as_deref().and_then(|output| files::no_place("--output", output)) {
        return Err(problem);
    }
    let subject = subject(args, path)?;
    let case = judge(args, path, &subject)?;
    if case.history.entries.is_empty() {
        complain(&format!("{}: there is no operation in it, so nothing was checked", name(path)));
        return Ok(Exit::NothingRun);
    }
    if let Some(output) = &args.output {
        let page = page::page(&name(path), &case.history, &subject, &case.judgement);
        if let Err(problem) = files::replace(output, page.as_bytes()) {
            complain(&problem);
            return Ok(Exit::HarnessFailed);
        }
    }
    let exit = exit(&case.judgement);
    let page = if args.json { json(path, &case, &subject, exit) } else { text(args, path, &case, &subject) };
    Ok(print(&page, exit))
}

/// What the history is about: what the command line says, else what an index beside the history says.
fn subject(args: &CheckArgs, path: &Path) -> Result<Subject, String> {
    let listed = index::beside(path);
    let model = args.model.or(listed.as_ref().map(|listed| listed.model)).ok_or_else(|| {
        let models: Vec<_> = ModelName::ALL.iter().map(|model| model.name()).collect();
        format!("{}: --model is needed: expected one of {}", path.display(), models.join(", "))
    })?;
    let listed = listed.filter(|listed| listed.model == model);
    let init = args.init.clone().or(listed.and_then(|Listed { init, .. }| init));
    Ok(Subject { model, init: init.unwrap_or_else(|| model.default_init()), priority: args.priority })
}

/// A history and what came of it.
struct Case {
    history: History,
    judgement: Judgement,
}

#[expect(clippy::disallowed_methods, reason = "a bound for the person who waits")]
fn judge(args: &CheckArgs, path: &Path, subject: &Subject) -> Result<Case, String> {
    let started = Instant::now();
    let name = name(path);
    let mut history = read(path)?;
    let is_over = || started.elapsed() >= args.time;
    let explaining = OnceCell::new();
    let explained = || is_over() || explaining.get_or_init(Instant::now).elapsed() >= EXPLANATION;
    let bytes = args.memory.saturating_mul(1 << 20);
    let limits = Limits { bytes, interrupted: &is_over, explained: &explained };
    let wants_order = args.output.is_some() || args.json;
    let judgement = check(&mut history, subject, wants_order, limits);
    let judgement = judgement.map_err(|problem| match problem.line {
        0 => problem.to_string(),
        _ => format!("{name}:{problem}"),
    })?;
    Ok(Case { history, judgement })
}

fn read(path: &Path) -> Result<History, String> {
    let name = name(path);
    let read = |history: Result<History, crate::history::Unreadable>| {
        history.map_err(|problem| format!("{name}:{problem}"))
    };
    if path == Path::new("-") {
        return read(History::read(io::stdin().lock()));
    }
    if path.is_dir() {
        return Err(format!("{name}: this is a folder: expected a history"));
    }
    let file = File::open(path).map_err(|error| format!("{name}: cannot be read: {error}"))?;
    read(History::read(BufReader::with_capacity(1 << 16, file)))
}

fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

const fn exit(judgement: &Judgement) -> Exit {
    match judgement {
        Judgement::Linearizable(_) => Exit::Held,
        Judgement::NotLinearizable(_) => Exit::Violated,
        Judgement::GaveUp { .. } => Exit::Inconclusive,
    }
}

// ---- For people --------------------------------------------------------------------------------------

fn text(args: &CheckArgs, path: &Path, case: &Case, subject: &Subject) -> String {
    let Case { history, judgement } = case;
    let style = match judgement {
        Judgement::Linearizable(_) => GOOD,
        Judgement::NotLinearizable(_) => BAD,
        Judgement::GaveUp { .. } => DOUBTFUL,
    };
    let verdict = styled(style, &words::verdict(judgement).to_uppercase());
    let mut page = format!("{verdict} {}\n  {}\n\n", name(path), words::sentence(history, judgement));
    line(&mut page, "history", &words::about(history, subject));
    match judgement {
        Judgement::Linearizable(_) => {}
        Judgement::NotLinearizable(finding) => explain(&mut page, history, finding),
        Judgement::GaveUp { .. } => {
            let (time, memory) = (args.time.as_secs(), args.memory);
            line(&mut page, "limits", &format!("--time {time}s, --memory {memory}: more may decide it"));
        }
    }
    if let Some(output) = &args.output {
        line(&mut page, "page", &output.display().to_string());
    }
    page
}

fn explain(page: &mut String, history: &History, finding: &Finding) {
    if let Some(prefix) = &finding.prefix {
        let last = &prefix[prefix.len().saturating_sub(LAST_OF_PREFIX)..];
        let left_out = prefix.len() - last.len();
        let dots = (left_out > 0).then(|| format!("{left_out} operations,"));
        let last = last.iter().map(|&index| format!("{},", words::in_short(history, index)));
        let mut shown: Vec<String> = dots.into_iter().chain(last).collect();
        match shown.last_mut() {
            Some(last) => _ = last.pop(),
            None => shown.push("nothing".to_owned()),
        }
        items(page, "explained", &shown, " ");
    }
    if finding.is_cut_short {
        line(page, "cut short", "the explanation took too long: fewer operations may matter");
    }
    if finding.core.is_empty() {
        return;
    }
    page.push_str("\nThese alone cannot be explained:\n");
    table(page, history, finding);
    if finding.ways.is_empty() {
        return;
    }
    let title =
        if finding.has_all_ways { "Every order of them ends here:" } else { "Orders of them end here:" };
    writeln!(page, "\n{title}").expect("strings take everything");
    for way in finding.ways.iter().take(MOST_WAYS) {
        let order = words::end_of_sequence(history, &way.order, MOST_MEMBERS);
        let leads_to = if order.is_empty() { "before any of them it is" } else { " which leads to" };
        writeln!(page, "  {order}{} {}", styled(LABEL, leads_to), way.state)
            .expect("strings take everything");
        for (operation, reason) in words::reasons(history, way) {
            let place = |index: usize| {
                let line = styled(LABEL, &format!("(line {})", history.entries[index].line));
                format!("{} {line} ", history.operation(index))
            };
            writeln!(page, "    {}{reason}", operation.map_or_else(String::new, place))
                .expect("strings take everything");
        }
    }
    let more = finding.ways.len().saturating_sub(MOST_WAYS);
    if more > 0 {
        writeln!(page, "  and {more} more: --json and --output show them").expect("strings take everything");
    }
}

fn table(page: &mut String, history: &History, finding: &Finding) {
    let head = ["line", "client", "from", "to", "operation"].map(str::to_owned);
    let needed: Vec<_> = finding.core.iter().filter(|member| member.is_needed).collect();
    let left_out = needed.len().saturating_sub(MOST_MEMBERS);
    let rows = needed[left_out..].iter().map(|member| {
        let entry = &history.entries[member.operation];
        let operation = match entry.returned {
            Some(_) => words::in_short(history, member.operation),
            None => format!("{} → ?", history.operation(member.operation)),
        };
        let mark = match () {
            () if member.operation == finding.operation => "  ◀ has no place",
            () if entry.returned.is_some() && !member.has_returned => {
                "  even if it took effect later, or never"
            }
            () => "",
        };
        [
            entry.line.to_string(),
            entry.client.map_or_else(String::new, |client| client.to_string()),
            history.time(entry.called).to_string(),
            entry.returned.map_or_else(|| "?".to_owned(), |returned| history.time(returned).to_string()),
            operation + mark,
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    for (index, [place, client, from, to, operation]) in rows.iter().enumerate() {
        let [a, b, c, d] = widths;
        let row = format!("  {place:>a$}  {client:>b$}  {from:>c$}  {to:>d$}  ");
        let row = if index == 0 { styled(LABEL, &format!("{row}{operation}")) } else { row + operation };
        writeln!(page, "{row}").expect("strings take everything");
    }
    if left_out > 0 {
        writeln!(page, "  and {left_out} before them: --json shows them").expect("strings take everything");
    }
    let others = finding.core.len() - needed.len();
    if others > 0 {
        let others = words::count(others, "operation", "operations");
        writeln!(page, "  and {others} that might have helped at any time after the call, and cannot")
            .expect("strings take everything");
    }
}

// ---- For machines ------------------------------------------------------------------------------------

fn json(path: &Path, case: &Case, subject: &Subject, exit: Exit) -> String {
    let Case { history, judgement } = case;
    let mut object = json!({
        "verdict": words::verdict(judgement).replace(' ', "-"),
        "exit_code": exit.code(),
        "history": name(path),
        "model": subject.model.name(),
        "init": subject.init.to_json(),
        "operations": history.entries.len(),
        "pending": history.pending(),
        "clients": history.clients(),
        "sentence": words::sentence(history, judgement),
    });
    let lines =
        |order: &Vec<usize>| order.iter().map(|&index| history.entries[index].line).collect::<Vec<_>>();
    let mut add = |name: &str, value: Value| object[name] = value;
    match judgement {
        Judgement::Linearizable(order) => add("order", json!(order.as_ref().map(lines))),
        Judgement::NotLinearizable(finding) => {
            add("partition", json!(finding.partition));
            add("operation", operation(history, finding.operation));
            add("placed", json!(finding.placed));
            add("is_longest_prefix", json!(finding.is_longest));
            add("prefix", json!(finding.prefix.as_ref().map(lines)));
            let member = |member: &crate::history::explain::Member| {
                let mut object = operation(history, member.operation);
                object["has_returned"] = json!(member.has_returned);
                object["is_needed"] = json!(member.is_needed);
                object
            };
            add("core", finding.core.iter().map(member).collect());
            let way = |way: &crate::history::explain::Way| {
                let reason = |reason: &crate::history::explain::Obstacle| json!({ "line": history.entries[reason.operation].line, "reason": reason.text });
                json!({
                    "order": lines(&way.order),
                    "state": way.state,
                    "line": history.entries[way.operation].line,
                    "reasons": way.reasons.iter().map(reason).collect::<Vec<_>>(),
                })
            };
            add("ways", finding.ways.iter().map(way).collect());
            add("has_all_ways", json!(finding.has_all_ways));
            add("is_cut_short", json!(finding.is_cut_short));
        }
        Judgement::GaveUp { partition, explained, completed } => {
            add("partition", json!(partition));
            add("explained", json!(explained));
            add("completed", json!(completed));
        }
    }
    format!("{object}\n")
}

/// An operation with what identifies it.
fn operation(history: &History, index: usize) -> Value {
    let entry = &history.entries[index];
    json!({
        "line": entry.line,
        "client": entry.client,
        "call": history.time(entry.called),
        "return": entry.returned.map(|returned| history.time(returned)),
        "operation": history.operation(index),
        "answer": entry.returned.map(|_| history.answer(index)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_values_are_json_or_text() {
        let read = |text| init(text).unwrap().to_string();
        assert_eq!(
            ["null", "0", "\"0\"", "", "[]", "[\"1\",2]", "free"].map(read),
            ["null", "0", "0", "\"\"", "[]", "[1, 2]", "free"]
        );
    }
}
