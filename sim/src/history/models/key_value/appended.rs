//! A key to which every piece is appended once, seen as a register.
//!
//! A value that was seen tells which pieces were appended to it, and in which order, if it is made of them in
//! one way only. If besides no piece was appended twice, it is known of every piece that somebody saw what it
//! was appended to: anything else would never have led to the value that was seen. So such an append is a
//! compare-and-swap from the one value to the other. A piece that nobody saw was appended to what
//! nobody was to see any more before it was overwritten: it might as well have been a blind write of a value
//! that nobody sees. So such histories are linearizable exactly if those of the register are.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Content, Operation, Response, What};
use crate::workload::RegisterOperation;

/// More lengths of pieces than this are not looked for.
const MOST_LENGTHS: usize = 64;

/// The operations on a key that holds `initial` to begin with as those of a register. `None` if there are others
/// than get, put, append and delete, or some value can have come about in several ways.
pub(super) fn as_register(
    initial: &Content,
    calls: &[(&Operation, Option<&Response>)],
) -> Option<(u64, Vec<RegisterOperation>)> {
    let words = Words::of(initial, calls)?;
    let mut values = Values::default();
    let initial = values.start(initial.as_deref());
    let mut seen: FxHashMap<&Content, u64> = FxHashMap::default();
    for (_, response) in calls {
        if let Some(Response::Found(found)) = response
            && !seen.contains_key(&found.content)
        {
            seen.insert(&found.content, values.seen(&words, &found.content)?);
        }
    }
    let operations = calls.iter().map(|(operation, response)| match (&operation.what, response) {
        (What::Get, Some(Response::Found(found))) => Some(RegisterOperation::Read(seen[&found.content])),
        (What::Put(stored), _) => Some(RegisterOperation::Write(values.start(stored.content.as_deref()))),
        (What::Delete { .. }, _) => Some(RegisterOperation::Write(values.start(Some("")))),
        (What::Append { text, .. }, _) => Some(match values.appended.get(text.as_bytes()) {
            Some(&(from, to)) => RegisterOperation::Swap { from, to },
            None => RegisterOperation::Write(values.fresh()),
        }),
        _ => None,
    });
    let operations = operations.collect::<Option<_>>()?;
    Some((initial, operations))
}

/// What values are made of.
struct Words<'h> {
    /// What a value can begin with, and its lengths.
    starts: FxHashSet<&'h [u8]>,
    start_lengths: Vec<usize>,
    /// True if a value can begin with null. What is appended to that is as if appended to nothing.
    begins_with_null: bool,
    /// The pieces, each with whether it was appended once only, and their lengths.
    pieces: FxHashMap<&'h [u8], bool>,
    piece_lengths: Vec<usize>,
}

impl<'h> Words<'h> {
    fn of(initial: &'h Content, calls: &[(&'h Operation, Option<&'h Response>)]) -> Option<Self> {
        let mut contents = FxHashSet::default();
        contents.insert(initial.as_deref());
        let mut pieces: FxHashMap<&[u8], bool> = FxHashMap::default();
        for (operation, _) in calls {
            match &operation.what {
                What::Get => {}
                What::Put(stored) => _ = contents.insert(stored.content.as_deref()),
                What::Delete { tells: false } => _ = contents.insert(Some("")),
                What::Append { text, tells: false } if !text.is_empty() => {
                    pieces.entry(text.as_bytes()).and_modify(|is_single| *is_single = false).or_insert(true);
                }
                _ => return None,
            }
        }
        let begins_with_null = contents.contains(&None);
        if begins_with_null && contents.contains(&Some("")) {
            return None;
        }
        let starts: FxHashSet<&[u8]> =
            contents.into_iter().map(|content| content.unwrap_or_default().as_bytes()).collect();
        let start_lengths = lengths(starts.iter().copied())?;
        let piece_lengths = lengths(pieces.keys().copied())?;
        Some(Self { starts, start_lengths, begins_with_null, pieces, piece_lengths })
    }

