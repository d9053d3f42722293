//! `sim trace`: looks at recorded traces.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::chronicle::listing::{self, Line};
use crate::chronicle::{Cause, Chronicle, Step};
use crate::node::Node;
use crate::packet::Kind;
use crate::replay::{Likeness, replay};
use crate::run::Verdict;
use crate::story::{Scope, Sentence, tell};
use clap::{Args, Subcommand};
use vr::ReplicaId;

use super::exit::Exit;
use super::keep::headline;
use super::number;
use super::replay::read;
use super::text::{LABEL, complain, millis, of, print, remark, styled};

/// How wide a story may become.
const STORY_WIDTH: usize = 120;

/// What `sim trace` can do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Tell what happens in a trace, in the protocol's words.
    Show(ShowArgs),
}

/// What `sim trace show` is asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  sim trace show failure.trace.jsonl                       what led to the violation, as a story
  sim trace show failure.trace.jsonl --all                 the same with what had no part in it
  sim trace show failure.trace.jsonl --list                every event on a line of its own
  sim trace show failure.trace.jsonl --replica 2           only what r2 does
  sim trace show failure.trace.jsonl --kind DoViewChange   only those messages
  sim trace show failure.trace.jsonl --from 1200           from that step on")]
pub(crate) struct ShowArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Tell also what can have had no part in the violation.
    #[arg(long, conflicts_with = "list")]
    all: bool,
    /// List every event, in place of a story.
    #[arg(long)]
    list: bool,
    /// The first step to show.
    #[arg(long, value_name = "STEP", default_value = "0", value_parser = number)]
    from: u64,
    /// The last step to show. [default: the last of the trace]
    #[arg(long, value_name = "STEP", value_parser = number)]
    to: Option<u64>,
    /// Only this replica, as 2 or r2; may be given several times.
    #[arg(long, value_name = "REPLICA", value_parser = replica)]
    replica: Vec<u8>,
    /// Only messages of this kind, as StartViewChange; may be given several times.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<Kind>,
}

impl ShowArgs {
    fn steps(&self) -> RangeInclusive<u64> {
        self.from..=self.to.unwrap_or(u64::MAX)
    }
}

fn replica(name: &str) -> Result<u8, String> {
    let number = name.strip_prefix('r').unwrap_or(name);
    number.parse().map_err(|_| "expected the number of a replica, as 2 or r2".to_owned())
}

