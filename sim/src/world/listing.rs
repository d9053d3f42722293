//! How events are written in a listing.

use vr::{Payload, RequestBody};

use crate::faults::Action;
use crate::packet::{Identity, Packet};

pub(super) fn describe<O: std::fmt::Debug, R: std::fmt::Debug>(
    packet: &Packet<O, R>,
    identity: &Identity,
) -> String {
    let detail = match packet {
        Packet::Peer(message) => match &message.payload {
            Payload::Prepare(prepare) => {
                format!(": {:?}, commit {}", prepare.entry.request.body, prepare.commit_number)
            }
            Payload::DoViewChange(vote) => format!(
                ": log to op {}, last normal in view {}, commit {}",
                vote.log.last(),
                vote.last_normal_view,
                vote.commit_number
            ),
            Payload::StartView(start) => {
                format!(": log to op {}, commit {}", start.log.last(), start.commit_number)
            }
            Payload::RecoveryResponse(response) => match &response.state {
                Some(state) => format!(": log to op {}, commit {}", state.log.last(), state.commit_number),
                None => ": no state".to_owned(),
            },
            Payload::NewState(state) => {
                format!(": {} entries, commit {}", state.entries.len(), state.commit_number)
            }
            _ => String::new(),
        },
        Packet::Request(request) => match &request.body {
            RequestBody::Register => ": register".to_owned(),
            RequestBody::Operation { operation, .. } => format!(": {operation:?}"),
        },
        Packet::Reply(_, reply) => format!(": {:?}", reply.body),
    };
    format!("{identity}{detail}")
}

pub(super) fn describe_action(action: &Action) -> String {
    let millis = |nanos: &u64| format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1_000 % 1_000);
    match action {
        Action::Cut { shape, links, lasts } => {
            format!("partition {shape:?}, {} links for {}", links.len(), millis(lasts))
        }
        Action::Clog { links, lasts } => format!("{} links clogged for {}", links.len(), millis(lasts)),
        Action::Crash { replica, target, restart_after } => {
            format!("r{replica} crashes ({target:?}), starts again after {}", millis(restart_after))
        }
        Action::Pause { node, lasts } => format!("{node} stands still for {}", millis(lasts)),
        Action::FireEarly { node } => format!("{node}'s clock jumps ahead to its next timer"),
        Action::FireLate { node, lasts } => format!("{node}'s timers are late by {}", millis(lasts)),
        Action::CrashClient { slot } => format!("c{slot} crashes"),
    }
}
