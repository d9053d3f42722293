use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::chronicle::Sent;
use crate::faults::Action;
use crate::packet::Kind;
use crate::registry::{AnyManner, run_any};
use crate::replay::replay;
use crate::run::Verdict;
use crate::scenario::{Overrides, Scenario};
use crate::trace::Trace;

/// The chronicle of a kept trace, and its violation.
fn told(name: &str, scope: Scope) -> (Story, Chronicle) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces").join(name);
    let trace = Trace::read(&path).expect("a kept trace");
    let replayed = replay(&trace, true).expect("it can be replayed");
    let chronicle = *replayed.chronicle.expect("it was asked for");
    let violation = match &replayed.report.verdict {
        Verdict::Violated(violation) => Some(violation.clone()),
        _ => None,
    };
    (tell(&chronicle, violation.as_ref(), scope), chronicle)
}

fn has(story: &Story, words: &[&str]) -> bool {
    story.sentences.iter().any(|sentence| words.iter().all(|word| sentence.text.contains(word)))
}

#[test]
fn a_view_change_is_told_in_the_protocols_words() {
    let (story, _) = told("published-state-transfer.trace.jsonl", Scope::Relevant);
    assert!(has(&story, &["times out in view 0", "sends StartViewChange(1)"]), "{story:#?}");
    assert!(has(
        &story,
        &["receives DoViewChange(1; last normal in view 0", "starts view 1 on the votes of"]
    ));
    assert!(has(&story, &["a partition", "for"]));
    assert!(has(&story, &["cut off"]), "what befell messages is told where they are sent");
}

/// For each message that a step sends, to whom, and what became of it; for one that arrives, whence.
#[test]
fn a_sentence_by_itself_says_what_became_of_each_message() {
    let (_, chronicle) = told("published-state-transfer.trace.jsonl", Scope::Relevant);
    let alone = |step: &Step| sentence_with_fates(&chronicle, step.step).expect("a step");
    let fates = |step: &Step| {
        let sent = step.sent.clone().map(|message| &chronicle.messages[message as usize]);
        sent.map(|message| (message.identity.to, message.dropped, message.arrived.clone()))
            .collect::<Vec<_>>()
    };
    let (mut dropped, mut delivered) = (0, 0);
    for step in &chronicle.steps {
        for (to, why, arrived) in fates(step) {
            let told = match (why, arrived.first()) {
                (Some(crate::network::Dropped::Cut), _) => format!("to {to} (cut off)"),
                (None, Some(step)) => format!("delivered in #{step}"),
                _ => continue,
            };
            assert!(alone(step).contains(&told), "expected {told} in {}", alone(step));
            *(if why.is_some() { &mut dropped } else { &mut delivered }) += 1;
        }
        if let Cause::Arrival(message) = step.cause {
            let sent = chronicle.messages[message as usize].step;
            assert!(alone(step).contains(&format!("sent in #{sent}")), "{}", alone(step));
        }
    }
    assert!(dropped > 0 && delivered > 0, "{dropped} cut off, {delivered} delivered");
}

/// What a client asks for next, and when, is drawn when it has its answer: an event that can be decisive.
#[test]
fn an_answer_by_itself_says_what_the_client_does_next() {
    let (_, chronicle) = told("new-state-of-another-view.trace.jsonl", Scope::Relevant);
    let mut decided = 0;
    for (place, step) in chronicle.steps.iter().enumerate() {
        let answer = step.effects.iter().find_map(|effect| match effect {
            Effect::Answered { client, number, .. } => Some((*client, *number)),
            _ => None,
        });
        let Some((node, answered)) = answer else { continue };
        let text = sentence_with_fates(&chronicle, step.step).expect("a step");
        let Some((_, made)) = text.split_once(", and decides on its next request (made in #") else {
            continue;
        };
        let made: u64 = made.strip_suffix(')').and_then(|made| made.parse().ok()).expect("a step");
        let is_request = |effect: &Effect| matches!(effect, Effect::Requests { client, number, .. } if *client == node && *number == answered + 1);
        let next = chronicle.steps[place + 1..].iter().find(|step| step.effects.iter().any(is_request));
        assert_eq!(next.map(|step| step.step), Some(made), "{text}");
        decided += 1;
    }
    assert!(decided > 0);
}

