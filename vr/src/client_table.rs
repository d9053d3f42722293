//! The client table: which request of each client was executed last, and what it answered
//! (paper, section 4.1).
//!
//! Only what execution writes is replicated state; it is a function of the committed log and therefore
//! the same everywhere. What is merely in flight is derived from the uncommitted end of the log, and
//! derived again whenever that end is replaced.

use std::sync::Arc;

use crate::log::Log;
use crate::message::{Request, RequestBody};
use crate::rules::{Admission, Rules};
use crate::types::{ClientAddress, ClientId, CommitNumber, Epoch, OpNumber, RequestNumber};

/// What is kept of one client.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct Session<R> {
    /// The session's id: the op-number of its registration.
    pub client: ClientId,
    /// Where the client is.
    pub address: ClientAddress,
    /// The last executed request; zero before the first.
    pub executed: RequestNumber,
    /// The op-number of the last executed request, or of the registration.
    pub last_used: OpNumber,
    /// What the last executed request answered.
    pub response: Option<R>,
    /// The epoch that the last executed request led to or found started, if it was an administrator's.
    pub epoch: Option<Epoch>,
}

/// What a registration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The session of the address, new or already there.
    pub client: ClientId,
    /// The session that had to make room.
    pub evicted: Option<ClientId>,
}

/// The sessions in the order of their registration.
#[derive(Clone, Debug)]
pub struct ClientTable<R> {
    sessions: Vec<Session<R>>,
    /// The latest request of each session that is in the log but not executed, by session. Kept apart from
    /// the sessions, for the registration itself may not be executed yet. Derived.
    in_flight: Vec<(ClientId, RequestNumber)>,
    registrations_in_flight: Vec<ClientAddress>,
}

impl<R> Default for ClientTable<R> {
    fn default() -> Self {
        Self { sessions: Vec::new(), in_flight: Vec::new(), registrations_in_flight: Vec::new() }
    }
}

impl<R> ClientTable<R> {
    /// All sessions, in the order of their ids.
    #[must_use]
    pub fn sessions(&self) -> &[Session<R>] {
        &self.sessions
    }

    /// The session `client`, if it exists.
    #[must_use]
    pub fn session(&self, client: ClientId) -> Option<&Session<R>> {
        self.position(client).map(|index| &self.sessions[index])
    }

    fn position(&self, client: ClientId) -> Option<usize> {
        self.sessions.binary_search_by_key(&client, |session| session.client).ok()
    }

    pub(crate) fn session_mut(&mut self, client: ClientId) -> Option<&mut Session<R>> {
        self.position(client).map(|index| &mut self.sessions[index])
    }

    /// The session that was opened from `address`.
    pub(crate) fn session_at(&self, address: ClientAddress) -> Option<&Session<R>> {
        self.sessions.iter().find(|session| session.address == address)
    }

    /// Executes a registration at `op_number`. Decided from replicated state alone: a session of the same
    /// address is returned as it is, and a full table loses the session that was used longest ago. (A copy of
    /// a registration that arrives after its session was evicted opens one that nobody uses.)
    pub(crate) fn register(
        &mut self,
        address: ClientAddress,
        op_number: OpNumber,
        sessions_max: usize,
        session_to_evict: impl FnOnce(&[OpNumber]) -> Option<usize>,
    ) -> Registration {
        self.registrations_in_flight.retain(|&waiting| waiting != address);
        if let Some(session) = self.session_at(address) {
            return Registration { client: session.client, evicted: None };
        }
        let evicted = if self.sessions.len() >= sessions_max { self.evict(session_to_evict) } else { None };
        let client = ClientId(op_number.0);
        assert!(
            self.sessions.last().is_none_or(|last| last.client < client),
            "sessions are opened in the order of the log"
        );
        self.sessions.push(Session {
            client,
            address,
            executed: RequestNumber::ZERO,
            last_used: op_number,
            response: None,
            epoch: None,
        });
        Registration { client, evicted }
    }

