//! A finite state machine of your own, written as states and events.
//!
//! Implement [`StateMachine`] for the type of the states: what each event answers in each state, and which
//! state comes next. [`Replicated`] makes a [`Service`] of it, snapshots included.
//!
//! ```
//! use vr::Service;
//! use vr::services::{Replicated, StateMachine};
//!
//! #[derive(Clone, Debug, PartialEq)]
//! enum Door {
//!     Open,
//!     Closed,
//!     Locked { code: u32 },
//! }
//!
//! #[derive(Clone, Debug)]
//! enum Event {
//!     Open,
//!     Close,
//!     Lock { code: u32 },
//!     Unlock { code: u32 },
//! }
//!
//! #[derive(Clone, Debug, PartialEq)]
//! enum Reply {
//!     Done,
//!     WrongCode,
//!     Impossible,
//! }
//!
//! impl StateMachine for Door {
//!     type Event = Event;
//!     type Reply = Reply;
//!
//!     fn on_event(&self, event: &Event) -> (Reply, Option<Self>) {
//!         match (self, event) {
//!             (Door::Closed, Event::Open) => (Reply::Done, Some(Door::Open)),
//!             (Door::Open, Event::Close) => (Reply::Done, Some(Door::Closed)),
//!             (Door::Closed, Event::Lock { code }) => (Reply::Done, Some(Door::Locked { code: *code })),
//!             (Door::Locked { code: set }, Event::Unlock { code }) if set == code => {
//!                 (Reply::Done, Some(Door::Closed))
//!             }
//!             (Door::Locked { .. }, Event::Unlock { .. }) => (Reply::WrongCode, None),
//!             _ => (Reply::Impossible, None),
//!         }
//!     }
//! }
//!
//! // The transitions are a function, which needs no group to be tested.
//! assert_eq!(Door::Open.on_event(&Event::Lock { code: 1 }), (Reply::Impossible, None));
//!
//! // The service is what each replica is given.
//! let mut door = Replicated::new(Door::Closed);
//! assert_eq!(door.execute(&Event::Lock { code: 42 }), Reply::Done);
//! assert_eq!(door.execute(&Event::Unlock { code: 41 }), Reply::WrongCode);
//! assert_eq!(*door.state(), Door::Locked { code: 42 });
//! assert_eq!(door.changes(), 1);
//! ```
//!
//! # When the state changes
//!
//! A client learns of a change by the reply to its event. A process that holds a replica and wants to act on
//! changes of the state (light a lamp, tell a neighbour) compares [`Replicated::changes`] in
//! [`Outbox::executed`](crate::Outbox::executed) with the number it saw last; and in
//! [`Outbox::checkpoint_installed`](crate::Outbox::checkpoint_installed), for who is far behind, or new, is given the
//! state without its events:
//!
//! ```
//! # use vr::services::{Replicated, StateMachine};
//! use vr::{Checkpoint, ClientAddress, Execution, Message, Outbox, ReplicaId, Reply};
//!
//! /// Shows what the machine does.
//! struct Panel {
//!     seen: u64,
//!     shown: Vec<String>,
//! }
//!
//! impl Panel {
//!     fn show<M: StateMachine>(&mut self, machine: &Replicated<M>) {
//!         if self.seen < machine.changes() {
//!             self.seen = machine.changes();
//!             self.shown.push(format!("{:?}", machine.state()));
//!         }
//!     }
//! }
//!
//! impl<M: StateMachine> Outbox<Replicated<M>> for Panel {
//!     # fn send(&mut self, _: ReplicaId, _: Message<Replicated<M>>) {}
//!     # fn reply(&mut self, _: ClientAddress, _: Reply<M::Reply>) {}
//!     // … `send` and `reply`, as always
//!     fn executed(&mut self, execution: Execution<'_, Replicated<M>>) {
//!         self.show(execution.service);
//!     }
//!
//!     fn checkpoint_installed(&mut self, _: &Checkpoint<Replicated<M>>, machine: &Replicated<M>) {
//!         self.show(machine);
//!     }
//! }
//! # let _ = Panel { seen: 0, shown: vec![] };
//! ```
//!
//! Every replica executes every event, and one that has recovered may execute old ones again, or be given a
//! later state at once and skip the changes between: so `seen` should be kept where restarts do not lose it,
//! what is done should bear to be done twice, and nothing that counts should hang on having seen every single
//! state. What only one replica should do, the primary does: see "Who is primary" in the crate's
//! documentation.

use std::fmt::Debug;

use super::only_part;
use crate::service::Service;

/// The states of a machine, and what events do to it.
pub trait StateMachine: Clone + Debug {
    /// What can happen to the machine: what clients ask for.
    type Event: Clone + Debug;
    /// What the client whose event it is will be told.
    type Reply: Clone + Debug;