#[test]
fn crashes_are_told_after_the_message_at_which_they_come() {
    let scenario = Scenario::find("primary-hunt").expect("built in");
    let manner = AnyManner { chronicle: true, ..AnyManner::default() };
    let told = |seed: u64| {
        let setup = Arc::new(scenario.resolve(seed, &Overrides::default()));
        let ran = run_any(&setup, None, &manner, &mut |_| {}).expect("a known workload");
        tell(&ran.chronicle.expect("it was asked for"), None, Scope::Eventful)
    };
    let is_after_vote = |sentence: &&Sentence| sentence.text.contains("crashes (after-do-view-change)");
    let has_one = |story: &Story| story.sentences.iter().any(|sentence| is_after_vote(&sentence));
    let story = (0..200).map(told).find(has_one).expect("a crash after a DoViewChange");
    let crash = story.sentences.iter().find(is_after_vote).expect("one crash");
    let sends = crash.text.find("sends DoViewChange").expect("a crash after a DoViewChange");
    assert!(sends < crash.text.find("crashes").unwrap(), "{}", crash.text);
    assert!(has(&story, &["starts again without its memory", "sends Recovery"]));
}

#[test]
fn a_message_to_somebody_who_stands_still_is_told_to_wait() {
    let scenario = Scenario::find("swarm").expect("built in");
    let manner = AnyManner { chronicle: true, ..AnyManner::default() };
    let waits = |seed: u64| {
        let setup = Arc::new(scenario.resolve(seed, &Overrides::default()));
        let ran = run_any(&setup, None, &manner, &mut |_| {}).expect("a known workload");
        let chronicle = *ran.chronicle.expect("it was asked for");
        let is_plain =
            |message: &&Sent| message.waited && message.fate.is_none() && !message.arrived.is_empty();
        let sent = chronicle.messages.iter().filter(is_plain).find(|message| {
            let Node::Replica(_) = message.identity.to else { return false };
            message.identity.kind == Kind::GetState
        });
        sent.cloned().map(|message| (message, chronicle))
    };
    let (message, chronicle) = (0..50).find_map(waits).expect("a pause while somebody asks for state");
    let story = tell(&chronicle, None, Scope::Eventful);
    let at = |step: u64| {
        let place = story.sentences.binary_search_by_key(&step, |sentence| sentence.step);
        &story.sentences[place.expect("a step that is told")]
    };
    let (sent, arrived) = (at(message.step), at(message.arrived[0]));
    let to = message.identity.to;
    assert!(sent.text.contains(&format!("to {to}: waits, as {to} stands still")), "{}", sent.text);
    assert!(arrived.text.contains(&format!("(sent in {})", sent.number)), "{}", arrived.text);
    assert!(chronicle.steps.iter().any(|step| {
        step.step < message.arrived[0] && step.effects.iter().any(|effect| stands_still(effect, to))
    }));
}

fn stands_still(effect: &Effect, node: Node) -> bool {
    matches!(effect, Effect::Fault(Action::Pause { node: paused, .. }) if *paused == node)
}

#[test]
fn sentences_are_numbered_and_nothing_is_left_out_silently() {
    for name in ["published-recovery.trace.jsonl", "new-state-of-another-view.trace.jsonl"] {
        for scope in [Scope::Relevant, Scope::Eventful] {
            let (story, chronicle) = told(name, scope);
            let numbers: Vec<_> = story.sentences.iter().map(|sentence| sentence.number).collect();
            assert!(numbers.iter().copied().eq(1..=numbers.len()));
            assert!(story.sentences.is_sorted_by_key(|sentence| sentence.step));
            assert_eq!(numbers.len() + story.idle + story.unrelated, chronicle.steps.len());
        }
    }
}

#[test]
fn the_causal_past_holds_whatever_reached_a_node() {
    let (_, chronicle) = told("published-recovery.trace.jsonl", Scope::Relevant);
    let last = chronicle.steps.len() - 1;
    let everybody = (0..3).map(|id| Node::Replica(vr::ReplicaId(id))).collect::<Vec<_>>();
    let past = chronicle.causal_past(last, &everybody[..1]);
    // Every message that arrived in the past was sent in it.
    for (step, _) in chronicle.steps.iter().zip(&past).filter(|(_, is_past)| **is_past) {
        if let Cause::Arrival(message) = step.cause {
            let sent = chronicle.messages[message as usize].step;
            let index = chronicle.steps.iter().position(|step| step.step == sent).unwrap();
            assert!(past[index], "message {message}");
        }
    }
    let more = chronicle.causal_past(last, &everybody);
    assert!(past.iter().zip(&more).all(|(one, all)| *all || !*one), "more nodes have a larger past");
    assert!(past.iter().filter(|is_past| **is_past).count() < more.len());
}
