//! `sim completions` and `sim man`: what shells and `man` know of the command line.

use std::path::PathBuf;

use clap::{Args, Command, ValueHint};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::code;

use super::exit::Exit;
use super::{files, text};

/// For which shell.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  source <(sim completions bash)                                      in this shell
  sim completions bash > ~/.local/share/bash-completion/completions/sim
  sim completions zsh > \"${fpath[1]}/_sim\"
  sim completions fish > ~/.config/fish/completions/sim.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Where to put the pages.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  sim man | man -l -                          read the page of `sim`
  sim man -o ~/.local/share/man/man1          install a page for each subcommand: man sim-sweep")]
pub(crate) struct ManArgs {
    /// Write a page for each subcommand into this folder, instead of printing the one of `sim`
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    output: Option<PathBuf>,
}

/// Runs `sim completions`. Returns the exit code.
#[must_use]
pub(crate) fn run(args: &CompletionsArgs, mut command: Command) -> u8 {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let script = if args.shell == Shell::Fish { with_scenario_files(&script) } else { script };
    text::print(&script, Exit::Held).code()
}

/// The script for fish, with files offered beside the names of scenarios: clap knows values or files, not both.
/// (Bash offers files by itself where no name fits; zsh offers the names.)
fn with_scenario_files(script: &str) -> String {
    let line = |line: &str| {
        if line.contains(" -l scenario ") {
            line.replacen(" -r -f -a ", " -r -F -a ", 1)
        } else {
            line.to_owned()
        }
    };
    script.split_inclusive('\n').map(line).collect()
}

/// Runs `sim man`. Returns the exit code.
#[must_use]
pub(crate) fn man(args: &ManArgs, command: Command) -> u8 {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.output else {
        return text::print(&page(command).1, Exit::Held).code();
    };
    let mut commands = vec![command];
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        let (name, page) = page(command);
        if let Err(problem) = files::replace(&folder.join(name), page.as_bytes()) {
            text::complain(&problem);
            return Exit::Usage.code();
        }
    }
    Exit::Held.code()
}

/// The page of a command, and the name of its file.
fn page(command: Command) -> (String, String) {
    let man = Man::new(command).manual("User Commands").source(format!("sim {}", code::VERSION));
    let mut page = Vec::new();
    man.render(&mut page).expect("memory takes everything");
    (man.get_filename(), unfilled(&String::from_utf8_lossy(&page)))
}

/// The page with indented lines left as they are: they are examples and tables, not prose to fill lines with.
fn unfilled(page: &str) -> String {
    let mut kept = String::new();
    let mut is_indented = false;
    for line in page.lines() {
        if line.starts_with(' ') != is_indented {
            is_indented = !is_indented;
            kept.push_str(if is_indented { ".nf\n" } else { ".fi\n" });
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}
