//! What is shrunk: a setup and the decisions of a run by time and place, and the ways to change them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use vr::ReplicaId;

use crate::client_slot::Way;
use crate::decisions::{Done, Healed};
use crate::faults::Action;
use crate::groups::Placement;
use crate::network::Fate;
use crate::node::Node;
use crate::setup::Setup;
use crate::timeline::{Asked, Befallen, Timeline};

/// A run to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) setup: Setup,
    pub(super) timeline: Timeline<Value>,
}

/// Lists of decisions from which pieces can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Actions,
    Requests,
    Fates,
    /// All of them, in order of time.
    All,
}

impl Case {
    /// How many decisions of a family there are.
    pub(super) fn len(&self, family: Family) -> usize {
        let Timeline { actions, requests, fates, .. } = &self.timeline;
        match family {
            Family::Actions => actions.len(),
            Family::Requests => requests.len(),
            Family::Fates => fates.len(),
            Family::All => actions.len() + requests.len() + fates.len(),
        }
    }

    /// Every decision's time and place in its family, in order of time.
    pub(super) fn places(&self) -> Vec<(u64, Family, usize)> {
        let Timeline { actions, requests, fates, .. } = &self.timeline;
        let actions = actions.iter().enumerate().map(|(index, done)| (done.at, Family::Actions, index));
        let requests = requests.iter().enumerate().map(|(index, asked)| (asked.at, Family::Requests, index));
        let fates = fates.iter().enumerate().map(|(index, fate)| (fate.at, Family::Fates, index));
        let mut places: Vec<_> = actions.chain(requests).chain(fates).collect();
        places.sort_unstable();
        places
    }

    /// The same without some decisions of a family.
    pub(super) fn without(&self, family: Family, range: Range<usize>) -> Self {
        let mut case = self.clone();
        let Timeline { actions, requests, fates, .. } = &mut case.timeline;
        match family {
            Family::Actions => drop(actions.drain(range)),
            Family::Requests => drop(requests.drain(range)),
            Family::Fates => drop(fates.drain(range)),
            Family::All => {
                let out: Vec<_> =
                    self.places()[range].iter().map(|&(_, family, index)| (family, index)).collect();
                case = self.without_these(&out.into_iter().collect());
            }
        }
        case
    }

    /// The same without these decisions.
    pub(super) fn without_these(&self, out: &BTreeSet<(Family, usize)>) -> Self {
        fn keep<T>(list: &mut Vec<T>, family: Family, out: &BTreeSet<(Family, usize)>) {
            let mut index = 0..;
            list.retain(|_| index.next().is_some_and(|index| !out.contains(&(family, index))));
        }
        let mut case = self.clone();
        keep(&mut case.timeline.actions, Family::Actions, out);
        keep(&mut case.timeline.requests, Family::Requests, out);
        keep(&mut case.timeline.fates, Family::Fates, out);
        case
    }

    // ---- Nodes -----------------------------------------------------------------------------------

    /// The same with some of several groups only, and with their clients. The others move up; one that is left alone is
    /// on all hosts.
    pub(super) fn with_groups(&self, kept: &[usize]) -> Self {
        let placement = Placement::new(&self.setup);
        let mut case = self.of_those(|node| match node {
            Node::Replica(id) => kept.contains(&placement.group_of(id)),
            Node::Client(slot) => kept.contains(&placement.group_of_client(slot)),
        });
        let setup = &mut case.setup;
        setup.groups = kept.iter().map(|&group| self.setup.groups[group].clone()).collect();
        setup.clients = setup.groups.iter().map(|group| group.clients).sum();
        if let [only] = &setup.groups[..] {
            setup.replicas = only.hosts.len() as u8;
            setup.groups.clear();
        }
        case
    }

