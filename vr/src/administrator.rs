//! What an administrator asks of the group (paper, section 7): another configuration, and whether it is in use.
//!
//! An administrator is a client like others, with a session of its own, so that what it asks for happens once.

use crate::client::{Client, ClientOutbox, NotReady};
use crate::configuration::Configuration;
use crate::epoch::Reconfiguration;
use crate::message::RequestBody;
use crate::rules::Rules;
use crate::types::{Epoch, Instant, RequestNumber};

impl<O: Clone, R: Rules> Client<O, R> {
    /// Asks for the group to become `members`. Answered by [`ClientEvent::Epoch`](crate::ClientEvent::Epoch) once
    /// that is decided, or [`ClientEvent::Refused`](crate::ClientEvent::Refused). The members that are replaced are
    /// needed until [`check_epoch`](Self::check_epoch) is answered.
    ///
    /// What is asked for is asked of the group as this client knows it ([`group`](Self::group)): if it has become
    /// another one meanwhile, the request is refused.
    ///
    /// # Errors
    /// [`NotReady`] while no session is open or the last request is not answered.
    pub fn reconfigure(
        &mut self,
        now: Instant,
        members: Configuration,
        outbox: &mut impl ClientOutbox<O>,
    ) -> Result<RequestNumber, NotReady> {
        let (epoch, previous) = (self.epoch(), self.group());
        self.request_in_session(now, outbox, |client, number| {
            let asked = Reconfiguration { client, number, epoch, previous, members };
            RequestBody::Reconfiguration(Box::new(asked))
        })
    }

    /// Asks whether `epoch` has started: whether its group works, and those who were replaced may be switched off.
    /// Answered by [`ClientEvent::Epoch`](crate::ClientEvent::Epoch), and not before it is so.
    ///
    /// # Errors
    /// [`NotReady`] while no session is open or the last request is not answered.
    pub fn check_epoch(
        &mut self,
        now: Instant,
        epoch: Epoch,
        outbox: &mut impl ClientOutbox<O>,
    ) -> Result<RequestNumber, NotReady> {
        self.request_in_session(now, outbox, |client, number| RequestBody::CheckEpoch {
            client,
            number,
            epoch,
        })
    }
}
