//! Reading histories.
//!
//! One operation per line:
//!
//! ```json
//! {"client":3,"call":17,"return":21,"op":{"type":"cas","key":"r","from":"1","to":"2"},"result":true}
//! ```
//!
//! * `call` and `return` are integers, negative ones too, of one clock that all clients share. An operation
//!   that returned before another was called comes first; where the two numbers are equal they overlap.
//! * `return` null or missing: the outcome is unknown. The operation may have taken effect at any time after
//!   its call, once, or never, and its `result` says nothing.
//! * `client` is an integer, for the reader only. It may be missing.
//! * Keys, values and results are strings, null or missing (which is the same), truth values, or lists.
//!   A number is the string of its digits.
//! * `order`, which may be missing, is the operation's place in the order in which the system itself says that
//!   operations took effect: an integer. Nobody has to believe it; it is tried first.
//! * Lines may come in any order. Empty ones are skipped, and so are members that are not listed here. Not
//!   those in `op`, where a misspelt one would change what was asked for; nor one that looks like `return` or
//!   `result` where that is missing.

use std::fmt;
use std::io::BufRead;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::value::{Atom, Names, Value};

/// A history as it was read.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The operations, in the order of their lines.
    pub entries: Vec<Entry>,
    /// The keys, values and results that they speak of.
    pub names: Names,
    /// What must be added to the times of the entries to get those of the file.
    pub epoch: i64,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands: the first line is 1.
    pub line: usize,
    /// Who called, if it is known.
    pub client: Option<i64>,
    /// When it was called. The earliest call of the history is at zero.
    pub called: u64,
    /// When it returned. `None`: its outcome is unknown.
    pub returned: Option<u64>,
    /// What was asked for.
    pub kind: Kind,
    /// Of what: a key, a lock.
    pub key: Value,
    /// What is written, inserted, looked for.
    pub value: Value,
    /// What a compare-and-swap expects.
    pub from: Value,
    /// What a compare-and-swap writes.
    pub to: Value,
    /// Of how many elements a compare-and-swap expects the list to be.
    pub length: Option<u64>,
    /// Who asks for a lock, if that matters.
    pub owner: Value,
    /// What was answered.
    pub result: Value,
    /// Its place in the order in which the system says that operations took effect.
    pub order: Option<u64>,
}

/// Declares the kinds of operations with their names in files.
macro_rules! kinds {
    ($($kind:ident = $name:literal $(| $alias:literal)*,)*) => {
        /// What an operation asks for. Which of them a data type has is up to the [model](super::models).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`.")] $kind,)*
        }

        impl Kind {
            /// Finds a kind by its name in a file.
            #[must_use]
            pub fn find(name: &str) -> Option<Self> {
                match name {
                    $($name $(| $alias)* => Some(Self::$kind),)*
                    _ => None,
                }
            }

            /// Its name in files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    Read = "read",
    Write = "write",
    Cas = "cas",
    Get = "get",
    Put = "put",
    Append = "append",
    Delete = "delete",
    Enq = "enq" | "enqueue",
    Deq = "deq" | "dequeue",
    Push = "push",
    Pop = "pop",
    PushFront = "push_front",
    PushBack = "push_back",
    PopFront = "pop_front",
    PopBack = "pop_back",
    Peek = "peek",
    PeekFront = "peek_front",
    PeekBack = "peek_back",
    Insert = "insert",
    Poll = "poll",
    Remove = "remove",
    Contains = "contains",
    Acquire = "acquire",
    Release = "release",
    Inspect = "inspect",
    Incr = "incr",
    Decr = "decr",
}

impl Kind {
    /// True if there is nothing to be learnt from the answer.
    #[must_use]
    pub const fn answers_nothing(self) -> bool {
        matches!(
            self,
            Self::Write
                | Self::Put
                | Self::Append
                | Self::Enq
                | Self::Push
                | Self::PushFront
                | Self::PushBack
                | Self::Insert
        )
    }
}

/// Why a history cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The line, from 1; zero if it is not about a line.
    pub line: usize,
    /// The column, from 1; zero if it is about the whole line.
    pub column: usize,
    /// The member of the line that it is about; empty if it is not about one.
    pub member: &'static str,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => formatter.write_str(&self.problem),
            (line, 0) => write!(formatter, "{line}: {}", self.problem),
            (line, column) => write!(formatter, "{line}:{column}: {}", self.problem),
        }
    }
}

