//! Why a scenario is refused.

use std::fmt;

use super::schema::Schema;
use crate::stage::Misspoken;

/// Why a scenario is refused. One line each: where, what was found, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScenarioError {
    /// The file cannot be read.
    Unreadable {
        /// The file, as it was asked for.
        file: String,
        /// What the operating system says.
        problem: String,
    },
    /// The text is not JSON, names a field that does not exist, or gives a field a value of another type.
    Syntax {
        /// The file, as it was asked for.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What was found and what was expected there.
        problem: String,
    },
    /// A field has a value that is not allowed, or that contradicts another field.
    Field {
        /// The file, as it was asked for.
        file: String,
        /// The path of the field, such as `faults.crash.targets[1]`.
        field: String,
        /// What was found and what is allowed.
        problem: String,
    },
    /// Neither a built-in scenario nor a file.
    Unknown {
        /// What was asked for.
        name: String,
        /// The names of the built-in scenarios.
        known: Vec<&'static str>,
    },
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, problem } => write!(formatter, "{file}: {problem}"),
            Self::Syntax { file, line, column, problem } => {
                write!(formatter, "{file}:{line}:{column}: {problem}")
            }
            Self::Field { file, field, problem } => write!(formatter, "{file}: {field}: {problem}"),
            Self::Unknown { name, known } => {
                write!(
                    formatter,
                    "{name}: no such scenario: expected a JSON file or one of {}",
                    known.join(", ")
                )
            }
        }
    }
}

impl std::error::Error for ScenarioError {}

/// A field that is refused, before it is known in which file.
#[derive(Debug)]
pub(super) struct Refusal {
    field: String,
    problem: String,
}

impl Refusal {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The same, of a part of `field`.
    pub(super) fn within(self, field: &str) -> Self {
        Self { field: format!("{field}{}", self.field), ..self }
    }

    pub(super) fn into_text(self) -> String {
        format!("{}: {}", self.field, self.problem)
    }

    pub(super) fn in_file(self, file: &str) -> ScenarioError {
        ScenarioError::Field { file: file.to_owned(), field: self.field, problem: self.problem }
    }
}

/// An error of the JSON parser: its position goes in front of the line, not behind it.
pub(super) fn syntax(file: &str, error: &serde_json::Error) -> ScenarioError {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let position = format!(" at line {line} column {column}");
    let problem = text.strip_suffix(&position).unwrap_or(&text).to_owned();
    ScenarioError::Syntax { file: file.to_owned(), line, column, problem }
}

/// A sentence that is no step, where it stands in the text of the file.
pub(super) fn misspoken_in(file: &str, text: &str, schema: &Schema, misspoken: &Misspoken) -> ScenarioError {
    let sentence = schema.story.as_ref().map_or("", |story| &story.sentences()[misspoken.sentence]);
    let quoted = serde_json::to_string(sentence).expect("a text can be written");
    // Sentences that are written with needless escapes are not found: then the story's beginning has to do.
    let place =
        text.find(&quoted).map_or_else(|| text.find("\"story\""), |at| Some(at + 1 + misspoken.offset));
    let before = &text[..place.unwrap_or(0)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    ScenarioError::Syntax { file: file.to_owned(), line, column, problem: misspoken.to_string() }
}
