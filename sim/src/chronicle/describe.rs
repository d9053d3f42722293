//! What messages and replicas say of themselves, as the chronicle keeps it.

use std::fmt::Debug;

use vr::host::{Contents, Letter};
use vr::{
    Entry, EpochStart, Execution, Freshness, Incarnation, Log, Message, Nonce, Observation, OpNumber,
    Outcome, Payload, Read, Reconfiguration, Replica, Reply, ReplyBody, RequestBody, Role, Rules, Service,
    View, ViewStart,
};

use crate::chronicle::{Did, ReplicaState};
use crate::hosts::mail::Mail;
use crate::packet::Packet;

type Fields = Vec<(&'static str, String)>;

/// What a message says, field by field.
#[cold]
pub(crate) fn fields<S: Service>(packet: &Packet<S>) -> Fields {
    match packet {
        Packet::Peer(message) => of_message(message),
        Packet::Request(request) => vec![("request", body(&request.body))],
        Packet::Read(read) => of_read(read),
        Packet::Reply(_, reply) => of_reply(reply),
        Packet::Mail(mail) => of_mail(mail),
    }
}

fn of_read<O: Debug>(read: &Read<O>) -> Fields {
    let freshness = match read.freshness {
        Freshness::Linearizable => "the latest".to_owned(),
        Freshness::Causal(after) => format!("after op {after}"),
    };
    vec![("read", format!("{:?} (read {})", read.operation, read.number)), ("wanted", freshness)]
}

fn of_message<S: Service>(message: &Message<S>) -> Fields {
    let mut fields = vec![("view", message.view.to_string())];
    payload(&message.payload, &mut fields);
    fields
}

fn of_reply<R: Debug>(reply: &Reply<R>) -> Fields {
    vec![("view", reply.view.to_string()), ("reply", answer(&reply.body))]
}

fn of_mail<S: Service>(mail: &Mail<S>) -> Fields {
    match mail {
        Mail::Envelope(envelope) => match &envelope.contents {
            Contents::Alive => Vec::new(),
            Contents::Supervisor(letter) => of_letter(letter),
            Contents::Group(_, letter) => of_letter(letter),
        },
        Mail::Request(_, request) => vec![("request", body(&request.body))],
        Mail::Reply(_, _, reply) => of_reply(reply),
        Mail::Gone(group, _) => vec![("reply", format!("{group} was stopped"))],
        Mail::Order(order) => vec![("request", body(&order.body))],
        Mail::Read(_, read) => of_read(read),
        Mail::Question(question) => of_read(question),
        Mail::Answer(_, reply) => of_reply(reply),
    }
}

fn of_letter<S: Service>(letter: &Letter<S>) -> Fields {
    match letter {
        Letter::Message(message) => of_message(message),
        Letter::Request(request) => vec![("request", body(&request.body))],
        Letter::Reply(_, reply) => of_reply(reply),
    }
}

fn payload<S: Service>(payload: &Payload<S>, fields: &mut Fields) {
    match payload {
        Payload::Prepare(prepare) => {
            fields.push(("op-number", prepare.op_number.to_string()));
            for entry in prepare.batch.entries() {
                fields.push(("request", body(&entry.request.body)));
            }
            fields.push(("commit", prepare.commit_number.to_string()));
        }
        Payload::PrepareOk(ok) => fields.push(("op-number", ok.op_number.to_string())),
        Payload::Commit(commit) => {
            fields.push(("commit", commit.commit_number.to_string()));
            if let Some(pulse) = commit.pulse {
                fields.push(("round", pulse.round.to_string()));
            }
        }
        Payload::CommitOk(ok) => {
            fields.push(("round", ok.pulse.round.to_string()));
            fields.push(("promise", format!("{} ns", ok.promise.0)));
        }
        Payload::StartViewChange(start) => fields.push(("new view", start.view.to_string())),
        Payload::DoViewChange(vote) => {
            fields.push(("last normal view", vote.last_normal_view.to_string()));
            log(&vote.log, fields);
            fields.push(("commit", vote.commit_number.to_string()));
            fields.push(("incarnations", list(&vote.incarnations)));
        }
        Payload::StartView(start) => {
            log(&start.log, fields);
            fields.push(("commit", start.commit_number.to_string()));
        }
        Payload::Recovery(recovery) => nonce(recovery.nonce, fields),
        Payload::RecoveryResponse(response) => {
            nonce(response.nonce, fields);
            fields.push(("incarnations", list(&response.incarnations)));
            if let Some(state) = &response.state {
                log(&state.log, fields);
                fields.push(("commit", state.commit_number.to_string()));
            }
        }
        Payload::GetState(get) => {
            fields.push(("wanted view", get.view.to_string()));
            fields.push(("after op", get.after.to_string()));
        }
        Payload::NewState(state) => {
            fields.push(("after op", state.after.to_string()));
            fields.push(("entries", state.entries.len().to_string()));
            fields.push(("commit", state.commit_number.to_string()));
        }
        Payload::GetCheckpoint(get) => {
            fields.push(("checkpoint", get.op_number.to_string()));
            fields.push(("from piece", get.part.to_string()));
        }
        Payload::CheckpointPart(part) => {
            fields.push(("checkpoint", part.op_number.to_string()));
            fields.push(("piece", format!("{} of {}", part.part + 1, part.parts)));
        }
        Payload::Request(request) => fields.push(("request", body(&request.body))),
        Payload::StartEpoch(start) | Payload::NewEpoch(start) => epoch(start, fields),
        Payload::EpochStarted(started) => fields.push(("epoch", started.epoch.to_string())),
        Payload::GetEpoch => {}
    }
}

fn epoch(start: &EpochStart, fields: &mut Fields) {
    fields.push(("epoch", start.epoch.to_string()));
    fields.push(("members", start.members.to_string()));
    fields.push(("after op", start.after.to_string()));
}

fn nonce(nonce: Nonce, fields: &mut Fields) {
    fields.push(("incarnation", nonce.incarnation.to_string()));
    fields.push(("attempt", nonce.attempt.to_string()));
}

fn log<O>(log: &Log<O>, fields: &mut Fields) {
    fields.push(("log to op", log.last().to_string()));
    if log.start().0 > 0 {
        fields.push(("log after op", log.start().to_string()));
    }
}

fn list(incarnations: &[Incarnation]) -> String {
    incarnations.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// What a client asks for.
pub(crate) fn body<O: Debug>(body: &RequestBody<O>) -> String {
    match body {
        RequestBody::Register => "register".to_owned(),
        RequestBody::Operation { client, number, operation } => {
            format!("{operation:?} (session {client}, request {number})")
        }
        RequestBody::Reconfiguration(asked) => {
            let Reconfiguration { client, number, epoch, previous, members } = &**asked;
            format!("end epoch {epoch}: {previous} becomes {members} (session {client}, request {number})")
        }
        RequestBody::CheckEpoch { client, number, epoch } => {
            format!("check epoch {epoch} (session {client}, request {number})")
        }
    }
}

fn answer<R: Debug>(body: &ReplyBody<R>) -> String {
    match body {
        ReplyBody::Registered { client } => format!("session {client}"),
        ReplyBody::Executed { number, op_number, response, .. } => {
            format!("request {number} was op {op_number}: {response:?}")
        }
        ReplyBody::Epoch { number, op_number, epoch, .. } => {
            format!("request {number} was op {op_number}: epoch {epoch}")
        }
        ReplyBody::Refused { number, reason, .. } => format!("request {number} is refused: {reason}"),
        ReplyBody::NewEpoch(start) => format!("the group of epoch {} is {}", start.epoch, start.members),
        ReplyBody::Observed { number, op_number, response } => {
            format!("read {number}, after op {op_number}: {response:?}")
        }
        ReplyBody::NotARead { number } => format!("read {number} is none"),
        ReplyBody::NotPrimary => "not the primary".to_owned(),
        ReplyBody::TryLater => "try later".to_owned(),
        ReplyBody::Evicted { client } => format!("session {client} is gone"),
    }
}

/// The number of a client's request; none for a registration.
pub(crate) const fn number<O>(body: &RequestBody<O>) -> Option<u64> {
    match body {
        RequestBody::Operation { number, .. } => Some(number.0),
        // What administrators ask for is no call of the clients' history.
        _ => None,
    }
}

/// What came of executing an entry.
pub(crate) fn outcome<R: Debug>(outcome: &Outcome<'_, R>) -> String {
    match outcome {
        Outcome::Registered(registration) => format!("session {}", registration.client),
        Outcome::Executed(response) => format!("{response:?}"),
        Outcome::Duplicate => "executed before".to_owned(),
        Outcome::Reconfigured(start) => format!("epoch {} begins: {}", start.epoch, start.members),
        Outcome::EpochChecked(epoch) => format!("in epoch {epoch}"),
        Outcome::Evicted => "its session is gone".to_owned(),
    }
}

/// What a replica is.
#[cold]
pub(crate) fn state<S: Service, R: Rules>(replica: &Replica<S, R>) -> ReplicaState {
    ReplicaState {
        role: replica.role(),
        view: replica.view().0,
        last_normal_view: replica.last_normal_view().0,
        op_number: replica.op_number().0,
        commit_number: replica.commit_number().0,
        incarnation: replica.incarnation().0,
        is_fetching: replica.is_fetching(),
    }
}

// ---- What replicas tell of themselves --------------------------------------------------------------

/// An entry was appended.
pub(crate) fn appended<O: Debug>(op_number: OpNumber, entry: &Entry<O>) -> Did {
    Did::Appended { op_number: op_number.0, view: entry.view.0, request: body(&entry.request.body) }
}

/// An entry was executed, which answers this call.
pub(crate) fn executed<S: Service>(execution: &Execution<'_, S>, call: Option<usize>) -> Did {
    Did::Executed {
        op_number: execution.op_number.0,
        request: body(&execution.entry.request.body),
        outcome: outcome(&execution.outcome),
        call,
        takes_effect: matches!(execution.outcome, Outcome::Executed(_)),
    }
}

/// A read was answered.
pub(crate) fn observed<S: Service>(observation: &Observation<'_, S>) -> Did {
    let Observation { read, op_number, basis, .. } = observation;
    Did::AnswersRead { number: read.number.0, op_number: op_number.0, basis: format!("{basis:?}") }
}

/// A view starts.
pub(crate) fn view_starts(start: &ViewStart<'_>) -> Did {
    Did::ViewStarts {
        view: start.view.0,
        votes: start.votes.iter().map(|&(voter, _)| voter).collect(),
        op_number: start.op_number.0,
        commit_number: start.commit_number.0,
    }
}

/// An epoch begins.
pub(crate) fn epoch_begins(start: &EpochStart) -> Did {
    Did::EpochBegins { epoch: start.epoch.0, members: start.members.to_string() }
}

/// The role or the view is another one.
pub(crate) const fn role_changed(role: Role, view: View) -> Did {
    Did::RoleChanged { role, view: view.0 }
}
