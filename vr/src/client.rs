//! The client proxy (paper, section 4.1): finds the primary, numbers requests, retries.

use std::fmt;
use std::sync::Arc;

use crate::configuration::{Configuration, InvalidOptions};
use crate::entropy::Entropy;
use crate::epoch::{EpochStart, Refusal};
use crate::message::{Freshness, Read, Reply, ReplyBody, Request, RequestBody};
use crate::rules::{Rules, Standard};
use crate::types::{
    ClientAddress, ClientId, Duration, Epoch, Instant, OpNumber, ReplicaId, RequestNumber, View,
};

/// Timing of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long to wait for an answer before the request is sent to all replicas. Above the time that an
    /// answer takes, and best above the time in which a crashed primary is replaced.
    pub request_timeout: Duration,
    /// How often that timeout may double while no answer comes.
    pub backoff_limit: u32,
}

impl ClientOptions {
    /// Whether a client can work with these options.
    ///
    /// # Errors
    /// [`InvalidOptions::NoTime`] unless the timeout is above zero.
    pub fn validate(&self) -> Result<(), InvalidOptions> {
        if self.request_timeout == Duration(0) { Err(InvalidOptions::NoTime) } else { Ok(()) }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { request_timeout: Duration::from_millis(60), backoff_limit: 4 }
    }
}

/// Takes the requests that a client sends.
pub trait ClientOutbox<O> {
    /// Send `request` to a replica. It may be lost, delayed, repeated, overtaken.
    fn send(&mut self, to: ReplicaId, request: Arc<Request<O>>);

    /// Send `read` to a replica, likewise.
    ///
    /// # Panics
    /// Unless it is implemented: who calls [`Client::read`] has to.
    fn send_read(&mut self, to: ReplicaId, read: Arc<Read<O>>) {
        let _ = (to, read);
        unimplemented!("this outbox sends no reads");
    }
}

/// What a client learns from a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent<R> {
    /// The session is open; operations can be requested.
    Registered(ClientId),
    /// The outstanding request was executed.
    Executed {
        /// The request.
        number: RequestNumber,
        /// Where in the log it was executed.
        op_number: OpNumber,
        /// Its result.
        response: R,
    },
    /// The outstanding administrator's request was executed: the epoch has begun, or has been found started.
    Epoch {
        /// The request.
        number: RequestNumber,
        /// Where in the log it was executed.
        op_number: OpNumber,
        /// The epoch.
        epoch: Epoch,
    },
    /// The outstanding reconfiguration is refused: see [`Refusal`].
    Refused {
        /// The request.
        number: RequestNumber,
        /// Why.
        reason: Refusal,
    },
    /// The outstanding read was answered.
    Observed {
        /// After which op-number the state was looked at.
        op_number: OpNumber,
        /// What was seen.
        response: R,
    },
    /// The session is gone. Whether the outstanding request was executed is unknown; to go on, open a
    /// session from a new address.
    Evicted,
}

/// Why a client does not take an operation now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// The session is not open yet.
    NotRegistered,
    /// The last request is not answered yet.
    Outstanding(RequestNumber),
    /// The session was evicted.
    Evicted,
}

impl fmt::Display for NotReady {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRegistered => write!(formatter, "the session is not open yet"),
            Self::Outstanding(number) => write!(formatter, "request {number} is not answered yet"),
            Self::Evicted => write!(formatter, "the session was evicted"),
        }
    }
}

impl std::error::Error for NotReady {}

