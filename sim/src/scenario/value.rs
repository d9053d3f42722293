//! Values that are fixed, or drawn for each seed.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use rand_chacha::ChaCha8Rng;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::digest;
use crate::random::{self, Draw, Purpose};

use super::error::Refusal;

/// A whole number: `5`, `{"between": [low, high]}` or `{"choose": [values]}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// The same in every seed.
    Fixed(u64),
    /// From the first to the second, both included, each order of magnitude as likely as another.
    Between([u64; 2]),
    /// One of these, each as likely as another; they may be draws themselves. List one twice to make it
    /// twice as likely.
    Choose(Vec<Number>),
}

/// A list: `[items]`, or `{"some_of": [items]}` for a subset with at least one item, each subset as likely
/// as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<T> {
    /// The same in every seed.
    Fixed(Vec<T>),
    /// Some of these.
    SomeOf(Vec<T>),
}

/// A name: `"name"`, or `{"choose": ["name", …]}`, each as likely as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// The same in every seed.
    Fixed(String),
    /// One of these.
    Choose(Vec<String>),
}

impl Name {
    /// All that can be drawn.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::Fixed(name) => std::slice::from_ref(name),
            Self::Choose(names) => names,
        };
        names.iter().map(String::as_str)
    }

    /// The first that can be drawn and is none of these.
    pub(super) fn other_than(&self, allowed: &[&str]) -> Option<&str> {
        self.all().find(|name| !allowed.contains(name))
    }
}

/// The most items of a [`Selection`]: a subset is drawn as one machine word.
const ITEMS_MAX: usize = 32;

/// The draws of one seed. Each field has a stream of its own, found by the field's path: a field that is
/// added, or drawn in another way, moves no other.
pub(super) struct Draws {
    seed: u64,
}

impl Draws {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Draws the number at `field`, once all that could be drawn there is known to be `allowed`.
    pub(super) fn number<T: TryFrom<u64>>(
        &self,
        field: &str,
        number: &Option<Number>,
        allowed: RangeInclusive<u64>,
    ) -> Result<T, Refusal> {
        let number = given(field, number)?;
        number.check(field, &allowed)?;
        let drawn = number.draw(&mut self.stream(field));
        T::try_from(drawn).map_err(|_| Refusal::new(field, format!("{drawn} is too large")))
    }

    /// Draws the list at `field`.
    pub(super) fn selection<T: Copy + PartialEq>(
        &self,
        field: &str,
        selection: &Option<Selection<T>>,
    ) -> Result<Vec<T>, Refusal> {
        let selection = given(field, selection)?;
        selection.check(field)?;
        Ok(selection.draw(&mut self.stream(field)))
    }

    /// Draws the name at `field`.
    pub(super) fn name(&self, field: &str, name: &Option<Name>) -> Result<String, Refusal> {
        let name = given(field, name)?;
        name.check(field)?;
        Ok(name.draw(&mut self.stream(field)))
    }

    /// Whether a fault family that is on in `percent` of the seeds is on in this one.
    pub(super) fn is_on(&self, field: &str, percent: u64) -> Result<bool, Refusal> {
        Number::Fixed(percent).check(field, &(0..=100))?;
        Ok(self.stream(field).below(100) < percent)
    }

    fn stream(&self, field: &str) -> ChaCha8Rng {
        random::stream(digest::mix(self.seed, digest::of(field)), Purpose::Scenario)
    }
}

/// Fields that are left out have been filled in from the defaults, so what is missing was `null`.
fn given<'a, T>(field: &str, value: &'a Option<T>) -> Result<&'a T, Refusal> {
    value.as_ref().ok_or_else(|| {
        Refusal::new(field, "null is allowed for fault families only: leave the field out for its default")
    })
}

impl Number {
    /// The smallest number that can be drawn.
    pub(super) fn lowest(&self) -> u64 {
        match self {
            Self::Fixed(number) => *number,
            Self::Between([low, _]) => *low,
            Self::Choose(values) => values.iter().map(Self::lowest).min().unwrap_or(0),
        }
    }

    /// The largest number that can be drawn.
    pub(super) fn highest(&self) -> u64 {
        match self {
            Self::Fixed(number) => *number,
            Self::Between([_, high]) => *high,
            Self::Choose(values) => values.iter().map(Self::highest).max().unwrap_or(0),
        }
    }

    fn check(&self, field: &str, allowed: &RangeInclusive<u64>) -> Result<(), Refusal> {
        self.is_allowed(allowed).map_err(|refusal| refusal.within(field))
    }