    /// The same without a host of several groups, unless one of them is nowhere else.
    pub(super) fn without_host(&self, out: u8) -> Option<Self> {
        let placement = Placement::new(&self.setup);
        let mut case = self.of_those(|node| match node {
            Node::Replica(id) => placement.host_of(id) != out,
            Node::Client(_) => true,
        });
        for group in &mut case.setup.groups {
            group.hosts.retain(|&host| host != out);
            group.hosts.iter_mut().for_each(|host| *host -= u8::from(*host > out));
        }
        case.setup.replicas -= 1;
        case.setup.groups.iter().all(|group| !group.hosts.is_empty()).then_some(case)
    }

    /// The same of some nodes only: they move up.
    fn of_those(&self, stays: impl Fn(Node) -> bool) -> Self {
        self.renamed(|node| {
            let is_replica = |id: u8| stays(Node::Replica(ReplicaId(id)));
            stays(node).then(|| match node {
                Node::Replica(ReplicaId(id)) => {
                    Node::Replica(ReplicaId((0..id).filter(|&id| is_replica(id)).count() as u8))
                }
                Node::Client(slot) => {
                    Node::Client((0..slot).filter(|&slot| stays(Node::Client(slot))).count() as u16)
                }
            })
        })
    }

    /// The same without some replicas: the others move up.
    pub(super) fn without_replicas(&self, out: &[u8]) -> Self {
        let rename = |node| match node {
            Node::Replica(ReplicaId(id)) if out.contains(&id) => None,
            Node::Replica(ReplicaId(id)) => {
                let below = out.iter().filter(|&&gone| gone < id).count() as u8;
                Some(Node::Replica(ReplicaId(id - below)))
            }
            Node::Client(_) => Some(node),
        };
        let mut case = self.renamed(rename);
        case.setup.replicas -= out.len() as u8;
        case
    }

    /// The same with every replica's number less by `by`, in a circle: whoever had that number is now the
    /// first.
    pub(super) fn rotated(&self, by: u8) -> Self {
        let size = self.setup.replicas;
        if by == 0 {
            return self.clone();
        }
        self.renamed(|node| match node {
            Node::Replica(ReplicaId(id)) => Some(Node::Replica(ReplicaId((id + size - by) % size))),
            Node::Client(_) => Some(node),
        })
    }

    /// By how much the numbers of the replicas can be turned. Where there are spares, they say who begins; where there
    /// are witnesses, who is one; and where there are several groups, or a supervisor, where each is.
    pub(super) fn rotations(&self) -> std::ops::Range<u8> {
        let Setup { spares, witnesses, groups, replicas, supervision, .. } = &self.setup;
        let are_alike = *spares == 0 && *witnesses == 0 && groups.is_empty() && supervision.is_none();
        0..if are_alike { *replicas } else { 1 }
    }

    /// The same without a client: the others move up.
    pub(super) fn without_client(&self, out: u16) -> Self {
        let mut case = self.renamed(|node| match node {
            Node::Client(slot) if slot == out => None,
            Node::Client(slot) => Some(Node::Client(slot - u16::from(slot > out))),
            Node::Replica(_) => Some(node),
        });
        case.setup.clients -= 1;
        if !self.setup.groups.is_empty() {
            case.setup.groups[Placement::new(&self.setup).group_of_client(out)].clients -= 1;
        }
        if let Some(supervision) = &mut case.setup.supervision {
            supervision.dismiss(out);
        }
        case
    }

