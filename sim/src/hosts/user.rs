//! The supervisor's user: one thing after the other is asked for, and asked again until it is answered.

use std::collections::VecDeque;
use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vr::{Client, ClientEvent, Configuration, Consistency, EpochStart, GroupId, OpNumber, ReplicaId, Reply};

use super::port::UserPort;
use super::world::World;
use super::{AllRules, Answer, Machine, Order};
use crate::chronicle::Effect;
use crate::client_slot;
use crate::clock::Clock;
use crate::digest;
use crate::environment::{Environment, address_of};
use crate::faults::Deed;
use crate::marks::Moment;
use crate::node::Node;
use crate::random::{self, Purpose};
use crate::setup::Setup;
use crate::workload::Workload;

/// How many orders may wait for their turn; who wants more is not heard.
const WAITING_MAX: usize = 4;

/// The user, in a client slot of its own.
pub(super) struct User<R: AllRules> {
    pub(super) slot: u16,
    pub(super) client: Client<Order, R>,
    pub(super) clock: Clock,
    /// When its timer event is queued, in nanoseconds.
    pub(super) timer_at: u64,
    /// What it has to ask for. The first of it, it may have asked for already.
    todo: VecDeque<Order>,
    is_asking: bool,
    /// How many of its requests have gone through the log.
    requested: u64,
    /// The slots of clients that wait for groups to be started at first, in order.
    hired: VecDeque<Range<u16>>,
    jitter: ChaCha8Rng,
}

impl<R: AllRules> User<R> {
    pub(super) fn new<W: Workload>(
        setup: &Setup,
        clock: Clock,
        rules: R,
        environment: &mut Environment<W>,
    ) -> Self {
        let slot = setup.clients;
        let mut jitter = random::stream(setup.seed, Purpose::Jitter(Node::Client(slot).number()));
        let supervision = setup.supervision.as_ref().expect("a run of hosts has a supervisor");
        let start = |hosts: &[u8]| Order::Start { machine: Machine, nodes: nodes(hosts) };
        let mut clients = 0..0;
        let hired = supervision.groups.iter().map(|group| {
            clients = clients.end..clients.end + group.clients;
            clients.clone()
        });
        Self {
            slot,
            client: process(setup, slot, rules, &mut jitter, environment),
            clock,
            timer_at: u64::MAX,
            todo: supervision.groups.iter().map(|group| start(&group.hosts)).collect(),
            is_asking: false,
            requested: 0,
            hired: hired.collect(),
            jitter,
        }
    }

    /// Whether there is nothing more to ask for.
    pub(super) fn is_done(&self) -> bool {
        self.todo.is_empty()
    }

    /// Where it has asked, or is going to ask, that a group is moved to.
    pub(super) fn moves(&self, group: GroupId) -> impl Iterator<Item = Configuration> {
        self.todo.iter().filter_map(move |order| match order {
            Order::Move { group: moved, nodes } if *moved == group => Some(*nodes),
            _ => None,
        })
    }

    /// Where it has asked, or is going to ask, that groups are started.
    pub(super) fn starts(&self) -> impl Iterator<Item = Configuration> {
        self.todo.iter().filter_map(|order| match order {
            Order::Start { nodes, .. } => Some(*nodes),
            _ => None,
        })
    }

    /// How many groups it has asked, or is going to ask, to be stopped.
    pub(super) fn stops(&self) -> usize {
        self.todo.iter().filter(|order| matches!(order, Order::Stop { .. })).count()
    }

    /// Whether it would take on one order more.
    pub(super) fn has_time(&self) -> bool {
        self.todo.len() < WAITING_MAX
    }
}

fn nodes(hosts: &[u8]) -> Configuration {
    Configuration::of(hosts.iter().copied().map(ReplicaId)).expect("some hosts")
}

fn process<W: Workload, R: AllRules>(
    setup: &Setup,
    slot: u16,
    rules: R,
    jitter: &mut ChaCha8Rng,
    environment: &mut Environment<W>,
) -> Client<Order, R> {
    let life = environment.next_life(Node::Client(slot));
    let everywhere = environment.placement.members(0);
    Client::new(address_of(slot, life), everywhere, client_slot::options(setup), rules, jitter.random())
}

impl<W: Workload, R: AllRules> World<W, R> {
    /// The user has something more to do.
    pub(super) fn order(&mut self, deed: &Deed) {
        self.user.todo.push_back(match deed {
            Deed::Start { hosts } => Order::Start { machine: Machine, nodes: nodes(hosts) },
            Deed::Stop { group } => Order::Stop { group: GroupId(*group) },
            Deed::Move { group, hosts } => Order::Move { group: GroupId(*group), nodes: nodes(hosts) },
            Deed::Find { group } => Order::Where { group: GroupId(*group) },
        });
        self.user_goes_on();
    }