    /// Says where what is refused is from here on: a path is put together once one is needed, as this is looked at
    /// for each seed.
    fn is_allowed(&self, allowed: &RangeInclusive<u64>) -> Result<(), Refusal> {
        match self {
            Self::Fixed(number) => is_in_range(*number, allowed),
            Self::Between([low, high]) => {
                if *low == 0 {
                    let problem =
                        "0 is no bound of a logarithmic draw: start at 1, or choose among 0 and others";
                    return Err(Refusal::new(".between[0]", problem));
                }
                if low > high {
                    let problem = format!("{low} is more than {high}: the lower bound comes first");
                    return Err(Refusal::new(".between", problem));
                }
                is_in_range(*low, allowed).map_err(|refusal| refusal.within(".between[0]"))?;
                is_in_range(*high, allowed).map_err(|refusal| refusal.within(".between[1]"))
            }
            Self::Choose(values) => {
                is_not_empty(values).map_err(|refusal| refusal.within(".choose"))?;
                values.iter().enumerate().try_for_each(|(index, value)| {
                    let within = |refusal: Refusal| refusal.within(&format!(".choose[{index}]"));
                    value.is_allowed(allowed).map_err(within)
                })
            }
        }
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> u64 {
        match self {
            Self::Fixed(number) => *number,
            Self::Between([low, high]) => random.log_uniform(*low, *high),
            Self::Choose(values) => values[random.below(values.len() as u64) as usize].draw(random),
        }
    }
}

fn is_in_range(number: u64, allowed: &RangeInclusive<u64>) -> Result<(), Refusal> {
    if allowed.contains(&number) {
        return Ok(());
    }
    let (low, high) = (allowed.start(), allowed.end());
    Err(Refusal::new("", format!("{number} is out of range: {low} to {high} is allowed")))
}

fn is_not_empty<T>(items: &[T]) -> Result<(), Refusal> {
    match items {
        [] => Err(Refusal::new("", "the list is empty: at least one item is needed")),
        _ => Ok(()),
    }
}

fn is_a_set<T: PartialEq>(items: &[T]) -> Result<(), Refusal> {
    is_not_empty(items)?;
    if items.len() > ITEMS_MAX {
        let problem = format!("{} items: at most {ITEMS_MAX} are allowed", items.len());
        return Err(Refusal::new("", problem));
    }
    match (1..items.len()).find(|&index| items[..index].contains(&items[index])) {
        Some(index) => Err(Refusal::new(format!("[{index}]"), "the item is in the list already")),
        None => Ok(()),
    }
}

impl<T: Copy + PartialEq> Selection<T> {
    fn check(&self, field: &str) -> Result<(), Refusal> {
        let (part, items) = match self {
            Self::Fixed(items) => ("", items),
            Self::SomeOf(items) => (".some_of", items),
        };
        is_a_set(items).map_err(|refusal| refusal.within(part).within(field))
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> Vec<T> {
        match self {
            Self::Fixed(items) => items.clone(),
            Self::SomeOf(items) => {
                // Each bit stands for an item, and zero for the empty subset.
                let subset = random.below((1 << items.len()) - 1) + 1;
                let chosen = items.iter().enumerate().filter(|(index, _)| subset >> index & 1 == 1);
                chosen.map(|(_, &item)| item).collect()
            }
        }
    }
}

impl Name {
    fn check(&self, field: &str) -> Result<(), Refusal> {
        match self {
            Self::Fixed(_) => Ok(()),
            Self::Choose(names) => {
                is_not_empty(names).map_err(|refusal| refusal.within(".choose").within(field))
            }
        }
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> String {
        match self {
            Self::Fixed(name) => name.clone(),
            Self::Choose(names) => names[random.below(names.len() as u64) as usize].clone(),
        }
    }
}

// The parsers are written out because serde's untagged enums do not say what they found.

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(r#"a whole number, {"between": [low, high]} or {"choose": [values]}"#)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        Ok(Number::Fixed(number))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Number, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            between: Option<[u64; 2]>,
            choose: Option<Vec<Number>>,
        }
        match Fields::deserialize(MapAccessDeserializer::new(map))? {
            Fields { between: Some(bounds), choose: None } => Ok(Number::Between(bounds)),
            Fields { between: None, choose: Some(values) } => Ok(Number::Choose(values)),
            _ => Err(A::Error::custom("expected either `between` or `choose`")),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Selection<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SelectionVisitor(PhantomData))
    }
}

struct SelectionVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SelectionVisitor<T> {
    type Value = Selection<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(r#"a list or {"some_of": [items]}"#)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Selection<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(Selection::Fixed)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Selection<T>, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields<T> {
            some_of: Vec<T>,
        }
        let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Selection::SomeOf(fields.some_of))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(r#"a name or {"choose": [names]}"#)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
        Ok(Name::Fixed(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Name, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            choose: Vec<String>,
        }
        let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Name::Choose(fields.choose))
    }
}