impl std::error::Error for Unreadable {}

/// A line as it is written.
struct Line {
    client: Option<i64>,
    call: i64,
    returned: Option<i64>,
    op: Op,
    result: Atom,
    order: Option<u64>,
    /// A member that stands where another one is missing, and the name of that.
    misspelt: Option<(String, &'static str)>,
}

/// The name of a member of a line.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Client,
    Call,
    Return,
    Op,
    Result,
    Order,
    Unlisted(String),
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an operation, as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Line, A::Error> {
        let (mut client, mut call, mut returned, mut op) = (None, None, None, None);
        let (mut result, mut order, mut unlisted) = (None, None, Vec::new());
        while let Some(member) = members.next_key()? {
            match member {
                Member::Client => set(&mut client, "client", &mut members)?,
                Member::Call => set(&mut call, "call", &mut members)?,
                Member::Return => set(&mut returned, "return", &mut members)?,
                Member::Op => set(&mut op, "op", &mut members)?,
                Member::Result => set(&mut result, "result", &mut members)?,
                Member::Order => set(&mut order, "order", &mut members)?,
                Member::Unlisted(name) => {
                    members.next_value::<IgnoredAny>()?;
                    unlisted.push(name);
                }
            }
        }
        let missing = [("return", returned.is_none()), ("result", result.is_none())];
        let misspelt = missing.into_iter().filter(|(_, is_missing)| *is_missing).find_map(|(member, _)| {
            let name = unlisted.iter().find(|name| looks_like(name, member))?;
            Some((name.clone(), member))
        });
        Ok(Line {
            client: client.flatten(),
            call: call.ok_or_else(|| de::Error::missing_field("call"))?,
            returned: returned.flatten(),
            op: op.ok_or_else(|| de::Error::missing_field("op"))?,
            result: result.unwrap_or_default(),
            order: order.flatten(),
            misspelt,
        })
    }
}

/// Reads the value of a member that may be there once.
fn set<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    member: &mut Option<T>,
    name: &'static str,
    members: &mut A,
) -> Result<(), A::Error> {
    if member.is_some() {
        return Err(de::Error::duplicate_field(name));
    }
    *member = Some(members.next_value()?);
    Ok(())
}

/// True if a name may well be meant for that of a member: the same but for capitals, cut short or with more
/// behind it, two letters from it, or another word for it.
fn looks_like(name: &str, member: &str) -> bool {
    let name = name.to_lowercase();
    let others: &[&str] = match member {
        "return" => &["end", "ended", "finish", "finished", "complete", "completed"],
        _ => &["answer", "response", "output"],
    };
    others.contains(&&*name)
        || (name.len() >= 3 && member.starts_with(&name))
        || name.starts_with(member)
        || distance(name.as_bytes(), member.as_bytes()) <= 2
}

