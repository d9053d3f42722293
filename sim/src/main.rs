//! `sim`: simulates Viewstamped Replication from the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::cli::main()
}
