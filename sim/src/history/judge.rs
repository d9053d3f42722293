//! The verdict on a history.

use std::cell::Cell;

use super::explain::{self, Finding};
use super::format::{History, Unreadable};
use super::models::container::Container;
use super::models::key_value::Store;
use super::models::mutex::Locks;
use super::models::register::Registers;
use super::models::semaphore::Semaphore;
use super::models::set::Set;
use super::models::{Context, Datatype, ModelName, Priority};
use super::monitor::{Opinion, monitor};
use super::value::Atom;
use crate::check::linearizability::{self, Budget, Call, Verdict, witness};
use crate::workload::Model;

/// What a history is about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The data type.
    pub model: ModelName,
    /// What it starts as.
    pub init: Atom,
    /// Which value of a priority queue comes first.
    pub priority: Priority,
}

impl Subject {
    /// A data type that starts as it usually does.
    #[must_use]
    pub fn new(model: ModelName) -> Self {
        Self { model, init: model.default_init(), priority: Priority::default() }
    }
}

/// What a judgement may cost.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// About how many bytes the search may take, besides the history.
    pub bytes: u64,
    /// Asked now and then whether to stop.
    pub interrupted: &'a dyn Fn() -> bool,
    /// Asked now and then, from when the verdict is known to be a no, whether to stop explaining it.
    pub explained: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for Limits<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Limits").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Limits<'_> {
    /// A gibibyte, and no interruption.
    pub const NONE: Self = Self { bytes: Budget::BYTES, interrupted: &|| false, explained: &|| false };

    /// What an explanation may cost.
    fn of_explanation(self) -> Self {
        Self { interrupted: self.explained, ..self }
    }

    pub(super) fn budget(&self, configurations: u64) -> Budget<'_> {
        Budget { configurations, bytes: self.bytes, interrupted: Some(self.interrupted) }
    }
}

/// What is known of a history.
#[derive(Clone, Debug)]
pub enum Judgement {
    /// Some order explains every answer. The order, if it was asked for and could be had: indices into the
    /// entries.
    Linearizable(Option<Vec<usize>>),
    /// No order does.
    NotLinearizable(Box<Finding>),
    /// The time or the memory ran out before either was certain: how far the search got.
    GaveUp {
        /// What is undecided, if it has a name: a key, a value.
        partition: Option<String>,
        /// Up to so many returns can be explained.
        explained: usize,
        /// So many there are.
        completed: usize,
    },
}

/// Judges a history.
///
/// # Errors
/// [`Unreadable`] if the initial value or an operation is not one of this data type.
pub fn check(
    history: &mut History,
    subject: &Subject,
    wants_order: bool,
    limits: Limits<'_>,
) -> Result<Judgement, Unreadable> {
    history.names.intern_all(&Atom::Text(String::new()));
    history.names.intern_all(&subject.init);
    let context = Context::new(history, subject.model, subject.priority);
    match subject.model {
        ModelName::Register => check_as::<Registers>(&context, subject, wants_order, limits),
        ModelName::Kv => check_as::<Store>(&context, subject, wants_order, limits),
        ModelName::Queue | ModelName::Stack | ModelName::Deque | ModelName::Pqueue => {
            check_as::<Container>(&context, subject, wants_order, limits)
        }
        ModelName::Set => check_as::<Set>(&context, subject, wants_order, limits),
        ModelName::Mutex => check_as::<Locks>(&context, subject, wants_order, limits),
        ModelName::Semaphore => check_as::<Semaphore>(&context, subject, wants_order, limits),
    }
}

fn check_as<D: Datatype>(
    context: &Context<'_>,
    subject: &Subject,
    wants_order: bool,
    limits: Limits<'_>,
) -> Result<Judgement, Unreadable> {
    let nowhere = |problem| Unreadable { line: 0, column: 0, member: "", problem };
    let initial =
        D::start(context, &subject.init).map_err(|problem| nowhere(format!("--init: {problem}")))?;
    let calls = calls::<D>(context)?;
    Ok(judge(context, &initial, &calls, wants_order, limits))
}