    /// Where in a text that was seen the pieces behind its beginning begin, and its end. Nothing if it cannot
    /// have come about, `None` if it can in several ways.
    fn parts(&self, text: &[u8]) -> Option<Vec<usize>> {
        const START: usize = usize::MAX;
        // For each place in the text in how many ways it can be reached, no more than two, and whence.
        let mut reached = vec![(0_u8, START); text.len() + 1];
        for &length in self.start_lengths.iter().take_while(|&&length| length <= text.len()) {
            reached[length].0 += u8::from(self.starts.contains(&text[..length]));
        }
        for place in 0..text.len() {
            let (ways, _) = reached[place];
            if ways == 0 {
                continue;
            }
            let rest = &text[place..];
            for &length in self.piece_lengths.iter().take_while(|&&length| length <= rest.len()) {
                if self.pieces.contains_key(&rest[..length]) {
                    let (known, from) = &mut reached[place + length];
                    *known = (*known + ways).min(2);
                    *from = place;
                }
            }
        }
        match reached[text.len()] {
            (0, _) => Some(Vec::new()),
            (1, _) => {
                let before = |&place: &usize| (reached[place].1 != START).then_some(reached[place].1);
                let mut places: Vec<usize> = std::iter::successors(Some(text.len()), before).collect();
                places.reverse();
                Some(places)
            }
            _ => None,
        }
    }
}

/// Different lengths in ascending order, unless there are too many.
fn lengths<'h>(words: impl Iterator<Item = &'h [u8]>) -> Option<Vec<usize>> {
    let lengths: BTreeSet<usize> = words.map(<[u8]>::len).collect();
    (lengths.len() <= MOST_LENGTHS).then(|| lengths.into_iter().collect())
}

/// Values by numbers: what they begin with, and what has been appended to which.
#[derive(Default)]
struct Values<'h> {
    starts: FxHashMap<Option<&'h str>, u64>,
    /// From which value to which each piece leads.
    appended: FxHashMap<&'h [u8], (u64, u64)>,
    count: u64,
}

impl<'h> Values<'h> {
    /// A value that nobody sees.
    const fn fresh(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// What is written as it is.
    fn start(&mut self, content: Option<&'h str>) -> u64 {
        if let Some(&known) = self.starts.get(&content) {
            return known;
        }
        let new = self.fresh();
        self.starts.insert(content, new);
        new
    }

    /// What was seen. `None` if it can have come about in several ways.
    fn seen(&mut self, words: &Words<'h>, content: &'h Content) -> Option<u64> {
        let Some(text) = content.as_deref() else {
            return Some(self.start(None));
        };
        let places = words.parts(text.as_bytes())?;
        let Some(&start) = places.first() else {
            return Some(self.fresh());
        };
        let start = &text[..start];
        // Nothing at all is the empty text only if nothing was appended.
        let is_null = start.is_empty() && places.len() > 1 && words.begins_with_null;
        let mut value = self.start(if is_null { None } else { Some(start) });
        for part in places.windows(2) {
            let piece = &text.as_bytes()[part[0]..part[1]];
            if !words.pieces[piece] {
                return None;
            }
            let &mut (from, to) = match self.appended.entry(piece) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    self.count += 1;
                    new.insert((value, self.count))
                }
            };
            if from != value {
                // It was appended to something else, so this cannot have come about.
                return Some(self.fresh());
            }
            value = to;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FoundValue, Store, Stored};
    use super::*;
    use crate::check::linearizability::{Call, Verdict, judge, search};
    use crate::random::{Draw, Purpose, stream};
    use crate::workload::Model;
    use rand_chacha::ChaCha8Rng;

    type Asked = (What, Response);

    fn some(text: &str) -> Content {
        Some(text.into())
    }

    fn stored(content: Content) -> Stored {
        Stored { content, value: 0 }
    }

    fn get(content: Content) -> Asked {
        (What::Get, Response::Found(FoundValue { content, value: None }))
    }

    fn put(content: Content) -> Asked {
        (What::Put(stored(content)), Response::Done)
    }

    fn append(text: &str) -> Asked {
        (What::Append { text: text.into(), tells: false }, Response::Done)
    }

    fn store(content: Content) -> Store {
        Store { initial: stored(content), written: std::collections::BTreeMap::new() }
    }

