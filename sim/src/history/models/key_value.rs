//! A key-value store: `get`, `put`, `append`, and what else histories of such stores hold.
//!
//! Values are strings, and `append` puts one behind another. They may also be lists (`["1", "2"]`), one of
//! which `append` puts behind the other; the empty list and the empty string are the same. Beyond the three:
//!
//! * `delete`(key) makes the value empty. Its result is the value that is gone, or null or true.
//! * `cas`(key, from, to) is true, or false where the value was not `from`. In place of `from` it may expect
//!   a `length`: that the list has so many elements. Its result may also be an object of `swapped`, the same
//!   truth value, and `was`, the value that it found.
//! * `append` may answer a number: how many elements the list then has.

mod appended;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Context, Datatype, Wrong};
use crate::history::format::{Entry, Kind};
use crate::history::value::{Atom, Value};
use crate::workload::{Model, RegisterOperation};

/// What ends an element of a list. Where a string itself holds it, or [`ESCAPE`], it stands there escaped.
const END: char = '\u{1f}';
/// What comes before a letter that stands for one of the two.
const ESCAPE: char = '\u{1e}';

/// What is stored, by key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    initial: Stored,
    written: BTreeMap<Value, Content>,
}

/// A value: its text, that of a list with a mark behind each element. Null differs from all of them.
type Content = Option<Arc<str>>;

/// What is asked of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    key: Value,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Get,
    Put(Stored),
    Append { text: Arc<str>, tells: bool },
    Delete { tells: bool },
    Cas { expected: Expected, to: Stored, tells: Tells },
}

/// A value that is stored as it is, and its number in the history.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stored {
    content: Content,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Expected {
    Content(Stored),
    Length(usize),
}

/// What a compare-and-swap tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Tells {
    Nothing,
    Success,
    Both,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// Nothing.
    Done,
    /// The value that is, or was.
    Found(FoundValue),
    /// How many elements the list has.
    Length(usize),
    /// Whether a compare-and-swap succeeded, and what it found if it says so.
    Swapped(bool, Option<FoundValue>),
}

/// A value that was seen.
#[derive(Clone, Debug)]
pub struct FoundValue {
    content: Content,
    /// Its number in the history, if the history has it; not what it is compared by.
    value: Option<Value>,
}

impl PartialEq for FoundValue {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Eq for FoundValue {}

impl std::hash::Hash for FoundValue {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.content.hash(state);
    }
}

impl Stored {
    /// A value of the history. The empty list is the empty string.
    fn of(context: &Context<'_>, value: Value) -> Self {
        let content = content(context.atom(value));
        let is_empty_list = *context.atom(value) == Atom::List(Vec::new());
        let empty = || context.history.names.find(&Atom::Text(String::new()));
        Self { content, value: if is_empty_list { empty().unwrap_or(value) } else { value } }
    }
}

/// The text of a value.
fn content(atom: &Atom) -> Content {
    match atom {
        Atom::Null => None,
        Atom::Text(text) => Some(escaped(text).into()),
        Atom::List(items) => {
            let mut text = String::new();
            for item in items {
                text.push_str(&escaped(item));
                text.push(END);
            }
            Some(text.into())
        }
        other => Some(escaped(&other.to_string()).into()),
    }
}

