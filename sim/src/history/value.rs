//! Keys, values and results as they stand in a history.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::de::{self, Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The number that stands for an [`Atom`] of a history: equal atoms, and no others, have equal numbers.
pub type Value = u64;

/// `null`, and whatever is missing: the first number of all.
pub const NULL: Value = 0;
/// The truth value `true`.
pub const TRUE: Value = 1;
/// The truth value `false`.
pub const FALSE: Value = 2;

/// A key, a value or a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Atom {
    /// `null`, and whatever is missing.
    #[default]
    Null,
    /// `true` or `false`.
    Truth(bool),
    /// A string. A number is the string of its digits, as they stand: `1.10` is not `1.1`.
    Text(String),
    /// A list of such.
    List(Vec<String>),
    /// An object: its members, in the order of their names.
    Record(Vec<(String, Atom)>),
}

impl Atom {
    /// The text of a string, or nothing.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The member of an object, or null.
    #[must_use]
    pub fn member(&self, name: &str) -> &Self {
        const NOTHING: &Atom = &Atom::Null;
        match self {
            Self::Record(members) => {
                members.iter().find(|(member, _)| member == name).map_or(NOTHING, |(_, atom)| atom)
            }
            _ => NOTHING,
        }
    }

    /// `true`, `false`, or the strings that say so.
    #[must_use]
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Truth(truth) => Some(*truth),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A whole number, or the string of one.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        self.text()?.parse().ok()
    }

    /// As JSON. Numbers are strings by now.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Truth(truth) => (*truth).into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.clone().into(),
            Self::Record(members) => {
                let members = members.iter().map(|(name, atom)| (name.clone(), atom.to_json()));
                serde_json::Value::Object(members.collect())
            }
        }
    }
}

/// As a reader knows it: `null`, `true`, `17`, `""`, `"a b"`, `[1, 2]`. Quotes only where they are needed.
impl fmt::Display for Atom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Truth(truth) => write!(formatter, "{truth}"),
            Self::Text(text) if is_plain(text) => formatter.write_str(text),
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::List(items) => write!(formatter, "[{}]", items.join(", ")),
            Self::Record(members) => {
                let members: Vec<_> = members.iter().map(|(name, atom)| format!("{name}: {atom}")).collect();
                write!(formatter, "{{{}}}", members.join(", "))
            }
        }
    }
}

/// True if a string needs no quotes to be taken for what it is.
fn is_plain(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_.:/<>?#@+".contains(letter);
    !text.is_empty() && text.chars().all(is_plain) && !matches!(text, "null" | "true" | "false")
}

/// Only from JSON: a number is taken as it stands there, for no type of number holds them all.
impl<'de> Deserialize<'de> for Atom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Self::of_json(json.get()).map_err(|error| {
            let message = error.to_string();
            // The place in it is one within the atom.
            de::Error::custom(message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message))
        })
    }
}

impl Atom {
    fn of_json(json: &str) -> serde_json::Result<Self> {
        Ok(match json.bytes().next() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Truth(serde_json::from_str(json)?),
            Some(b'"') => Self::Text(serde_json::from_str(json)?),
            Some(b'[') => {
                let items: Vec<Self> = serde_json::from_str(json)?;
                let text = |item| if let Self::Text(text) = item { text } else { item.to_string() };
                Self::List(items.into_iter().map(text).collect())
            }
            Some(b'{') => {
                let members: BTreeMap<String, Self> = serde_json::from_str(json)?;
                Self::Record(members.into_iter().collect())
            }
            _ => Self::Text(json.to_owned()),
        })
    }
}

/// The atoms of a history and their numbers.
#[derive(Clone, Debug)]
pub struct Names {
    atoms: Vec<Arc<Atom>>,
    values: FxHashMap<Arc<Atom>, Value>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self { atoms: Vec::new(), values: FxHashMap::default() };
        for atom in [Atom::Null, Atom::Truth(true), Atom::Truth(false)] {
            names.intern(atom);
        }
        names
    }
}

impl Names {
    /// The number of an atom, a new one if need be.
    pub fn intern(&mut self, atom: Atom) -> Value {
        match atom {
            Atom::Null if !self.atoms.is_empty() => return NULL,
            _ => {}
        }
        if let Some(&value) = self.values.get(&atom) {
            return value;
        }
        let (value, atom) = (self.atoms.len() as Value, Arc::new(atom));
        self.atoms.push(Arc::clone(&atom));
        self.values.insert(atom, value);
        value
    }

    /// Gives numbers to an atom and to whatever it is made of.
    pub fn intern_all(&mut self, atom: &Atom) {
        self.intern(atom.clone());
        match atom {
            Atom::List(items) => items.iter().for_each(|item| _ = self.intern(Atom::Text(item.clone()))),
            Atom::Record(members) => members.iter().for_each(|(_, member)| self.intern_all(member)),
            _ => {}
        }
    }

    /// The number of an atom, if it has one.
    #[must_use]
    pub fn find(&self, atom: &Atom) -> Option<Value> {
        self.values.get(atom).copied()
    }

    /// The atom that a number stands for.
    ///
    /// # Panics
    /// If no atom has this number.
    #[must_use]
    pub fn atom(&self, value: Value) -> &Atom {
        &self.atoms[value as usize]
    }

    /// How many atoms there are: their numbers are all smaller.
    #[must_use]
    pub fn len(&self) -> usize {
        self.atoms.len()
    }

    /// Never: the truth values are always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Atom {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_are_the_strings_of_their_digits() {
        assert_eq!(read("17"), read("\"17\""));
        assert_eq!(read("-3").number(), Some(-3));
        // However many, and with those that change nothing.
        assert_ne!(read("100000000000000000001"), read("100000000000000000002"));
        assert_eq!(read("[1.10, -0, 1e400]"), read("[\"1.10\", \"-0\", \"1e400\"]"));
        assert_ne!(read("1.10"), read("1.1"));
        assert_ne!(read("null"), read("\"null\""));
        assert_eq!(read("\"true\"").truth(), Some(true));
        assert_eq!(read("[1, \"2\"]"), read("[\"1\", 2]"));
        assert_eq!(read(r#"{"b": 1, "a": null}"#), read(r#"{"a": null, "b": "1"}"#));
    }

    #[test]
    fn they_are_written_as_a_reader_knows_them() {
        let texts = ["null", "true", "17", "\"\"", "\"a b\"", "[1, 2]", "{a: 1}"];
        let atoms = ["null", "true", "17", "\"\"", "\"a b\"", "[1,2]", "{\"a\":1}"].map(read);
        assert_eq!(atoms.map(|atom| atom.to_string()), texts);
    }

    #[test]
    fn equal_atoms_have_equal_numbers() {
        let mut names = Names::default();
        assert_eq!([read("null"), read("true"), read("false")].map(|atom| names.intern(atom)), [0, 1, 2]);
        let (one, two) = (names.intern(read("1")), names.intern(read("2")));
        assert_eq!((names.intern(read("\"1\"")), one == two), (one, false));
        assert_eq!(names.atom(two).text(), Some("2"));
    }
}