/// How many letters must be put in, taken out or replaced to make one word of the other (Levenshtein).
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (count, letter) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], count + 1);
        for place in 0..other.len() {
            let replaced = diagonal + usize::from(*letter != other[place]);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Op {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    key: Atom,
    #[serde(default)]
    value: Atom,
    #[serde(default)]
    from: Atom,
    #[serde(default)]
    to: Atom,
    #[serde(default)]
    length: Option<u64>,
    #[serde(default)]
    owner: Atom,
}

impl History {
    /// Reads a history to its end.
    ///
    /// # Errors
    /// [`Unreadable`] at the first line that is not an operation.
    pub fn read(input: impl BufRead) -> Result<Self, Unreadable> {
        let mut history = Self::default();
        let mut times = Vec::new();
        for (index, line) in input.split(b'\n').enumerate() {
            let at = |column, problem| Unreadable { line: index + 1, column, member: "", problem };
            let line = line.map_err(|error| at(0, format!("cannot be read: {error}")))?;
            let text = str::from_utf8(&line)
                .map_err(|error| at(error.valid_up_to() + 1, "this is not UTF-8".to_owned()))?;
            // Some editors put a mark before the first line.
            let text = text.strip_prefix('\u{feff}').filter(|_| index == 0).unwrap_or(text);
            if text.trim().is_empty() {
                continue;
            }
            let parsed: Line = serde_json::from_str(text).map_err(|error| {
                let message = error.to_string();
                // The line number in it counts within this line only.
                let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
                at(error.column().max(1), message.to_owned())
            })?;
            if let Some((name, member)) = &parsed.misspelt {
                let problem = format!("there is no member {name:?}, and {member:?} is missing");
                return Err(at(column_of(text, name), problem));
            }
            times.push((parsed.call, parsed.returned));
            let entry = history
                .entry(index + 1, parsed)
                .map_err(|(member, problem)| at(column_of(text, member), problem))?;
            history.entries.push(entry);
        }
        history.count_from_the_first_call(&times);
        Ok(history)
    }

    fn entry(&mut self, line: usize, parsed: Line) -> Result<Entry, (&'static str, String)> {
        let kind = Kind::find(&parsed.op.kind)
            .ok_or_else(|| ("type", format!("there is no operation {:?}", parsed.op.kind)))?;
        if let Some(returned) = parsed.returned.filter(|&returned| returned < parsed.call) {
            return Err(("return", format!("it returned at {returned}, before its call at {}", parsed.call)));
        }
        let names = &mut self.names;
        if matches!(parsed.result, Atom::Record(_)) {
            names.intern_all(&parsed.result);
        }
        Ok(Entry {
            line,
            client: parsed.client,
            called: 0,
            returned: parsed.returned.map(|_| 0),
            kind,
            key: names.intern(parsed.op.key),
            value: names.intern(parsed.op.value),
            from: names.intern(parsed.op.from),
            to: names.intern(parsed.op.to),
            length: parsed.op.length,
            owner: names.intern(parsed.op.owner),
            result: names.intern(parsed.result),
            order: parsed.order,
        })
    }

    fn count_from_the_first_call(&mut self, times: &[(i64, Option<i64>)]) {
        self.epoch = times.iter().map(|&(called, _)| called).min().unwrap_or(0);
        let since = |time: i64| time.abs_diff(self.epoch);
        for (entry, &(called, returned)) in self.entries.iter_mut().zip(times) {
            entry.called = since(called);
            entry.returned = returned.map(since);
        }
    }

    /// The order in which the system says that operations took effect, if it says so of any.
    #[must_use]
    pub fn order(&self) -> Option<Vec<usize>> {
        let says = |(index, entry): (usize, &Entry)| Some((entry.order?, index));
        let mut order: Vec<(u64, usize)> = self.entries.iter().enumerate().filter_map(says).collect();
        order.sort_unstable();
        (!order.is_empty()).then(|| order.into_iter().map(|(_, index)| index).collect())
    }

    /// A time of an entry as it stands in the file.
    #[must_use]
    pub fn time(&self, time: u64) -> i64 {
        self.epoch.wrapping_add_unsigned(time)
    }

    /// How many operations have an unknown outcome.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.entries.iter().filter(|entry| entry.returned.is_none()).count()
    }

    /// How many clients there are. Operations without one count as one client together.
    #[must_use]
    pub fn clients(&self) -> usize {
        let mut clients: Vec<_> = self.entries.iter().map(|entry| entry.client).collect();
        clients.sort_unstable();
        clients.dedup();
        clients.len()
    }

    /// What an operation asked for, as a call: `cas(r, 1 to 2)`.
    #[must_use]
    pub fn operation(&self, index: usize) -> String {
        let entry = &self.entries[index];
        let atom = |value| self.names.atom(value).to_string();
        let mut arguments = Vec::new();
        let has_key = matches!(
            entry.kind,
            Kind::Read | Kind::Write | Kind::Cas | Kind::Get | Kind::Put | Kind::Append | Kind::Delete
        );
        if has_key || entry.key != 0 {
            arguments.push(atom(entry.key));
        }
        match entry.kind {
            Kind::Cas => {
                let expected =
                    entry.length.map_or_else(|| atom(entry.from), |length| format!("length {length}"));
                arguments.push(format!("{expected} to {}", atom(entry.to)));
            }
            Kind::Write
            | Kind::Put
            | Kind::Append
            | Kind::Enq
            | Kind::Push
            | Kind::PushFront
            | Kind::PushBack
            | Kind::Insert
            | Kind::Remove
            | Kind::Contains => arguments.push(atom(entry.value)),
            _ => {}
        }
        if entry.owner != 0 {
            arguments.push(format!("for {}", atom(entry.owner)));
        }
        format!("{}({})", entry.kind.name(), arguments.join(", "))
    }

    /// What an operation was answered: `null`, `"a"`, `true`; `?` if that is unknown.
    #[must_use]
    pub fn answer(&self, index: usize) -> String {
        let entry = &self.entries[index];
        entry.returned.map_or_else(|| "?".to_owned(), |_| self.names.atom(entry.result).to_string())
    }
}