/// The text with nothing in it that ends an element. Letter by letter, so that one behind another is escaped
/// as the two together.
fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains([END, ESCAPE]) {
        let escape = format!("{ESCAPE}e");
        Cow::Owned(text.replace(ESCAPE, &escape).replace(END, &format!("{ESCAPE}f")))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text that was escaped.
fn unescaped(text: &str) -> String {
    text.replace(&format!("{ESCAPE}f"), &END.to_string()).replace(&format!("{ESCAPE}e"), &ESCAPE.to_string())
}

/// The value of a text.
fn atom(content: &Content) -> Atom {
    match content {
        None => Atom::Null,
        Some(text) if text.ends_with(END) => Atom::List(text.split_terminator(END).map(unescaped).collect()),
        Some(text) => Atom::Text(unescaped(text)),
    }
}

fn length(content: &Content) -> usize {
    content.as_ref().map_or(0, |text| text.matches(END).count())
}

impl Model for Store {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        let key = operation.key;
        let now = self.written.get(&key).unwrap_or(&self.initial.content);
        let found = |content: &Content| FoundValue { content: content.clone(), value: None };
        match &operation.what {
            What::Get => Response::Found(found(now)),
            What::Put(stored) => {
                self.written.insert(key, stored.content.clone());
                Response::Done
            }
            What::Append { text, tells } => {
                let whole: Arc<str> = [now.as_deref().unwrap_or(""), text].concat().into();
                let whole = Some(whole);
                let response = if *tells { Response::Length(length(&whole)) } else { Response::Done };
                self.written.insert(key, whole);
                response
            }
            What::Delete { tells } => {
                let response = if *tells { Response::Found(found(now)) } else { Response::Done };
                self.written.insert(key, Some("".into()));
                response
            }
            What::Cas { expected, to, tells } => {
                let succeeds = match expected {
                    Expected::Content(stored) => stored.content == *now,
                    Expected::Length(expected) => length(now) == *expected,
                };
                let response = match tells {
                    Tells::Nothing => Response::Done,
                    Tells::Success => Response::Swapped(succeeds, None),
                    Tells::Both => Response::Swapped(succeeds, Some(found(now))),
                };
                if succeeds {
                    self.written.insert(key, to.content.clone());
                }
                response
            }
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        operation.what == What::Get
    }

    fn overwrites(operation: &Operation) -> bool {
        matches!(operation.what, What::Put(_) | What::Delete { tells: false })
    }

    fn partition(operation: &Operation) -> u64 {
        operation.key
    }

    fn as_register(operation: &Operation, response: Option<&Response>) -> Option<RegisterOperation> {
        match (&operation.what, response) {
            (What::Get, Some(Response::Found(found))) => found.value.map(RegisterOperation::Read),
            (What::Put(stored), None | Some(Response::Done)) => Some(RegisterOperation::Write(stored.value)),
            (
                What::Cas { expected: Expected::Content(from), to, .. },
                None | Some(Response::Swapped(true, None)),
            ) => Some(RegisterOperation::Swap { from: from.value, to: to.value }),
            (What::Cas { expected: Expected::Content(from), .. }, Some(Response::Swapped(false, None))) => {
                Some(RegisterOperation::Mismatch(from.value))
            }
            _ => None,
        }
    }

    fn register_value(&self, _partition: u64) -> Option<u64> {
        Some(self.initial.value)
    }

    fn all_as_register(
        &self,
        partition: u64,
        calls: &[(&Operation, Option<&Response>)],
    ) -> Option<(u64, Vec<RegisterOperation>)> {
        if calls.iter().any(|(operation, _)| matches!(operation.what, What::Append { .. })) {
            return appended::as_register(
                self.written.get(&partition).unwrap_or(&self.initial.content),
                calls,
            );
        }
        let operations = calls.iter().map(|(operation, response)| Self::as_register(operation, *response));
        Some((self.register_value(partition)?, operations.collect::<Option<_>>()?))
    }

    fn heap_bytes(&self) -> usize {
        let texts = self.written.values().flatten().map(|text| text.len() + 16).sum::<usize>();
        self.written.len().div_ceil(11) * 300 + texts
    }
}

impl Datatype for Store {
    fn start(context: &Context<'_>, init: &Atom) -> Result<Self, String> {
        Ok(Self { initial: Stored::of(context, context.value_of(init)), written: BTreeMap::new() })
    }

    fn call(context: &Context<'_>, entry: &Entry) -> Result<(Operation, Response), Wrong> {
        let stored = |value: Value| Stored::of(context, value);
        let seen = |atom: &Atom| FoundValue { content: content(atom), value: None };
        let result = context.atom(entry.result);
        let (what, response) = match entry.kind {
            Kind::Get | Kind::Read => {
                let Stored { content, value } = stored(entry.result);
                let found = FoundValue { content, value: Some(value) };
                (What::Get, Response::Found(found))
            }
            Kind::Put | Kind::Write => {
                context.nothing(entry)?;
                (What::Put(stored(entry.value)), Response::Done)
            }
            Kind::Append => {
                let text = content(context.atom(entry.value)).unwrap_or_default();
                let is_list = matches!(context.atom(entry.value), Atom::List(_));
                let told = if is_list && entry.returned.is_some() { result.number() } else { None };
                let tells = told.is_some();
                let response = match told {
                    Some(length) => {
                        let expected = || ("result", format!("append answers a length: found {length}"));
                        Response::Length(usize::try_from(length).map_err(|_| expected())?)
                    }
                    None => {
                        context.nothing(entry)?;
                        Response::Done
                    }
                };
                (What::Append { text, tells }, response)
            }
            Kind::Delete => {
                let tells = entry.returned.is_some() && !matches!(result, Atom::Null | Atom::Truth(true));
                let response = if tells { Response::Found(seen(result)) } else { Response::Done };
                (What::Delete { tells }, response)
            }
            Kind::Cas => {
                let expected = match entry.length {
                    Some(length) => Expected::Length(length as usize),
                    None => Expected::Content(stored(entry.from)),
                };
                let (tells, response) = swapped(context, entry, &seen)?;
                (What::Cas { expected, to: stored(entry.to), tells }, response)
            }
            _ => return Err(context.no_such_operation(entry, "get, put, append, delete or cas")),
        };
        Ok((Operation { key: entry.key, what }, response))
    }

    fn say(_context: &Context<'_>, response: &Response) -> String {
        match response {
            Response::Done => "null".to_owned(),
            Response::Found(found) => atom(&found.content).to_string(),
            Response::Length(length) => length.to_string(),
            Response::Swapped(success, None) => success.to_string(),
            Response::Swapped(success, Some(was)) => {
                format!("{{swapped: {success}, was: {}}}", atom(&was.content))
            }
        }
    }

    fn say_state(&self, _context: &Context<'_>, partition: u64) -> String {
        atom(self.written.get(&partition).unwrap_or(&self.initial.content)).to_string()
    }

    fn say_partition(context: &Context<'_>, partition: u64) -> Option<String> {
        Some(format!("key {}", context.say(partition)))
    }
}

fn swapped(
    context: &Context<'_>,
    entry: &Entry,
    seen: &impl Fn(&Atom) -> FoundValue,
) -> Result<(Tells, Response), Wrong> {
    let result = context.atom(entry.result);
    if entry.returned.is_some() && matches!(result, Atom::Record(_)) {
        let success = result.member("swapped").truth();
        let success = success.ok_or_else(|| ("result", "expected swapped to be true or false".to_owned()))?;
        return Ok((Tells::Both, Response::Swapped(success, Some(seen(result.member("was"))))));
    }
    Ok(match context.truth(entry)? {
        Some(success) => (Tells::Success, Response::Swapped(success, None)),
        None => (Tells::Nothing, Response::Done),
    })
}