/// A client of the group: one session with at most one outstanding request.
///
/// Like a replica it is a value: it is told of replies and of deadlines that have passed, and writes what
/// it sends into an outbox. A client that crashes loses its session; the next one registers anew, from an
/// address of its own, so no request number is ever used twice.
#[derive(Clone, Debug)]
pub struct Client<O, R: Rules = Standard> {
    address: ClientAddress,
    group: Configuration,
    /// Where the group may be found if it has moved.
    nodes: Option<Configuration>,
    options: ClientOptions,
    rules: R,
    /// Where the primary is thought to be.
    view: View,
    session: Session,
    number: RequestNumber,
    /// The last read. Reads are counted apart: they leave no gap in the numbers that the log sees.
    read_number: RequestNumber,
    /// The latest op-number that an answer spoke of: what this client has seen or caused.
    seen: OpNumber,
    outstanding: Option<Outstanding<O>>,
    retry_at: Instant,
    retries: u32,
    entropy: Entropy,
}

/// What waits for its answer.
#[derive(Clone, Debug)]
enum Outstanding<O> {
    Request(Arc<Request<O>>),
    Read(Arc<Read<O>>),
}

impl<O> Outstanding<O> {
    fn send(&self, to: ReplicaId, outbox: &mut impl ClientOutbox<O>) {
        match self {
            Self::Request(request) => outbox.send(to, Arc::clone(request)),
            Self::Read(read) => outbox.send_read(to, Arc::clone(read)),
        }
    }
}

/// How a client wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// What every operation saw and did that was answered to anybody before. The primary answers.
    Linearizable,
    /// At least what this client has seen and done. The replica answers that the client turns to, which may know
    /// of nothing newer.
    Causal {
        /// Whom to ask first. If no answer comes, all are asked.
        from: ReplicaId,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    None,
    Open(ClientId),
    Evicted,
}

impl<O: Clone, R: Rules> Client<O, R> {
    /// A client without a session. `address` must not have been used by another client, nor by an earlier
    /// life of this one; `entropy` feeds the jitter of retries.
    ///
    /// # Panics
    /// If the options are out of range: see [`ClientOptions::validate`].
    #[must_use]
    pub fn new(
        address: ClientAddress,
        group: Configuration,
        options: ClientOptions,
        rules: R,
        entropy: u64,
    ) -> Self {
        options.validate().unwrap_or_else(|invalid| panic!("{invalid}"));
        Self {
            address,
            group,
            nodes: None,
            options,
            rules,
            view: View::ZERO,
            session: Session::None,
            number: RequestNumber::ZERO,
            read_number: RequestNumber::ZERO,
            seen: OpNumber::ZERO,
            outstanding: None,
            retry_at: Instant::NEVER,
            retries: 0,
            entropy: Entropy::new(entropy),
        }
    }

    /// The same client, told that its group is that of a later epoch than the first.
    #[must_use]
    pub fn in_epoch(mut self, epoch: Epoch) -> Self {
        self.view = View::of(epoch, 0);
        self
    }

    /// Tells where the group may be found if it moves away, as groups on [hosts](crate::Host) do: on some of `nodes`.
    /// All members that this client knows of may be gone for good by then. What they leave unanswered goes to all nodes,
    /// whose hosts say where the group is.
    pub const fn search_on(&mut self, nodes: Configuration) {
        self.nodes = Some(nodes);
    }

    /// Asks for a session. Once it is asked for, or open, asking again does nothing; a client that was
    /// evicted stays so.
    pub fn register(&mut self, now: Instant, outbox: &mut impl ClientOutbox<O>) {
        if self.session == Session::None && self.outstanding.is_none() {
            self.submit_request(now, RequestBody::Register, outbox);
        }
    }

    /// Asks for an operation to be executed, exactly once, and returns the request's number.
    ///
    /// # Errors
    /// [`NotReady`] while no session is open or the last request is not answered.
    pub fn request(
        &mut self,
        now: Instant,
        operation: O,
        outbox: &mut impl ClientOutbox<O>,
    ) -> Result<RequestNumber, NotReady> {
        let client = self.ready()?;
        self.request_as(client, now, operation, outbox);
        Ok(self.number)
    }