    /// Asks for a session, or for what is to be asked for next.
    pub(super) fn user_goes_on(&mut self) {
        let Self { user, environment, .. } = self;
        let (slot, address) = (user.slot, user.client.address());
        if user.client.is_waiting() {
            return;
        }
        let now = user.clock.read(environment.now);
        if user.client.id().is_none() {
            environment.tell(|| Effect::Registers { client: Node::Client(slot), group: 0 });
            environment.checks.first_mut().registers(slot, address);
            user.client.register(now, &mut UserPort { slot, environment });
        } else if let Some(order) = user.todo.front().cloned() {
            user.is_asking = true;
            environment.tell(|| Effect::Requests {
                client: Node::Client(slot),
                group: 0,
                number: user.requested + 1,
                operation: format!("{order:?}"),
                call: None,
            });
            if matches!(order, Order::Where { .. }) {
                environment.checks.first_mut().reads(slot, address);
                let port = &mut UserPort { slot, environment };
                let read = user.client.read(now, order, Consistency::Linearizable, port);
                assert_eq!(read, Ok(()), "a user who waits for nothing");
            } else {
                user.requested += 1;
                environment.checks.first_mut().requested(slot, address, user.requested, &order);
                let request = user.client.request(now, order, &mut UserPort { slot, environment });
                assert_eq!(request.map(|it| it.0), Ok(user.requested), "the proxy counts as the user does");
            }
        }
        self.schedule_timer(Node::Client(slot));
    }

    pub(super) fn user_hears(&mut self, reply: Reply<Answer>) {
        let Self { user, environment, .. } = self;
        let slot = user.slot;
        let now = user.clock.read(environment.now);
        self.acting = Some(Node::Client(slot));
        let event = user.client.on_reply(now, reply, &mut UserPort { slot, environment });
        self.acting = None;
        match event {
            None => {
                self.question_may_be_order();
                self.schedule_timer(Node::Client(slot));
            }
            Some(ClientEvent::Registered(_)) => self.user_goes_on(),
            Some(ClientEvent::Executed { number, op_number, response }) => {
                environment.checks.first_mut().answered(slot, number.0, op_number, &response);
                self.order_is_done(number.0, op_number, response);
            }
            Some(ClientEvent::Observed { op_number, response }) => {
                environment.checks.first_mut().read(slot, op_number, false);
                let number = user.requested + 1;
                self.order_is_done(number, op_number, response);
            }
            Some(ClientEvent::Evicted) => self.start_user_over(),
            Some(ClientEvent::Epoch { .. } | ClientEvent::Refused { .. }) => {
                unreachable!("the supervisor stays where it is")
            }
        }
    }

    fn order_is_done(&mut self, number: u64, op_number: OpNumber, answer: Answer) {
        let Self { user, environment, .. } = self;
        environment.tell(|| Effect::Answered {
            client: Node::Client(user.slot),
            group: 0,
            number,
            op_number: op_number.0,
            response: format!("{answer:?}"),
            call: None,
        });
        let order = user.todo.pop_front();
        user.is_asking = false;
        environment.digest = digest::mix(environment.digest, digest::of(&answer));
        if let (Some(Order::Start { nodes, .. }), Answer::Started(group)) = (order, answer) {
            self.group_is_there(group, EpochStart::first(nodes));
        }
        self.user_goes_on();
    }

    /// Those who wait for it go to work.
    fn group_is_there(&mut self, group: GroupId, start: EpochStart) {
        let idle =
            |(slot, client): (u16, &super::clients::Customer<W, R>)| client.group.is_none().then_some(slot);
        let mut slots: Vec<u16> = match self.user.hired.pop_front() {
            Some(hired) => hired.collect(),
            None => (0..).zip(&self.clients).filter_map(idle).collect(),
        };
        if slots.is_empty() {
            slots.extend(self.of_the_largest_group());
        }
        slots.into_iter().for_each(|slot| self.employ(slot, group, start));
    }

    /// A client of the group that has the most, if it has several.
    fn of_the_largest_group(&self) -> Option<u16> {
        let count = |group| self.clients.iter().filter(|client| client.group == group).count();
        let working = (0..).zip(&self.clients).filter(|(_, client): &(u16, _)| client.group.is_some());
        let (slot, client) = working.max_by_key(|(slot, client)| (count(client.group), *slot))?;
        (count(client.group) > 1).then_some(slot)
    }

    pub(super) fn fire_user(&mut self) {
        let Self { user, environment, .. } = self;
        let now = user.clock.read(environment.now);
        let slot = user.slot;
        user.client.on_timeout(now, &mut UserPort { slot, environment });
        self.question_may_be_order();
    }

    /// A question that nobody has answered may have become an order: then it is one to the checks as well.
    fn question_may_be_order(&mut self) {
        let Self { user, environment, .. } = self;
        let number = user.client.last_request().0;
        let Some(order) = user.todo.front().filter(|_| user.is_asking && number > user.requested) else {
            return;
        };
        user.requested = number;
        environment.marks.moment(Moment::ReadTurnedToLog);
        environment.checks.first_mut().requested(user.slot, user.client.address(), number, order);
    }

    /// Another process takes over, with all that is still to be done.
    fn start_user_over(&mut self) {
        let Self { user, environment, .. } = self;
        environment.marks.moment(Moment::ClientEvicted);
        user.client = process(&self.setup, user.slot, self.rules.clone(), &mut user.jitter, environment);
        (user.requested, user.is_asking) = (0, false);
        environment.tell(|| Effect::StartsOver { client: Node::Client(user.slot) });
        self.user_goes_on();
    }
}