/// The column of a member's name in a line, from 1; 1 if it cannot be found.
#[must_use]
pub fn column_of(line: &str, member: &str) -> usize {
    line.find(&format!("\"{member}\"")).map_or(1, |byte| line[..byte].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<History, Unreadable> {
        History::read(text.as_bytes())
    }

    fn problem(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn missing_members_are_null() {
        let history = read("\u{feff}\n  \r\n{\"call\":-7,\"op\":{\"type\":\"read\"}}\r\n").unwrap();
        let [entry] = &history.entries[..] else { panic!("{history:?}") };
        assert_eq!((entry.line, entry.client, entry.called, entry.returned), (3, None, 0, None));
        assert_eq!((history.operation(0), history.answer(0)), ("read(null)".to_owned(), "?".to_owned()));
        assert_eq!(history.time(0), -7);
    }

    #[test]
    fn operations_are_written_as_calls() {
        let line = r#"{"client":3,"call":17,"return":21,"op":{"type":"cas","key":"r","from":"1","to":2},"result":true}"#;
        let history = read(line).unwrap();
        assert_eq!(history.operation(0), "cas(r, 1 to 2)");
        assert_eq!(history.answer(0), "true");
        assert_eq!(history.time(history.entries[0].returned.unwrap()), 21);
    }

    #[test]
    fn the_widest_times_fit() {
        let lines = format!("{{\"call\":{},\"return\":{},\"op\":{{\"type\":\"deq\"}}}}", i64::MIN, i64::MAX);
        let history = read(&lines).unwrap();
        assert_eq!(history.entries[0].returned, Some(u64::MAX));
        assert_eq!(history.time(u64::MAX), i64::MAX);
    }

    #[test]
    fn a_misspelt_return_is_not_taken_for_an_unknown_outcome() {
        for name in ["ret", "Return", "retrun", "returned", "end"] {
            let line = format!("{{\"call\":1,\"{name}\":2,\"op\":{{\"type\":\"deq\"}},\"result\":\"1\"}}");
            let expected = format!("1:11: there is no member {name:?}, and \"return\" is missing");
            assert_eq!(problem(&line), expected);
            let both = line.replace("\"call\":1", "\"call\":1,\"return\":null");
            assert_eq!(read(&both).unwrap().pending(), 1, "{name}");
        }
        assert!(
            problem("{\"call\":1,\"return\":2,\"op\":{\"type\":\"deq\"},\"reslut\":\"1\"}")
                .contains("reslut")
        );
        assert!(problem("{\"call\":1,\"return\":2,\"return\":3}").contains("duplicate field `return`"));
        let other = "{\"call\":1,\"op\":{\"type\":\"deq\"},\"note\":1,\"retries\":2,\"process\":3}";
        assert_eq!(read(other).unwrap().pending(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(problem("{}"), "1:2: missing field `call`");
        assert!(problem("\n{\"call\":1,").starts_with("2:10: EOF while parsing"));
        assert!(problem("{\"call\":\"x\"}").starts_with("1:11: invalid type: string \"x\", expected i64"));
        assert_eq!(
            problem("{\"call\":1,\"op\":{\"type\":\"frobnicate\"}}"),
            "1:17: there is no operation \"frobnicate\""
        );
        assert!(
            problem("{\"call\":1,\"op\":{\"type\":\"enq\",\"valeu\":1}}").contains("unknown field `valeu`")
        );
        assert_eq!(
            problem("{\"call\":3,\"return\":2,\"op\":{\"type\":\"deq\"}}"),
            "1:11: it returned at 2, before its call at 3"
        );
    }
}