    /// Operations one after another.
    fn view(initial: Content, asked: Vec<Asked>) -> Option<(u64, Vec<RegisterOperation>)> {
        let operations: Vec<(Operation, Response)> =
            asked.into_iter().map(|(what, response)| (Operation { key: 0, what }, response)).collect();
        let calls: Vec<_> =
            operations.iter().map(|(operation, response)| (operation, Some(response))).collect();
        as_register(&initial, &calls)
    }

    #[test]
    fn what_may_have_come_about_in_several_ways_is_no_register() {
        let is_covered = |initial: Content, asked| view(initial, asked).is_some();
        assert!(is_covered(some(""), vec![append("a"), append("ab"), get(some("aab")), get(some("aba"))]));
        assert!(!is_covered(some(""), vec![append("a"), append("b"), append("ab"), get(some("ab"))]));
        // Nobody saw which of the two came first, or that there are two.
        assert!(is_covered(some(""), vec![append("a"), append("a")]));
        assert!(!is_covered(some(""), vec![append("a"), append("a"), get(some("a"))]));
        assert!(!is_covered(some(""), vec![append("a"), put(some("a")), get(some("a"))]));
        // Null is not the empty text, but what is appended to either is the same.
        assert!(is_covered(None, vec![append("a"), get(some("a")), get(None), get(some(""))]));
        assert!(!is_covered(None, vec![append("a"), put(some("")), get(some("a"))]));
        assert!(!is_covered(some(""), vec![append("")]));
        assert!(!is_covered(some(""), vec![append("a"), (What::Delete { tells: true }, get(None).1)]));
    }

    fn any_history(random: &mut ChaCha8Rng) -> Vec<Call<Operation, Response>> {
        let pieces = ["a", "b", "ab", "c", "ca"];
        let pick = |random: &mut ChaCha8Rng, most: u64| {
            let mut text = String::new();
            for _ in 0..random.below(most + 1) {
                text.push_str(pieces[random.below(5) as usize]);
            }
            some(&text)
        };
        let length = 2 + random.below(8);
        let mut used = 0;
        // Sometimes all values that are seen are those of one order, so that many histories are good.
        let mut now = String::new();
        let has_order = random.below(2) == 0;
        (0..length)
            .map(|number| {
                let (what, response) = match random.below(9) {
                    0 => {
                        now = ["", "c", "x"][random.below(3) as usize].to_owned();
                        put(some(&now))
                    }
                    1 => {
                        now.clear();
                        (What::Delete { tells: false }, Response::Done)
                    }
                    2..6 => {
                        let often = random.below(8) == 0;
                        let piece = pieces[if often { 0 } else { used % 5 }];
                        used += 1;
                        now.push_str(piece);
                        append(piece)
                    }
                    _ if has_order => get(some(&now)),
                    _ => get(pick(random, 3)),
                };
                let called = if has_order { 2 * number } else { random.below(2 * length) };
                let called = called.saturating_sub(random.below(5));
                let returned = (random.below(8) > 0).then(|| (called + 1 + random.below(9), response));
                Call { client: 0, operation: Operation { key: 0, what }, called, returned }
            })
            .collect()
    }

    #[test]
    fn verdicts_agree_with_searching() {
        let mut random = stream(13, Purpose::Client(0));
        let (mut covered, mut linearizable, mut refuted) = (0, 0, 0);
        for round in 0..60_000 {
            let initial = store([None, some(""), some(""), some("c")][random.below(4) as usize].clone());
            let history = any_history(&mut random);
            let asked: Vec<_> = (history.iter())
                .filter(|call| call.returned.is_some() || call.operation.what != What::Get)
                .map(|call| (&call.operation, call.returned.as_ref().map(|(_, response)| response)))
                .collect();
            if initial.all_as_register(0, &asked).is_none() {
                continue;
            }
            covered += 1;
            let judged = judge(&initial, &history, None, 1_000_000);
            assert_eq!(judged, search(&initial, &history, 1_000_000), "{round} {initial:?} {history:#?}");
            *(if judged == Verdict::Linearizable { &mut linearizable } else { &mut refuted }) += 1;
        }
        assert!(
            covered > 20_000 && linearizable > 5_000 && refuted > 5_000,
            "{covered} {linearizable} {refuted}"
        );
    }
}