    fn renamed(&self, rename: impl Fn(Node) -> Option<Node>) -> Self {
        let replica = |id: u8| match rename(Node::Replica(ReplicaId(id))) {
            Some(Node::Replica(ReplicaId(id))) => Some(id),
            _ => None,
        };
        // What is done to a host is named by a replica on it: by another one, if that one is gone.
        let placement = Placement::new(&self.setup);
        let on_host =
            |id: u8| replica(id).or_else(|| placement.beside(ReplicaId(id)).find_map(|id| replica(id.0)));
        let host = |node: Node| match node {
            Node::Replica(ReplicaId(id)) => on_host(id).map(|id| Node::Replica(ReplicaId(id))),
            Node::Client(_) => rename(node),
        };
        let client = |slot: u16| match rename(Node::Client(slot)) {
            Some(Node::Client(slot)) => Some(slot),
            _ => None,
        };
        let links = |links: &[(Node, Node)]| -> Option<Arc<[_]>> {
            let links: Vec<_> =
                links.iter().filter_map(|&(from, to)| Some((rename(from)?, rename(to)?))).collect();
            (!links.is_empty()).then(|| links.into())
        };
        let action = |action: &Action| {
            let mut action = action.clone();
            match &mut action {
                Action::Cut { links: cut, .. }
                | Action::Clog { links: cut, .. }
                | Action::Sever { links: cut }
                | Action::Mend { links: cut } => *cut = links(cut)?,
                Action::Crash { replica: id, .. }
                | Action::Kill { replica: id }
                | Action::Restart { replica: id }
                | Action::WarmUp { replica: id } => *id = on_host(*id)?,
                Action::Reconfigure { members, witnesses } => {
                    *members = members.iter().filter_map(|&id| replica(id)).collect();
                    *witnesses = witnesses.iter().filter_map(|&id| replica(id)).collect();
                }
                Action::Pause { node, .. }
                | Action::SetRate { node, .. }
                | Action::FireEarly { node }
                | Action::FireLate { node, .. }
                | Action::Halt { node }
                | Action::Resume { node } => {
                    *node = host(*node)?;
                }
                Action::CrashClient { slot } => *slot = client(*slot)?,
                Action::Ask(_) => {}
            }
            Some(action)
        };
        let done = |done: &Done| {
            let when_sent = match done.when_sent {
                None => None,
                Some(mut identity) => {
                    (identity.from, identity.to) = (rename(identity.from)?, rename(identity.to)?);
                    Some(identity)
                }
            };
            Some(Done { at: done.at, when_sent, action: action(&done.action)? })
        };
        let way = |way: Way| match way {
            Way::Causal { from } => Some(Way::Causal { from: replica(from)? }),
            Way::Log | Way::Fast => Some(way),
        };
        let asked = |asked: &Asked<Value>| {
            let way = asked.way.and_then(way);
            Some(Asked { slot: client(asked.slot)?, way, ..asked.clone() })
        };
        let befallen = |befallen: &Befallen| {
            let (from, to) = (rename(befallen.from)?, rename(befallen.to)?);
            Some(Befallen { from, to, ..*befallen })
        };
        let healed = |healed: &Healed| {
            let mut core: Vec<_> = healed.core.iter().filter_map(|&id| replica(id)).collect();
            core.sort_unstable();
            let ends = |&(from, to): &(Node, Node)| Some((rename(from)?, rename(to)?));
            Healed { at: healed.at, core, cut: healed.cut.iter().filter_map(ends).collect() }
        };
        let Timeline { actions, requests, fates, healed: end } = &self.timeline;
        let timeline = Timeline {
            actions: actions.iter().filter_map(done).collect(),
            requests: requests.iter().filter_map(asked).collect(),
            fates: fates.iter().filter_map(befallen).collect(),
            healed: end.as_ref().map(healed),
        };
        Self { setup: self.setup.clone(), timeline }
    }

    /// The same with every message as quick as the average.
    pub(super) fn with_steady_delays(&self) -> Self {
        let mut case = self.clone();
        let network = &mut case.setup.network;
        (network.delay_min_us, network.delay_mean_us) = (network.delay_min_us + network.delay_mean_us, 0);
        case
    }

    // ---- Time ------------------------------------------------------------------------------------

