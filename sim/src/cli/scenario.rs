//! `sim scenario`: what scenarios there are, whether a file is one, and what becomes of it at a seed.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;

use super::check_workloads;
use super::exit::Exit;
use crate::scenario::{Overrides, Scenario, ScenarioError};

/// What `sim scenario` can do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// List the built-in scenarios, with what each is for.
    List {
        /// List the stories instead: schedules that are told step by step.
        #[arg(long)]
        stories: bool,
    },
    /// Check scenario files: prints "FILE: ok" for each that is valid, and what is wrong with the others.
    ///
    /// Exits with 2 if any is not valid.
    Check {
        /// Scenario files (JSON).
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Show a scenario as it is written or, with --seed, as it runs.
    Show {
        /// The name of a built-in scenario, or a scenario file.
        #[arg(value_name = "NAME")]
        scenario: String,
        /// Decide everything that the scenario leaves open as this seed does, and show the result.
        #[arg(long, value_name = "SEED", value_parser = super::number)]
        seed: Option<u64>,
    },
}

/// Runs `sim scenario`. Returns the exit code: 0, or 2 for a scenario that cannot be used.
#[must_use]
pub(crate) fn run(command: &ScenarioCommand) -> u8 {
    match execute(command, &mut io::stdout().lock(), &mut io::stderr().lock()) {
        Ok(code) => code,
        // Whoever reads the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Held.code(),
        Err(error) => {
            eprintln!("cannot write the output: {error}");
            Exit::Usage.code()
        }
    }
}

fn execute(command: &ScenarioCommand, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    match command {
        ScenarioCommand::List { stories: false } => list(Scenario::builtin(), out),
        ScenarioCommand::List { stories: true } => list(Scenario::stories(), out),
        ScenarioCommand::Check { files } => check(files, out, err),
        ScenarioCommand::Show { scenario, seed } => match shown(scenario, *seed) {
            Ok(text) => writeln!(out, "{}", text.trim_end()).and(Ok(Exit::Held.code())),
            Err(error) => writeln!(err, "{error}").and(Ok(Exit::Usage.code())),
        },
    }
}

fn list(scenarios: impl Iterator<Item = Scenario>, out: &mut impl Write) -> io::Result<u8> {
    let scenarios: Vec<_> = scenarios.collect();
    let width = scenarios.iter().map(|scenario| scenario.name().len()).max().unwrap_or(0);
    for scenario in &scenarios {
        writeln!(out, "{:width$}  {}", scenario.name(), scenario.description())?;
    }
    Ok(Exit::Held.code())
}

fn check(files: &[PathBuf], out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let mut code = Exit::Held.code();
    for file in files {
        let name = file.display().to_string();
        let scenario = Scenario::load(file).map_err(|error| error.to_string());
        match scenario.and_then(|scenario| check_workloads(&name, &scenario)) {
            Ok(()) => writeln!(out, "{name}: ok")?,
            Err(problem) => {
                writeln!(err, "{problem}")?;
                code = Exit::Usage.code();
            }
        }
    }
    Ok(code)
}

fn shown(scenario: &str, seed: Option<u64>) -> Result<String, ScenarioError> {
    let scenario = Scenario::find(scenario)?;
    Ok(match seed {
        None => scenario.text().to_owned(),
        Some(seed) => serde_json::to_string_pretty(&scenario.resolve(seed, &Overrides::default()))
            .expect("a setup has string keys only"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(command: &ScenarioCommand) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = execute(command, &mut out, &mut err).unwrap();
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn file(path: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    #[test]
    fn the_list_has_a_line_for_each_scenario() {
        let (code, out, err) = outcome(&ScenarioCommand::List { stories: false });
        assert_eq!((code, err.as_str()), (Exit::Held.code(), ""));
        assert_eq!(out.lines().count(), Scenario::builtin().count());
        assert!(out.starts_with("swarm                   Everything, mixed anew for each seed"), "{out}");
        assert!(out.contains("\nclock-drift-and-pauses  Clocks disagree"), "{out}");
        let (code, stories, _) = outcome(&ScenarioCommand::List { stories: true });
        assert_eq!((code, stories.lines().count()), (Exit::Held.code(), Scenario::stories().count()));
        assert!(stories.contains("\npublished-recovery "), "{stories}");
    }

    #[test]
    fn a_check_says_ok_or_what_is_wrong() {
        let (good, bad) = (file("scenarios/calm.json"), file("Cargo.toml"));
        let (code, out, err) = outcome(&ScenarioCommand::Check { files: vec![bad.clone(), good.clone()] });
        assert_eq!(code, Exit::Usage.code());
        assert_eq!(out, format!("{}: ok\n", good.display()));
        assert!(err.starts_with(&format!("{}:1:2: ", bad.display())), "{err}");
        assert_eq!(err.lines().count(), 1);
        assert_eq!(outcome(&ScenarioCommand::Check { files: vec![good] }).0, Exit::Held.code());
    }

    #[test]
    fn show_prints_the_file_or_the_setup_of_a_seed() {
        let show =
            |scenario: &str, seed| outcome(&ScenarioCommand::Show { scenario: scenario.to_owned(), seed });
        let calm = Scenario::find("calm").unwrap();
        assert_eq!(show("calm", None), (Exit::Held.code(), calm.text().to_owned(), String::new()));
        let (code, out, _) = show("calm", Some(7));
        let setup: crate::setup::Setup = serde_json::from_str(&out).unwrap();
        assert_eq!((code, setup), (Exit::Held.code(), calm.resolve(7, &Overrides::default())));
        let (code, out, err) = show("clam", None);
        assert_eq!((code, out.as_str()), (Exit::Usage.code(), ""));
        assert!(
            err.starts_with("clam: no such scenario: expected a JSON file or one of swarm, calm, "),
            "{err}"
        );
    }
}