    fn evict(&mut self, session_to_evict: impl FnOnce(&[OpNumber]) -> Option<usize>) -> Option<ClientId> {
        let last_used: Vec<_> = self.sessions.iter().map(|session| session.last_used).collect();
        Some(self.sessions.remove(session_to_evict(&last_used)?).client)
    }

    /// Replaces the replicated part by that of a checkpoint. What is in flight is to be derived anew.
    pub(crate) fn restore(&mut self, sessions: &[Session<R>])
    where
        R: Clone,
    {
        self.sessions = sessions.to_vec();
    }

    /// Marks what `request` asks for as in flight.
    pub(crate) fn mark_in_flight<O>(&mut self, request: &Request<O>) {
        match request.body.of_session() {
            None => {
                if !self.registrations_in_flight.contains(&request.address) {
                    self.registrations_in_flight.push(request.address);
                }
            }
            Some((client, number)) => {
                match self.in_flight.binary_search_by_key(&client, |&(session, _)| session) {
                    Ok(index) => self.in_flight[index].1 = number.max(self.in_flight[index].1),
                    Err(index) => self.in_flight.insert(index, (client, number)),
                }
            }
        }
    }

    /// Derives what is in flight from the entries of `log` after `committed`.
    pub(crate) fn rebuild_in_flight<O>(&mut self, log: &Log<O>, committed: CommitNumber) {
        self.registrations_in_flight.clear();
        self.in_flight.clear();
        for (_, entry) in log.entries_after(committed.op_number()) {
            self.mark_in_flight(&entry.request);
        }
    }

    /// Whether a registration from `address` is in the log and not executed.
    pub(crate) fn registration_in_flight(&self, address: ClientAddress) -> bool {
        self.registrations_in_flight.contains(&address)
    }
}

impl<R> ClientTable<R> {
    /// The session's request `number` was executed, or skipped.
    pub(crate) fn executed(&mut self, client: ClientId, number: RequestNumber) {
        if let Ok(index) = self.in_flight.binary_search_by_key(&client, |&(session, _)| session)
            && self.in_flight[index].1 <= number
        {
            self.in_flight.remove(index);
        }
    }

    /// How many rows are kept of what is in flight: at most one for each entry that is not executed.
    pub(crate) fn in_flight_rows(&self) -> usize {
        self.in_flight.len() + self.registrations_in_flight.len()
    }

    fn in_flight(&self, client: ClientId) -> RequestNumber {
        let found = self.in_flight.binary_search_by_key(&client, |&(session, _)| session);
        found.map_or(RequestNumber::ZERO, |index| self.in_flight[index].1)
    }
}

impl<R> Session<R> {
    pub(crate) fn record(&mut self, number: RequestNumber, op_number: OpNumber, response: Option<R>) {
        self.executed = number;
        self.last_used = op_number;
        self.response = response;
        self.epoch = None;
    }
}

/// What a replica makes of a request before it is given an op-number.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) enum Known<'a, R> {
    Registered(ClientId),
    Executed(&'a Session<R>),
    Evicted(ClientId),
    /// What is executed holds no answer.
    Unanswered(Unanswered),
}

/// Why the client table holds no answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    New,
    InFlight,
    Superseded,
    /// The session's registration is not executed here yet.
    NotYetRegistered,
}