    /// The times of all decisions.
    pub(super) fn times_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let Timeline { actions, requests, fates, healed } = &mut self.timeline;
        let actions = actions.iter_mut().map(|done| &mut done.at);
        let requests = requests.iter_mut().map(|asked| &mut asked.at);
        let fates = fates.iter_mut().map(|befallen| &mut befallen.at);
        actions.chain(requests).chain(fates).chain(healed.iter_mut().map(|healed| &mut healed.at))
    }

    /// The time at which each decision takes effect, and the stretch for which it lasts.
    pub(super) fn stretches_mut(&mut self) -> impl Iterator<Item = (u64, &mut u64)> {
        let Timeline { actions, fates, .. } = &mut self.timeline;
        let actions = actions.iter_mut().filter_map(|done| Some((done.at, lasts_mut(&mut done.action)?)));
        let fates =
            fates.iter_mut().filter_map(|befallen| Some((befallen.at, delay_mut(&mut befallen.fate)?)));
        actions.chain(fates)
    }

    /// The times at which there are decisions, each once, in order.
    pub(super) fn moments(&self) -> Vec<u64> {
        let mut case = self.clone();
        let moments: BTreeSet<u64> = case.times_mut().map(|at| *at).collect();
        moments.into_iter().collect()
    }

    /// The same with everything from `from` on earlier by `by`. What is under way at that time also ends
    /// earlier if `shorten` is set.
    pub(super) fn earlier(&self, from: u64, by: u64, shorten: bool) -> Self {
        let mut case = self.clone();
        if shorten {
            for (at, lasts) in case.stretches_mut() {
                if at < from && at + *lasts >= from {
                    *lasts = lasts.saturating_sub(by).max(1);
                }
            }
        }
        case.times_mut().filter(|at| **at >= from).for_each(|at| *at -= by);
        case.in_order()
    }

    /// Only what happens from `from` on, `lead` after the beginning; what is under way at that time
    /// happens then.
    pub(super) fn since(&self, from: u64, lead: u64) -> Self {
        let mut case = self.clone();
        let Timeline { actions, requests, fates, .. } = &mut case.timeline;
        actions.retain_mut(|done| {
            let lasts = lasts_mut(&mut done.action);
            if done.at < from
                && let Some(lasts) = lasts
                && done.at + *lasts > from
            {
                *lasts -= from - done.at;
                done.at = from;
            }
            done.at >= from
        });
        requests.retain(|asked| asked.at >= from);
        fates.retain(|befallen| befallen.at >= from);
        case.times_mut().for_each(|at| *at = at.saturating_sub(from) + lead);
        case.in_order()
    }

    /// The same, with each family in order of time.
    pub(super) fn in_order(mut self) -> Self {
        let Timeline { actions, requests, fates, .. } = &mut self.timeline;
        actions.sort_by_key(|done| done.at);
        requests.sort_by_key(|asked| asked.at);
        fates.sort_by_key(|befallen| befallen.at);
        self
    }
}

/// For how long an action lasts, if it does.
pub(super) fn lasts_mut(action: &mut Action) -> Option<&mut u64> {
    match action {
        Action::Cut { lasts, .. }
        | Action::Clog { lasts, .. }
        | Action::Pause { lasts, .. }
        | Action::FireLate { lasts, .. }
        | Action::Crash { restart_after: lasts, .. } => Some(lasts),
        Action::FireEarly { .. }
        | Action::SetRate { .. }
        | Action::CrashClient { .. }
        | Action::Sever { .. }
        | Action::Mend { .. }
        | Action::Kill { .. }
        | Action::Restart { .. }
        | Action::Halt { .. }
        | Action::Resume { .. }
        | Action::Reconfigure { .. }
        | Action::WarmUp { .. }
        | Action::Ask(_) => None,
    }
}

/// For how long a message is on its way, if a fate says so.
pub(super) fn delay_mut(fate: &mut Fate) -> Option<&mut u64> {
    match fate {
        Fate::Lost | Fate::Outlasting(_) => None,
        Fate::Late(delay) | Fate::Held(delay) | Fate::Twice(delay) => Some(delay),
    }
}