    /// Makes the next request of the session: the one that `body` says it is.
    pub(crate) fn request_in_session(
        &mut self,
        now: Instant,
        outbox: &mut impl ClientOutbox<O>,
        body: impl FnOnce(ClientId, RequestNumber) -> RequestBody<O>,
    ) -> Result<RequestNumber, NotReady> {
        let client = self.ready()?;
        self.number = self.number.next();
        self.submit_request(now, body(client, self.number), outbox);
        Ok(self.number)
    }

    /// Asks for an operation that changes nothing, without the log: see
    /// [`Service::observe`](crate::Service::observe). One that may change something is requested like any other.
    ///
    /// # Errors
    /// [`NotReady`] while no session is open or the last request is not answered.
    pub fn read(
        &mut self,
        now: Instant,
        operation: O,
        consistency: Consistency,
        outbox: &mut impl ClientOutbox<O>,
    ) -> Result<(), NotReady> {
        self.ready()?;
        self.read_number = self.read_number.next();
        let (to, freshness) = match consistency {
            Consistency::Linearizable => (self.primary(), Freshness::Linearizable),
            // A witness has nothing to read from.
            Consistency::Causal { from } if self.group.is_witness(from) => {
                (self.primary(), Freshness::Causal(self.seen))
            }
            Consistency::Causal { from } => (from, Freshness::Causal(self.seen)),
        };
        let read = Read { address: self.address, number: self.read_number, operation, freshness };
        self.submit(now, Outstanding::Read(Arc::new(read)), to, outbox);
        Ok(())
    }

    /// The session, if something can be asked in it now.
    fn ready(&self) -> Result<ClientId, NotReady> {
        match self.session {
            Session::None => Err(NotReady::NotRegistered),
            Session::Evicted => Err(NotReady::Evicted),
            Session::Open(_) if self.outstanding.is_some() => Err(NotReady::Outstanding(self.number)),
            Session::Open(client) => Ok(client),
        }
    }

    fn request_as(
        &mut self,
        client: ClientId,
        now: Instant,
        operation: O,
        outbox: &mut impl ClientOutbox<O>,
    ) {
        self.number = self.number.next();
        self.submit_request(now, RequestBody::Operation { client, number: self.number, operation }, outbox);
    }

    fn submit_request(&mut self, now: Instant, body: RequestBody<O>, outbox: &mut impl ClientOutbox<O>) {
        let request = Arc::new(Request { address: self.address, body });
        self.submit(now, Outstanding::Request(request), self.primary(), outbox);
    }

    fn submit(
        &mut self,
        now: Instant,
        question: Outstanding<O>,
        to: ReplicaId,
        outbox: &mut impl ClientOutbox<O>,
    ) {
        question.send(to, outbox);
        self.outstanding = Some(question);
        self.retries = 0;
        self.wait(now);
    }

    fn wait(&mut self, now: Instant) {
        let doublings = self.retries.min(self.options.backoff_limit);
        self.retry_at = now + self.entropy.jittered(self.options.request_timeout.doubled(doublings));
    }