impl<R> ClientTable<R> {
    /// What is known of `request`, when everything up to `committed` is executed.
    pub(crate) fn lookup<O>(
        &self,
        request: &Arc<Request<O>>,
        committed: CommitNumber,
        rules: &impl Rules,
    ) -> Known<'_, R> {
        match request.body.of_session() {
            None => match self.session_at(request.address) {
                Some(session) => Known::Registered(session.client),
                None if self.registration_in_flight(request.address) => {
                    Known::Unanswered(Unanswered::InFlight)
                }
                None => Known::Unanswered(Unanswered::New),
            },
            Some((client, number)) => match self.session(client) {
                // A session's id is the op-number of its registration: whether it never was or is no
                // more follows from the commit-number.
                None if !committed.covers(OpNumber(client.0)) => {
                    Known::Unanswered(Unanswered::NotYetRegistered)
                }
                None => Known::Evicted(client),
                Some(session) => {
                    let usual = rules.admission(number, session.executed, self.in_flight(client));
                    let is_reconfiguration = matches!(request.body, RequestBody::Reconfiguration(_));
                    match if is_reconfiguration { rules.reconfiguration_admission(usual) } else { usual } {
                        Admission::Executed => Known::Executed(session),
                        Admission::New => Known::Unanswered(Unanswered::New),
                        Admission::InFlight => Known::Unanswered(Unanswered::InFlight),
                        Admission::Superseded => Known::Unanswered(Unanswered::Superseded),
                    }
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Entry;
    use crate::rules::Standard;
    use crate::types::View;

    fn operation(client: u64, number: u64) -> Arc<Request<()>> {
        let body =
            RequestBody::Operation { client: ClientId(client), number: RequestNumber(number), operation: () };
        Arc::new(Request { address: ClientAddress(client), body })
    }

    fn entry(number: u64) -> Entry<()> {
        Entry { view: View(0), request: operation(1, number), predicted: None }
    }

    fn oldest(last_used: &[OpNumber]) -> Option<usize> {
        Standard.session_to_evict(true, last_used)
    }

    fn table(sessions: u64) -> ClientTable<u64> {
        let mut table = ClientTable::default();
        for op_number in 1..=sessions {
            table.register(ClientAddress(op_number), OpNumber(op_number), 3, oldest);
        }
        table
    }

    #[test]
    fn a_full_table_evicts_the_session_used_longest_ago() {
        let mut table = table(3);
        table.session_mut(ClientId(1)).unwrap().record(RequestNumber(1), OpNumber(4), Some(7));
        let registration = table.register(ClientAddress(9), OpNumber(5), 3, oldest);
        assert_eq!(registration, Registration { client: ClientId(5), evicted: Some(ClientId(2)) });
        let known = table.lookup(&operation(2, 1), CommitNumber(5), &Standard);
        assert_eq!(known, Known::Evicted(ClientId(2)));
    }

    #[test]
    fn registering_twice_from_one_address_gives_one_session() {
        let mut table = table(2);
        let registration = table.register(ClientAddress(2), OpNumber(3), 3, oldest);
        assert_eq!(registration, Registration { client: ClientId(2), evicted: None });
    }

    #[test]
    fn a_session_ahead_of_the_executed_log_is_not_called_evicted() {
        let known = table(2)
            .lookup::<()>(&operation(9, 1), CommitNumber(2), &Standard)
            .eq(&Known::Unanswered(Unanswered::NotYetRegistered));
        assert!(known);
    }

    #[test]
    fn a_request_above_its_unexecuted_registration_is_in_flight() {
        let mut log = Log::default();
        let registration = Request { address: ClientAddress(1), body: RequestBody::Register };
        log.append(Entry { view: View(0), request: Arc::new(registration), predicted: None });
        log.append(entry(1));
        let mut table = ClientTable::<u64>::default();
        table.rebuild_in_flight(&log, CommitNumber(0));
        table.register(ClientAddress(1), OpNumber(1), 3, oldest);
        assert_eq!(
            table.lookup(&operation(1, 1), CommitNumber(1), &Standard),
            Known::Unanswered(Unanswered::InFlight)
        );
        table.executed(ClientId(1), RequestNumber(1));
        assert_eq!(
            table.lookup(&operation(1, 2), CommitNumber(2), &Standard),
            Known::Unanswered(Unanswered::New)
        );
    }

    #[test]
    fn in_flight_requests_follow_the_log() {
        let mut table = table(1);
        let request = operation(1, 1);
        let mut log = Log::default();
        log.append(entry(0));
        log.append(entry(1));
        table.rebuild_in_flight(&log, CommitNumber(1));
        assert_eq!(
            table.lookup(&request, CommitNumber(1), &Standard),
            Known::Unanswered(Unanswered::InFlight)
        );
        log.truncate(OpNumber(1));
        table.rebuild_in_flight(&log, CommitNumber(1));
        assert_eq!(table.lookup(&request, CommitNumber(1), &Standard), Known::Unanswered(Unanswered::New));
    }
}