fn kind(name: &str) -> Result<Kind, String> {
    let is_named = |kind: &&Kind| format!("{kind:?}").eq_ignore_ascii_case(name);
    Kind::ALL.iter().find(is_named).copied().ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Runs `sim trace`.
#[must_use]
pub(crate) fn run(command: &TraceCommand) -> u8 {
    let TraceCommand::Show(args) = command;
    if let Some(to) = args.to.filter(|&to| args.from > to) {
        complain(&format!("--from {} comes after --to {to}: expected a range of steps", args.from));
        return Exit::Usage.code();
    }
    let trace = match read(&args.trace) {
        Ok(trace) => trace,
        Err(exit) => return exit.code(),
    };
    let replicas = trace.head.setup.nodes();
    if let Some(unknown) = args.replica.iter().find(|&&replica| replica >= replicas) {
        complain(&format!("--replica {unknown}: expected one of 0 to {}", replicas - 1));
        return Exit::Usage.code();
    }
    match replay(&trace, true) {
        Err(error) => {
            complain(&format!("{}: {error}", args.trace.display()));
            Exit::NotReproduced.code()
        }
        Ok(replayed) => {
            if let Likeness::ByDecisions { first_difference, .. } = replayed.likeness {
                remark(&format!(
                    "the code has changed since: from step {first_difference} on this is another run"
                ));
            }
            let last = replayed.report.steps;
            if args.from > last {
                remark(&format!("--from {}: the trace ends at step {last}", args.from));
            }
            let chronicle = replayed.chronicle.as_deref().expect("it was asked for");
            let verdict = &replayed.report.verdict;
            let page =
                if args.list { listing(args, chronicle, verdict) } else { story(args, chronicle, verdict) };
            print(&page, Exit::Held).code()
        }
    }
}

fn story(args: &ShowArgs, chronicle: &Chronicle, verdict: &Verdict) -> String {
    let violation = match verdict {
        Verdict::Violated(violation) => Some(violation),
        _ => None,
    };
    let scope = if args.all { Scope::Eventful } else { Scope::Relevant };
    let story = tell(chronicle, violation, scope);
    let width = story.sentences.len().to_string().len();
    let mut page = String::new();
    for Sentence { number, step, time, text } in &story.sentences {
        let index = chronicle.steps.binary_search_by_key(step, |step| step.step).expect("a step of this run");
        if !is_told(args, chronicle, &chronicle.steps[index]) {
            continue;
        }
        let when = format!("{:>12}  #{step:<6}", millis(*time));
        let indent = width + 2 + when.chars().count() + 1;
        let _ = writeln!(page, "{number:>width$}. {} {}", styled(LABEL, &when), wrapped(text, indent));
    }
    if let Some(violation) = violation {
        let _ = writeln!(page, "\n{}\n  {}", headline(violation), violation.witness);
    }
    let left_out = [
        (story.unrelated, "can have had no part in it (--all tells them)"),
        (story.idle, "brought nothing new (--list shows them)"),
    ];
    for (steps, why) in left_out.iter().filter(|(steps, _)| *steps > 0) {
        let _ = writeln!(
            page,
            "{}",
            styled(LABEL, &format!("left out: {}, which {why}", of(*steps as u64, ("step", "steps"))))
        );
    }
    page
}

fn is_told(args: &ShowArgs, chronicle: &Chronicle, step: &Step) -> bool {
    let by_step = args.steps().contains(&step.step);
    let touched = step.touches(chronicle);
    let by_replica = args.replica.is_empty()
        || args.replica.iter().any(|&replica| touched.contains(&Node::Replica(ReplicaId(replica))));
    let arrived = match step.cause {
        Cause::Arrival(message) | Cause::ArrivalAtNobody(message, _) => Some(message),
        _ => None,
    };
    let mut kinds =
        step.sent.clone().chain(arrived).map(|message| chronicle.messages[message as usize].identity.kind);
    by_step && by_replica && (args.kind.is_empty() || kinds.any(|kind| args.kind.contains(&kind)))
}

/// The words in lines of a width that can be read, all but the first indented.
fn wrapped(text: &str, indent: usize) -> String {
    let (mut page, mut column) = (String::new(), indent);
    for word in text.split(' ') {
        let length = word.chars().count() + 1;
        if column + length > STORY_WIDTH && column > indent {
            let _ = write!(page, "\n{:indent$}", "");
            column = indent;
        }
        if column > indent {
            page.push(' ');
        }
        page.push_str(word);
        column += length;
    }
    page
}

fn listing(args: &ShowArgs, chronicle: &Chronicle, verdict: &Verdict) -> String {
    let mut page = String::new();
    for line in listing::lines(chronicle).iter().filter(|line| is_wanted(args, line)) {
        let Line { step, time, node, text, .. } = line;
        let (millis, micros) = (time / 1_000_000, time / 1_000 % 1_000);
        let node = node.map_or(String::new(), |node| node.to_string());
        let _ = writeln!(page, "{step:>7} {millis:>7}.{micros:03} ms  {node:<4} {text}");
    }
    if let Verdict::Violated(violation) = verdict {
        let _ = writeln!(page, "{:>7} {}: {}", violation.step, violation.property, violation.witness);
    }
    page
}

fn is_wanted(args: &ShowArgs, line: &Line) -> bool {
    let by_step = args.steps().contains(&line.step);
    let by_replica = args.replica.is_empty()
        || matches!(line.node, Some(Node::Replica(replica)) if args.replica.contains(&replica.0));
    let by_kind = args.kind.is_empty() || line.kind.is_some_and(|kind| args.kind.contains(&kind));
    by_step && by_replica && by_kind
}