    /// A reply has arrived.
    pub fn on_reply<T>(
        &mut self,
        now: Instant,
        reply: Reply<T>,
        outbox: &mut impl ClientOutbox<O>,
    ) -> Option<ClientEvent<T>> {
        let Reply { view, body, .. } = reply;
        match body {
            ReplyBody::Registered { client } if self.session == Session::None => {
                self.answered(view);
                self.session = Session::Open(client);
                self.seen = OpNumber(client.0);
                Some(ClientEvent::Registered(client))
            }
            ReplyBody::Executed { client, number, op_number, response } if self.is_answer(client, number) => {
                self.answered(view);
                self.seen = self.seen.max(op_number);
                Some(ClientEvent::Executed { number: self.number, op_number, response })
            }
            ReplyBody::Epoch { client, number, op_number, epoch } if self.is_answer(client, number) => {
                self.learn_group_asked_for(epoch);
                self.answered(view);
                Some(ClientEvent::Epoch { number: self.number, op_number, epoch })
            }
            ReplyBody::Refused { client, number, reason } if self.is_answer(client, number) => {
                self.answered(view);
                Some(ClientEvent::Refused { number: self.number, reason })
            }
            ReplyBody::NewEpoch(start) => {
                self.learn_epoch(now, view, *start, outbox);
                None
            }
            ReplyBody::Evicted { client } if self.session == Session::Open(client) => {
                self.answered(view);
                self.session = Session::Evicted;
                Some(ClientEvent::Evicted)
            }
            ReplyBody::Observed { number, op_number, response } if self.is_reading(number) => {
                // A backup may answer that is far behind: no reason to turn back to an earlier view.
                self.answered(view.max(self.view));
                self.seen = self.seen.max(op_number);
                Some(ClientEvent::Observed { op_number, response })
            }
            ReplyBody::NotARead { number } if self.is_reading(number) => {
                self.read_through_log(now, outbox);
                None
            }
            ReplyBody::NotPrimary => {
                self.redirect(now, view, outbox);
                None
            }
            // Nothing to act on: after TryLater, the retry comes at its time.
            _ => None,
        }
    }

    /// Whoever has asked for a group knows it.
    fn learn_group_asked_for(&mut self, epoch: Epoch) {
        if let Some(Outstanding::Request(request)) = &self.outstanding
            && let RequestBody::Reconfiguration(asked) = &request.body
            && epoch == asked.epoch.next()
            && epoch > self.view.epoch()
        {
            (self.group, self.view) = (asked.members, View::of(epoch, 0));
        }
    }

    fn is_answer(&self, client: ClientId, number: RequestNumber) -> bool {
        self.session == Session::Open(client)
            && matches!(self.outstanding, Some(Outstanding::Request(_)))
            && self.rules.reply_is_for(number, self.number)
    }

    fn is_reading(&self, number: RequestNumber) -> bool {
        matches!(self.outstanding, Some(Outstanding::Read(_))) && number == self.read_number
    }

    fn is_reading_the_latest(&self) -> bool {
        matches!(&self.outstanding, Some(Outstanding::Read(read)) if read.freshness == Freshness::Linearizable)
    }

    /// What was to be read is requested instead: it may change the state, or nobody answers.
    fn read_through_log(&mut self, now: Instant, outbox: &mut impl ClientOutbox<O>) {
        let Session::Open(client) = self.session else { return };
        if let Some(Outstanding::Read(read)) = self.outstanding.take() {
            self.request_as(client, now, read.operation.clone(), outbox);
        }
    }

    /// Who answers has executed what was asked, so its view is the best word there is on who is primary, also
    /// if an earlier hint was to a later view: that view may never have started.
    fn answered(&mut self, view: View) {
        // Of another epoch the members are not known: whoever is asked next will tell.
        if view.epoch() == self.view.epoch() {
            self.view = view;
        }
        self.outstanding = None;
        self.retry_at = Instant::NEVER;
    }

    /// Turns to the primary of a later view. Only a hint: whatever a replica claims, a retry goes to all.
    fn redirect(&mut self, now: Instant, view: View, outbox: &mut impl ClientOutbox<O>) {
        if view <= self.view || view.epoch() > self.view.epoch() {
            return;
        }
        self.turn_to(now, view, outbox);
    }

    /// Turns to the group of a later epoch; in an epoch that is known, to its primary.
    fn learn_epoch(
        &mut self,
        now: Instant,
        view: View,
        start: EpochStart,
        outbox: &mut impl ClientOutbox<O>,
    ) {
        if start.epoch <= self.view.epoch() {
            return self.redirect(now, view, outbox);
        }
        self.group = start.members;
        self.turn_to(now, if view.epoch() == start.epoch { view } else { View::of(start.epoch, 0) }, outbox);
    }