/// The entries of a history as calls of a model, in their order.
fn calls<D: Datatype>(context: &Context<'_>) -> Result<OwnedCalls<D>, Unreadable> {
    let entries = &context.history.entries;
    let call = |entry| {
        let entry: &super::Entry = entry;
        let (operation, response) = D::call(context, entry).map_err(|(member, problem)| Unreadable {
            line: entry.line,
            column: 0,
            member,
            problem,
        })?;
        let returned = entry.returned.map(|returned| (returned, response));
        Ok(Call { client: 0, operation, called: entry.called, returned })
    };
    entries.iter().map(call).collect()
}

/// The calls of a history of `D`, with whoever owns them.
pub(super) type OwnedCalls<D> = Vec<Call<<D as Model>::Operation, <D as Model>::Response>>;

/// The calls of a history of `D`.
pub(super) type Calls<D> = [Call<<D as Model>::Operation, <D as Model>::Response>];

fn judge<D: Datatype>(
    context: &Context<'_>,
    initial: &D,
    calls: &Calls<D>,
    wants_order: bool,
    limits: Limits<'_>,
) -> Judgement {
    if let Some(order) = context.history.order()
        && witness::check_order(initial, calls, &order).is_ok()
    {
        return Judgement::Linearizable(Some(order));
    }
    if let Some((container, container_calls)) = initial.as_container(calls) {
        match monitor(container, container_calls, limits) {
            Opinion::Linearizable(order) => return Judgement::Linearizable(Some(order)),
            Opinion::NotLinearizable(core) => {
                return Judgement::NotLinearizable(Box::new(explain::by_core(
                    context,
                    initial,
                    calls,
                    &core,
                    limits.of_explanation(),
                )));
            }
            Opinion::Unknown => {}
        }
    }
    match linearizability::judge(initial, calls, None, limits.budget(u64::MAX)) {
        Verdict::Linearizable => {
            let order = || linearizability::linearize(initial, calls, limits.budget(ORDER_BUDGET));
            Judgement::Linearizable(wants_order.then(order).flatten())
        }
        Verdict::NotLinearizable(refusal) => Judgement::NotLinearizable(Box::new(explain::by_refusal(
            context,
            initial,
            calls,
            &refusal,
            limits.of_explanation(),
        ))),
        Verdict::Undecided(reach) => Judgement::GaveUp {
            partition: D::say_partition(context, reach.partition),
            explained: reach.explained,
            completed: reach.completed,
        },
    }
}

/// How many configurations a search may visit that only makes a verdict easier to understand.
pub(super) const ORDER_BUDGET: u64 = 300_000;

/// Whether some order explains these calls, if that is easily said.
pub(super) fn is_explained<D: Datatype>(
    initial: &D,
    calls: &Calls<D>,
    configurations: u64,
    limits: Limits<'_>,
) -> Option<bool> {
    if let Some((container, container_calls)) = initial.as_container(calls) {
        match monitor(container, container_calls, limits) {
            Opinion::Linearizable(_) => return Some(true),
            Opinion::NotLinearizable(_) => return Some(false),
            Opinion::Unknown => {}
        }
    }
    match linearizability::judge(initial, calls, None, limits.budget(configurations)) {
        Verdict::Linearizable => Some(true),
        Verdict::NotLinearizable(_) => Some(false),
        Verdict::Undecided(_) => None,
    }
}

/// Runs out, and then says no: for work that must not go on for ever whatever the clock says.
#[derive(Debug)]
pub(super) struct Patience(Cell<u64>);

impl Patience {
    pub(super) const fn new(work: u64) -> Self {
        Self(Cell::new(work))
    }

    /// True if there is enough left for this, which is then gone.
    pub(super) fn lasts(&self, work: u64) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(work));
        left > work
    }

    /// True once there was not enough left.
    pub(super) fn is_gone(&self) -> bool {
        self.0.get() == 0
    }
}
