//! Nodes, of which some are a group, and a client of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vr::{
    ClientId, Configuration, Epoch, Incarnation, Instant, MessageKind, Options, RarePath, Reconfiguration,
    Replica, ReplicaId, ReplyBody, Request, RequestBody, RequestNumber, Role, Standard,
};

use super::{CLIENT, Counter, MILLISECOND, Network, Sent, member, operation, register};

pub(crate) struct Nodes {
    pub(crate) replicas: Vec<Option<Replica<Counter>>>,
    pub(crate) network: Network<Counter>,
    pub(crate) now: u64,
    /// Who neither hears nor is heard.
    pub(crate) cut: BTreeSet<u8>,
    /// The members of the first epoch.
    first: Configuration,
    options: Options,
    /// The number of the last request.
    pub(crate) requests: u64,
    incarnations: u64,
}

impl Nodes {
    /// So many nodes, of which `first` are the group, and the client has a session.
    pub(crate) fn new(nodes: u8, first: Configuration, options: Options) -> Self {
        let start = |id| {
            let member = member(id, first, options);
            Some(if first.contains(id) {
                Replica::new(Instant(0), member, Standard, Counter::default())
            } else {
                Replica::standby(member, Standard, Counter::default())
            })
        };
        let mut all = Self {
            replicas: (0..nodes).map(ReplicaId).map(start).collect(),
            network: Network::default(),
            now: 0,
            cut: BTreeSet::new(),
            first,
            options,
            requests: 0,
            incarnations: 0,
        };
        all.ask(0, &register());
        all.run(50);
        all
    }

    pub(crate) fn replica(&mut self, id: u8) -> &mut Replica<Counter> {
        self.replicas[usize::from(id)].as_mut().expect("it is up")
    }

    pub(crate) fn role(&mut self, id: u8) -> Role {
        self.replica(id).role()
    }

    pub(crate) fn took(&self, path: RarePath) -> bool {
        self.network.took(path)
    }

    // ---- Crashes ---------------------------------------------------------------------------------

    pub(crate) fn crash(&mut self, id: u8) {
        self.replicas[usize::from(id)] = None;
    }

    /// The node comes back, and knows of no epoch but the first.
    pub(crate) fn restart(&mut self, id: u8) {
        self.incarnations += 1;
        let member = member(ReplicaId(id), self.first, self.options);
        let (now, incarnation) = (Instant(self.now), Incarnation(self.incarnations));
        let replica =
            Replica::recover(now, member, incarnation, Standard, Counter::default(), &mut self.network);
        self.replicas[usize::from(id)] = Some(replica);
    }

    // ---- The client ------------------------------------------------------------------------------

    /// The client's next request.
    pub(crate) fn body(&mut self, make: impl FnOnce(RequestNumber) -> RequestBody<u64>) -> Arc<Request<u64>> {
        self.requests += 1;
        Arc::new(Request { address: CLIENT, body: make(RequestNumber(self.requests)) })
    }

    pub(crate) fn addition(&mut self, amount: u64) -> Arc<Request<u64>> {
        self.body(|number| operation(number, amount))
    }

    pub(crate) fn reconfiguration(
        &mut self,
        epoch: u64,
        previous: Configuration,
        members: Configuration,
    ) -> Arc<Request<u64>> {
        self.body(|number| {
            let (client, epoch) = (ClientId(1), Epoch(epoch));
            let asked = Reconfiguration { client, number, epoch, previous, members };
            RequestBody::Reconfiguration(Box::new(asked))
        })
    }

    /// What is answered at once.
    pub(crate) fn ask(&mut self, to: u8, request: &Arc<Request<u64>>) -> Option<ReplyBody<u64>> {
        let (now, request) = (Instant(self.now), Arc::clone(request));
        let Self { replicas, network, .. } = self;
        network.replies.clear();
        replicas[usize::from(to)].as_mut().expect("it is up").on_request(now, request, network);
        self.answer()
    }

    /// What was answered last, and nobody has looked at.
    pub(crate) fn answer(&mut self) -> Option<ReplyBody<u64>> {
        self.network.replies.pop().map(|(_, body)| body)
    }

    // ---- The network -----------------------------------------------------------------------------

    pub(crate) fn take(&mut self, kind: MessageKind, from: &[u8], to: &[u8]) -> Vec<Sent<Counter>> {
        self.network.take(kind, |sender, receiver| from.contains(&sender) && to.contains(&receiver))
    }

    /// Delivers the messages of a kind between these nodes; says how many there were.
    pub(crate) fn deliver(&mut self, kind: MessageKind, from: &[u8], to: &[u8]) -> usize {
        let messages = self.take(kind, from, to);
        let count = messages.len();
        messages.into_iter().for_each(|sent| self.hand_over(sent));
        count
    }

    pub(crate) fn hand_over(&mut self, (to, message): Sent<Counter>) {
        if self.cut.contains(&to.0) || self.cut.contains(&message.from.0) {
            return;
        }
        let Self { replicas, network, now, .. } = self;
        if let Some(replica) = &mut replicas[to.index()] {
            replica.on_message(Instant(*now), message, network);
        }
    }

    /// Lets everything happen for a while; each message takes half a millisecond.
    pub(crate) fn run(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds * MILLISECOND;
        let mut travelling = BTreeMap::new();
        let mut sequence = 0;
        loop {
            for sent in self.network.messages.drain(..) {
                sequence += 1;
                travelling.insert((self.now + MILLISECOND / 2, sequence), sent);
            }
            let deadline = |replica: &Option<Replica<Counter>>| {
                replica.as_ref().map_or(u64::MAX, |replica| replica.next_deadline().0)
            };
            let (deadline, node) = self.replicas.iter().map(deadline).zip(0_u8..).min().expect("a node");
            let deadline = deadline.max(self.now);
            match travelling.first_key_value() {
                Some((&(at, _), _)) if at <= deadline => {
                    if at > end {
                        break;
                    }
                    self.now = at;
                    let (_, sent) = travelling.pop_first().expect("there is one");
                    self.hand_over(sent);
                }
                _ if deadline > end => break,
                _ => {
                    self.now = deadline;
                    let Self { replicas, network, .. } = self;
                    let replica = replicas[usize::from(node)].as_mut().expect("it has a deadline");
                    replica.on_timeout(Instant(deadline), network);
                }
            }
        }
        self.now = end;
    }
}
