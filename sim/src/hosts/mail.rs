//! What travels between hosts, and between them and their clients.

use std::sync::Arc;

use vr::host::{Contents, Envelope, Letter};
use vr::{ClientAddress, GroupId, Read, Reply, Request, Service};

use super::{Answer, Order, Running};
use crate::packet::{GROUP_AT, Kind, Name, of_message, of_read, of_reply, of_request};

/// A message from or to a host.
pub enum Mail<S: Service> {
    /// From a host to another one.
    Envelope(Envelope<Running<S>>),
    /// From a client of a group.
    Request(GroupId, Arc<Request<S::Operation>>),
    /// The same, of what needs no place in the log.
    Read(GroupId, Arc<Read<S::Operation>>),
    /// To a client of a group.
    Reply(GroupId, ClientAddress, Reply<S::Response>),
    /// To a client of a group that was stopped.
    Gone(GroupId, ClientAddress),
    /// From the supervisor's user.
    Order(Arc<Request<Order>>),
    /// The same, of what only looks.
    Question(Arc<Read<Order>>),
    /// To the supervisor's user.
    Answer(ClientAddress, Reply<Answer>),
}

impl<S: Service> Mail<S> {
    /// The process that it is for, if it is for a client.
    #[must_use]
    pub const fn client(&self) -> Option<ClientAddress> {
        match self {
            Self::Reply(_, address, _) | Self::Gone(_, address) | Self::Answer(address, _) => Some(*address),
            Self::Envelope(_) | Self::Request(..) | Self::Read(..) | Self::Order(_) | Self::Question(_) => {
                None
            }
        }
    }

    /// By what it is recognised. The group is part of the view.
    pub(crate) fn name(&self) -> Name {
        let (group, (kind, view, number)) = match self {
            Self::Envelope(envelope) => {
                let group = envelope.contents.group().unwrap_or(GroupId::SUPERVISOR);
                let name = match &envelope.contents {
                    Contents::Alive => (Kind::Alive, 0, 0),
                    Contents::Supervisor(letter) => of_letter(letter),
                    Contents::Group(_, letter) => of_letter(letter),
                };
                (group, name)
            }
            Self::Request(group, request) => (*group, of_request(request)),
            Self::Read(group, read) => (*group, of_read(read)),
            Self::Reply(group, _, reply) => (*group, of_reply(reply)),
            Self::Gone(group, address) => (*group, (Kind::Reply, 0, address.0)),
            Self::Order(order) => (GroupId::SUPERVISOR, of_request(order)),
            Self::Question(question) => (GroupId::SUPERVISOR, (Kind::Read, 0, question.number.0)),
            Self::Answer(_, reply) => (GroupId::SUPERVISOR, of_reply(reply)),
        };
        (kind, view | group.0 << GROUP_AT, number)
    }
}

fn of_letter<S: Service>(letter: &Letter<S>) -> Name {
    match letter {
        Letter::Message(message) => of_message(message),
        Letter::Request(request) => of_request(request),
        Letter::Reply(_, reply) => of_reply(reply),
    }
}

// Derived, it would ask the service itself to be cloned.
impl<S: Service> Clone for Mail<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Envelope(envelope) => Self::Envelope(envelope.clone()),
            Self::Request(group, request) => Self::Request(*group, Arc::clone(request)),
            Self::Read(group, read) => Self::Read(*group, Arc::clone(read)),
            Self::Reply(group, address, reply) => Self::Reply(*group, *address, reply.clone()),
            Self::Gone(group, address) => Self::Gone(*group, *address),
            Self::Order(order) => Self::Order(Arc::clone(order)),
            Self::Question(question) => Self::Question(Arc::clone(question)),
            Self::Answer(address, reply) => Self::Answer(*address, reply.clone()),
        }
    }
}