    fn turn_to(&mut self, now: Instant, view: View, outbox: &mut impl ClientOutbox<O>) {
        self.view = view;
        if let Some(question) = &self.outstanding {
            question.send(self.primary(), outbox);
            self.wait(now);
        }
    }

    /// A deadline has passed, or may have: what is unanswered is sent to all replicas. A read that only the primary
    /// can answer goes through the log when that does not help: the primary may be out of this client's
    /// reach, and of what is executed any replica can tell.
    pub fn on_timeout(&mut self, now: Instant, outbox: &mut impl ClientOutbox<O>) {
        if now < self.retry_at {
            return;
        }
        if self.retries > 0 && self.is_reading_the_latest() {
            return self.read_through_log(now, outbox);
        }
        let Some(question) = &self.outstanding else { return };
        let may_have_moved = self.retries > 0;
        let asked = self.nodes.filter(|_| may_have_moved).map_or(self.group, |nodes| nodes.union(self.group));
        for node in asked.members() {
            question.send(node, outbox);
        }
        self.retries += 1;
        self.wait(now);
    }

    /// When [`on_timeout`](Self::on_timeout) wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        self.retry_at
    }

    /// Where the client's replies go.
    #[must_use]
    pub fn address(&self) -> ClientAddress {
        self.address
    }

    /// The open session, if there is one.
    #[must_use]
    pub fn id(&self) -> Option<ClientId> {
        match self.session {
            Session::Open(client) => Some(client),
            Session::None | Session::Evicted => None,
        }
    }

    /// The number of the last request, reads not counted; zero before the first.
    #[must_use]
    pub fn last_request(&self) -> RequestNumber {
        self.number
    }

    /// Whether a request or a read is waiting for its answer.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.outstanding.is_some()
    }

    /// The group as the client knows it.
    #[must_use]
    pub fn group(&self) -> Configuration {
        self.group
    }

    /// The epoch of that group.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.view.epoch()
    }

    fn primary(&self) -> ReplicaId {
        self.rules.primary(self.group, self.view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Sent(Vec<(ReplicaId, Arc<Request<u32>>)>);

    impl ClientOutbox<u32> for Sent {
        fn send(&mut self, to: ReplicaId, request: Arc<Request<u32>>) {
            self.0.push((to, request));
        }
    }

    fn client() -> Client<u32> {
        let group = Configuration::new(3).unwrap();
        Client::new(ClientAddress(7), group, ClientOptions::default(), Standard, 1)
    }

    fn reply(view: u64, body: ReplyBody<u32>) -> Reply<u32> {
        Reply { from: ReplicaId(0), view: View(view), body }
    }

    fn registered(sent: &mut Sent) -> Client<u32> {
        let mut client = client();
        client.register(Instant(0), sent);
        let body = ReplyBody::Registered { client: ClientId(1) };
        let event = client.on_reply(Instant(1), reply(0, body), sent);
        assert_eq!(event, Some(ClientEvent::Registered(ClientId(1))));
        sent.0.clear();
        client
    }

    #[test]
    fn operations_need_a_session_and_come_one_at_a_time() {
        let mut sent = Sent::default();
        assert_eq!(client().request(Instant(0), 5, &mut sent), Err(NotReady::NotRegistered));
        let mut client = registered(&mut sent);
        assert_eq!(client.request(Instant(2), 5, &mut sent), Ok(RequestNumber(1)));
        let refused = client.request(Instant(2), 6, &mut sent);
        assert_eq!(refused, Err(NotReady::Outstanding(RequestNumber(1))));
    }

    #[test]
    fn an_unanswered_request_goes_to_everybody() {
        let mut sent = Sent::default();
        let mut client = registered(&mut sent);
        client.request(Instant(2), 5, &mut sent).unwrap();
        client.on_timeout(client.next_deadline(), &mut sent);
        let to: Vec<u8> = sent.0.iter().map(|(to, _)| to.0).collect();
        assert_eq!(to, [0, 0, 1, 2]);
    }

    #[test]
    fn what_all_members_leave_unanswered_goes_to_all_nodes() {
        let mut sent = Sent::default();
        let mut client = registered(&mut sent);
        client.search_on(Configuration::of([ReplicaId(2), ReplicaId(3), ReplicaId(4)]).unwrap());
        client.request(Instant(2), 5, &mut sent).unwrap();
        client.on_timeout(client.next_deadline(), &mut sent);
        assert_eq!(sent.0.drain(..).count(), 4, "to the primary, then to all members");
        client.on_timeout(client.next_deadline(), &mut sent);
        let to: Vec<u8> = sent.0.iter().map(|(to, _)| to.0).collect();
        assert_eq!(to, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_redirect_to_a_later_view_is_followed_and_one_to_an_older_is_not() {
        let mut sent = Sent::default();
        let mut client = registered(&mut sent);
        client.request(Instant(2), 5, &mut sent).unwrap();
        client.on_reply(Instant(3), reply(2, ReplyBody::NotPrimary), &mut sent);
        client.on_reply(Instant(3), reply(1, ReplyBody::NotPrimary), &mut sent);
        let to: Vec<u8> = sent.0.iter().map(|(to, _)| to.0).collect();
        assert_eq!(to, [0, 2]);
    }

    #[test]
    fn only_the_answer_to_the_outstanding_request_is_taken() {
        let mut sent = Sent::default();
        let mut client = registered(&mut sent);
        client.request(Instant(2), 5, &mut sent).unwrap();
        let executed = |number| ReplyBody::Executed {
            client: ClientId(1),
            number: RequestNumber(number),
            op_number: OpNumber(9),
            response: 4,
        };
        assert_eq!(client.on_reply(Instant(3), reply(0, executed(2)), &mut sent), None);
        assert!(client.on_reply(Instant(3), reply(0, executed(1)), &mut sent).is_some());
        assert_eq!(client.on_reply(Instant(3), reply(0, executed(1)), &mut sent), None, "answered before");
    }

    #[test]
    fn a_read_that_nobody_answers_goes_through_the_log() {
        #[derive(Default)]
        struct Both(Vec<Arc<Read<u32>>>, Vec<Arc<Request<u32>>>);
        impl ClientOutbox<u32> for Both {
            fn send(&mut self, _: ReplicaId, request: Arc<Request<u32>>) {
                self.1.push(request);
            }
            fn send_read(&mut self, _: ReplicaId, read: Arc<Read<u32>>) {
                self.0.push(read);
            }
        }
        let (mut client, mut sent) = (registered(&mut Sent::default()), Both::default());
        assert_eq!(client.read(Instant(2), 5, Consistency::Linearizable, &mut sent), Ok(()));
        client.on_timeout(client.next_deadline(), &mut sent);
        assert_eq!((sent.0.len(), sent.1.len()), (4, 0), "to the primary, then to all");
        client.on_timeout(client.next_deadline(), &mut sent);
        assert_eq!((sent.0.len(), sent.1.len(), client.last_request()), (4, 1, RequestNumber(1)));
        let late = ReplyBody::Observed { number: RequestNumber(1), op_number: OpNumber(3), response: 4 };
        assert_eq!(
            client.on_reply(Instant(3), reply(0, late), &mut sent),
            None,
            "it waits for the other answer"
        );
    }

    #[test]
    fn an_evicted_client_is_told_and_asks_no_more() {
        let mut sent = Sent::default();
        let mut client = registered(&mut sent);
        client.request(Instant(2), 5, &mut sent).unwrap();
        let evicted = reply(0, ReplyBody::Evicted { client: ClientId(1) });
        assert_eq!(client.on_reply(Instant(3), evicted, &mut sent), Some(ClientEvent::Evicted));
        assert_eq!(client.request(Instant(4), 6, &mut sent), Err(NotReady::Evicted));
    }
}
