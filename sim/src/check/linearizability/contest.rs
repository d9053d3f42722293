//! Who searches what, for how long: partitions and explorations take turns.

use super::layout::Layout;
use super::search::{Allowance, Exploration, Ground, Progress, Strategy};
use super::{Budget, Call, Reach, Refusal, Verdict, stale};
use crate::workload::Model;

/// How a search is made. Only tests need another way than the [usual](Way::USUAL) one.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// The explorations that compete.
    pub(super) strategies: &'static [Strategy],
    /// How many operations may be open at once for the small kind of configuration.
    pub(super) narrow: u32,
}

impl Way {
    pub(super) const USUAL: Self =
        Self { strategies: &[Strategy::DepthFirst, Strategy::BreadthFirst], narrow: u64::BITS };
}

/// The first allowance of an exploration, in configurations per operation of its partition: enough
/// for a history that needs little backtracking to be done in one go.
const FIRST_ALLOWANCE: u64 = 4;

/// The competing explorations of one partition.
pub(super) struct Contest<'h, M: Model> {
    ground: Ground<'h, M>,
    /// Those that have not run out of memory.
    explorations: Vec<Competitor>,
    /// The last return that any exploration got to.
    furthest: u32,
}

/// An exploration, its configurations as small as the partition allows.
enum Competitor {
    Narrow(Exploration<u64>),
    Wide(Exploration<Vec<u64>>),
}

impl<'h, M: Model> Contest<'h, M> {
    pub(super) fn new(
        initial: &M,
        history: &'h [Call<M::Operation, M::Response>],
        partition: u64,
        members: &[u32],
        way: Way,
    ) -> Self {
        let mut ground = Ground::new(initial, Layout::new(partition, history, members));
        ground.impassable = stale::first_stale(initial, history, &ground.layout);
        let is_narrow = ground.layout.width() <= way.narrow;
        let explorations = way.strategies.iter().map(|&strategy| match is_narrow {
            true => Competitor::Narrow(Exploration::new(strategy, &mut ground)),
            false => Competitor::Wide(Exploration::new(strategy, &mut ground)),
        });
        let explorations = explorations.collect();
        Self { ground, explorations, furthest: 0 }
    }

    /// Gives each exploration an allowance per operation, as far as the budget goes. `others` is how many
    /// bytes other contests take.
    pub(super) fn take_turn(&mut self, allowance: u64, others: u64, budget: &mut Budget<'_>) -> Verdict {
        let operations = self.ground.layout.returns.len() as u64 + 1;
        let mut verdict = None;
        let mut index = 0;
        while verdict.is_none() && index < self.explorations.len() {
            let rivals = self.bytes() - self.explorations[index].bytes() - self.ground.bytes() as u64;
            let granted = allowance.saturating_mul(operations).min(budget.configurations);
            let mut allowance = Allowance {
                configurations: granted,
                bytes: budget.bytes.saturating_sub(others + rivals),
                interrupted: budget.interrupted,
            };
            let progress = self.explorations[index].advance(&mut self.ground, &mut allowance);
            budget.configurations -= granted - allowance.configurations;
            self.furthest = self.furthest.max(self.explorations[index].furthest());
            match progress {
                Progress::Explained => verdict = Some(Verdict::Linearizable),
                Progress::Refuted => verdict = Some(Verdict::NotLinearizable(self.refusal())),
                Progress::OutOfAllowance => index += 1,
                Progress::OutOfMemory => drop(self.explorations.remove(index)),
                Progress::Interrupted => verdict = Some(Verdict::Undecided(self.reach())),
            }
        }
        verdict.unwrap_or(Verdict::Undecided(self.reach()))
    }

    /// True unless all explorations have run out of memory.
    pub(super) fn goes_on(&self) -> bool {
        !self.explorations.is_empty()
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.explorations.iter().map(Competitor::bytes).sum::<u64>() + self.ground.bytes() as u64
    }

    fn refusal(&self) -> Refusal {
        let layout = &self.ground.layout;
        let stopped_by = layout.returns[self.furthest as usize].completed;
        Refusal {
            partition: layout.partition,
            placed: self.furthest as usize,
            operation: layout.completed[stopped_by as usize].index as usize,
        }
    }

    /// How far it got.
    pub(super) fn reach(&self) -> Reach {
        let layout = &self.ground.layout;
        Reach {
            partition: layout.partition,
            explained: self.furthest as usize,
            completed: layout.returns.len(),
        }
    }
}

impl Competitor {
    fn advance<M: Model>(&mut self, ground: &mut Ground<'_, M>, allowance: &mut Allowance<'_>) -> Progress {
        match self {
            Self::Narrow(exploration) => exploration.advance(ground, allowance),
            Self::Wide(exploration) => exploration.advance(ground, allowance),
        }
    }

    fn furthest(&self) -> u32 {
        match self {
            Self::Narrow(exploration) => exploration.furthest,
            Self::Wide(exploration) => exploration.furthest,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Narrow(exploration) => exploration.bytes() as u64,
            Self::Wide(exploration) => exploration.bytes() as u64,
        }
    }
}

/// Lets all partitions take turns until one is refuted, all are explained, or the budget is gone.
///
/// `partitions` gives each partition with its operations. One that its first turn decides is forgotten
/// before the next is laid out.
pub(super) fn contest_all<M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    partitions: impl IntoIterator<Item = (u64, Vec<u32>)>,
    way: Way,
    budget: &mut Budget<'_>,
) -> Verdict {
    let mut allowance = FIRST_ALLOWANCE;
    let mut undecided = Vec::new();
    let mut bytes = 0;
    for (partition, members) in partitions {
        let mut contest = Contest::new(initial, history, partition, &members, way);
        match contest.take_turn(allowance, bytes, budget) {
            Verdict::Linearizable => {}
            Verdict::Undecided(_) => {
                bytes += contest.bytes();
                undecided.push(contest);
            }
            refused @ Verdict::NotLinearizable(_) => return refused,
        }
    }
    let mut abandoned = None;
    while !undecided.is_empty() && budget.goes_on() {
        allowance = allowance.saturating_mul(2);
        let contests = std::mem::take(&mut undecided);
        let mut bytes: u64 = contests.iter().map(Contest::bytes).sum();
        for mut contest in contests {
            bytes -= contest.bytes();
            match contest.take_turn(allowance, bytes, budget) {
                Verdict::Linearizable => {}
                Verdict::Undecided(_) if contest.goes_on() => {
                    bytes += contest.bytes();
                    undecided.push(contest);
                }
                Verdict::Undecided(reach) => abandoned = abandoned.or(Some(reach)),
                refused @ Verdict::NotLinearizable(_) => return refused,
            }
        }
    }
    let undecided = undecided.first().map(Contest::reach);
    undecided.or(abandoned).map_or(Verdict::Linearizable, Verdict::Undecided)
}
