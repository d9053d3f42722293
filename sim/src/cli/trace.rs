//! `sim trace`: looks at recorded traces.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::chronicle::listing::{self, Line};
use crate::node::Node;
use crate::packet::Kind;
use crate::replay::{Likeness, replay};
use crate::run::Verdict;
use clap::{Args, Subcommand};

use super::exit::Exit;
use super::replay::read;
use super::text::{complain, print, remark};

/// What `sim trace` can do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// List what happens in a trace, step by step.
    Show(ShowArgs),
}

/// What `sim trace show` is asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  sim trace show failure.trace.jsonl --replica 2           only what r2 does
  sim trace show failure.trace.jsonl --kind DoViewChange   only those messages
  sim trace show failure.trace.jsonl --from 1200           from that step on")]
pub(crate) struct ShowArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// The first step to show.
    #[arg(long, value_name = "STEP", default_value_t = 0)]
    from: u64,
    /// The last step to show.
    #[arg(long, value_name = "STEP", default_value_t = u64::MAX)]
    to: u64,
    /// Only this replica, as 2 or r2; may be given several times.
    #[arg(long, value_name = "REPLICA", value_parser = replica)]
    replica: Vec<u8>,
    /// Only messages of this kind, as StartViewChange; may be given several times.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<Kind>,
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
    if args.from > args.to {
        complain(&format!("--from {} comes after --to {}: expected a range of steps", args.from, args.to));
        return Exit::Usage.code();
    }
    let trace = match read(&args.trace) {
        Ok(trace) => trace,
        Err(exit) => return exit.code(),
    };
    let replicas = trace.head.setup.replicas;
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
            let lines = replayed.chronicle.as_deref().map(listing::lines).unwrap_or_default();
            print(&page(args, &lines, &replayed.report.verdict), Exit::Held).code()
        }
    }
}

fn page(args: &ShowArgs, lines: &[Line], verdict: &Verdict) -> String {
    let mut page = String::new();
    for line in lines.iter().filter(|line| is_wanted(args, line)) {
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
    let by_step = (args.from..=args.to).contains(&line.step);
    let by_replica = args.replica.is_empty()
        || matches!(line.node, Some(Node::Replica(replica)) if args.replica.contains(&replica.0));
    let by_kind = args.kind.is_empty() || line.kind.is_some_and(|kind| args.kind.contains(&kind));
    by_step && by_replica && by_kind
}
