//! A run told in the protocol's words: numbered sentences, one for each step that matters.
//!
//! "3. r2 times out in view 1, sends StartViewChange(2) to r1; to r3: held for 300 ms."

mod phrases;

use crate::check::{Property, Violation};
use crate::chronicle::{Cause, Chronicle, Did, Effect, Step};
use crate::node::Node;

/// A story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// The sentences, in order.
    pub sentences: Vec<Sentence>,
    /// How many steps are left out, since they can have had no part in the end.
    pub unrelated: usize,
    /// How many are left out, since nothing came of them.
    pub idle: usize,
}

/// A sentence: what happened in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Its number, from 1.
    pub number: usize,
    /// The step.
    pub step: u64,
    /// The virtual time, in nanoseconds.
    pub time: u64,
    /// What happened, without a full stop.
    pub text: String,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What can have had a part in the violation, if there is one, and what was done to the system.
    Relevant,
    /// Everything of which something came.
    Eventful,
}

/// Tells a run.
#[must_use]
pub fn tell(chronicle: &Chronicle, violation: Option<&Violation>, scope: Scope) -> Story {
    let past = match (scope, violation) {
        (Scope::Relevant, Some(violation)) => relevant(chronicle, violation),
        _ => vec![true; chronicle.steps.len()],
    };
    let mut story = Story { sentences: Vec::new(), unrelated: 0, idle: 0 };
    let mut numbers = vec![0; chronicle.steps.len()];
    let last = chronicle.steps.len() - 1;
    for (index, step) in chronicle.steps.iter().enumerate() {
        if !past.get(index).copied().unwrap_or(false) && !is_done_from_outside(step) {
            let left_out = if is_idle(chronicle, step) { &mut story.idle } else { &mut story.unrelated };
            *left_out += 1;
            continue;
        }
        if is_idle(chronicle, step) && index != last {
            story.idle += 1;
            continue;
        }
        let number = story.sentences.len() + 1;
        numbers[index] = number;
        let text = phrases::sentence(chronicle, step, &numbers);
        story.sentences.push(Sentence { number, step: step.step, time: step.time, text });
    }
    story
}

/// The sentence for one step, as it would stand in a story of everything.
#[must_use]
pub fn sentence(chronicle: &Chronicle, step: u64) -> Option<String> {
    let found = chronicle.steps.iter().find(|candidate| candidate.step == step)?;
    Some(phrases::sentence(chronicle, found, &vec![0; chronicle.steps.len()]))
}

/// The same for somebody who sees nothing but this step: it also says what became of each message that was
/// sent, where one that arrived comes from, and what the replica on which a fault acts was.
#[must_use]
pub fn sentence_with_fates(chronicle: &Chronicle, step: u64) -> Option<String> {
    let found = chronicle.steps.iter().find(|candidate| candidate.step == step)?;
    Some(phrases::sentence_with_fates(chronicle, found))
}

/// What can have had a part in a violation. One of liveness, or of the clients' history, is about all.
fn relevant(chronicle: &Chronicle, violation: &Violation) -> Vec<bool> {
    let is_about_all = violation.property.is_about_everybody() || violation.property == Property::S14;
    let last = chronicle.steps.len() - 1;
    if is_about_all {
        return vec![true; last + 1];
    }
    chronicle.causal_past(last, &nodes_of(chronicle, &chronicle.steps[last], violation))
}

/// Those whom a violation is about: who acted last, and who its witness names.
fn nodes_of(chronicle: &Chronicle, step: &Step, violation: &Violation) -> Vec<Node> {
    let words = violation.witness.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mut nodes: Vec<Node> = words.filter_map(|word| word.parse().ok()).collect();
    nodes.extend(step.touches(chronicle));
    nodes
}

fn is_done_from_outside(step: &Step) -> bool {
    step.effects.iter().any(|effect| {
        matches!(effect, Effect::Fault(_) | Effect::Told(_) | Effect::Healed(_) | Effect::StaysCut(_))
    })
}

/// Nothing came of the step: nobody is another than before, and nobody hears more than that somebody is
/// alive.
fn is_idle(chronicle: &Chronicle, step: &Step) -> bool {
    let is_heartbeat = |message: u32| {
        let message = &chronicle.messages[message as usize];
        message.identity.kind.is_heartbeat() && message.fate.is_none()
    };
    let is_news = |effect: &Effect| !matches!(effect, Effect::Did(_, Did::Took { .. } | Did::Ignored { .. }));
    let quiet = !step.effects.iter().any(is_news) && step.sent.clone().all(is_heartbeat);
    quiet
        && match step.cause {
            // A message that was late, and then ignored, is a part of the story.
            Cause::Arrival(message) => chronicle.messages[message as usize].fate.is_none(),
            Cause::Restart(_) => false,
            _ => true,
        }
}

#[cfg(test)]
mod tests;
