//! `sim`: simulates Viewstamped Replication from the command line.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cli::main())
}