    /// What an event is answered in this state, and the state that it leads to; none if that is the same one.
    ///
    /// Both must follow from the state and the event alone: no clock, no randomness. Whatever is needed of
    /// either, a client puts into the event.
    fn on_event(&self, event: &Self::Event) -> (Self::Reply, Option<Self>);

    /// What an event is answered in this state that only asks: the same as by [`on_event`](Self::on_event), which then
    /// leads to no other state. It can be [read](crate::Client::read), which takes no place in the log. None for every
    /// other event.
    fn observe(&self, event: &Self::Event) -> Option<Self::Reply> {
        let _ = event;
        None
    }
}

/// A [`StateMachine`] as a [`Service`]: the state that it is in. See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replicated<M> {
    state: M,
    changes: u64,
}

impl<M> Replicated<M> {
    /// A machine that starts in `initial`: the same at every replica.
    pub const fn new(initial: M) -> Self {
        Self { state: initial, changes: 0 }
    }

    /// The state, as far as this replica knows.
    pub const fn state(&self) -> &M {
        &self.state
    }

    /// How many events have led to a state, be it the same again, as far as this replica knows.
    pub const fn changes(&self) -> u64 {
        self.changes
    }
}

impl<M: StateMachine> Service for Replicated<M> {
    type Operation = M::Event;
    type Response = M::Reply;
    /// The state, and how many events have led to one. There is exactly one piece: a machine whose state does
    /// not fit into one message is better a [`Service`] of its own.
    type SnapshotPart = (M, u64);

    fn execute(&mut self, event: &M::Event) -> M::Reply {
        let (reply, next) = self.state.on_event(event);
        if let Some(next) = next {
            self.state = next;
            self.changes += 1;
        }
        reply
    }

    fn observe(&self, event: &M::Event) -> Option<M::Reply> {
        self.state.observe(event)
    }

    fn snapshot(&self) -> Vec<(M, u64)> {
        vec![(self.state.clone(), self.changes)]
    }

    fn restore(&mut self, parts: &[(M, u64)]) {
        (self.state, self.changes) = only_part(parts).clone();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::most_parts_restored;
    use super::*;

    /// A lamp with a button: on, off, and broken at the tenth time.
    #[derive(Clone, Debug, Default, PartialEq)]
    enum Lamp {
        #[default]
        Off,
        On {
            times: u64,
        },
        Broken,
    }

    #[derive(Clone, Debug)]
    enum Event {
        Press { times: u64 },
        Look,
        Replace,
    }

    impl StateMachine for Lamp {
        type Event = Event;
        type Reply = bool;

        fn on_event(&self, event: &Event) -> (bool, Option<Self>) {
            match (self, event) {
                (Self::Broken, Event::Press { .. }) => (false, None),
                (_, Event::Look) => (matches!(self, Self::On { .. }), None),
                (_, Event::Replace) => (true, Some(Self::Off)),
                (_, Event::Press { times: 10.. }) => (false, Some(Self::Broken)),
                (Self::Off, Event::Press { times }) => (true, Some(Self::On { times: *times })),
                (Self::On { times }, Event::Press { .. }) => (*times % 2 == 0, Some(Self::Off)),
            }
        }

        fn observe(&self, event: &Event) -> Option<bool> {
            matches!(event, Event::Look).then(|| self.on_event(event).0)
        }
    }

    #[test]
    fn the_state_changes_exactly_if_a_transition_says_so() {
        let mut lamp = Replicated::<Lamp>::default();
        let press = |times| Event::Press { times };
        for (event, reply, state, changes) in [
            (Event::Look, false, Lamp::Off, 0),
            (Event::Replace, true, Lamp::Off, 1),
            (press(3), true, Lamp::On { times: 3 }, 2),
            (Event::Look, true, Lamp::On { times: 3 }, 2),
            (press(1), false, Lamp::Off, 3),
            (press(10), false, Lamp::Broken, 4),
            (press(1), false, Lamp::Broken, 4),
        ] {
            assert_eq!(lamp.execute(&event), reply, "{event:?}");
            assert_eq!((lamp.state(), lamp.changes()), (&state, changes), "{event:?}");
        }
    }

    #[test]
    fn what_only_asks_is_answered_without_being_executed() {
        let lamp = Replicated::new(Lamp::On { times: 1 });
        assert_eq!(lamp.observe(&Event::Look), Some(true));
        assert_eq!(lamp.observe(&Event::Replace), None);
    }

    #[test]
    fn a_restored_one_is_the_same() {
        let parts = most_parts_restored(&Replicated::new(Lamp::Broken), |random| match random.below(4) {
            0 => Event::Look,
            1 => Event::Replace,
            _ => Event::Press { times: random.below(12) },
        });
        assert_eq!(parts, 1);
    }
}
