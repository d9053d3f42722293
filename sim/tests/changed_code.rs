//! Shrunk traces replay by their decisions on a simulator whose code has changed.
//!
//! The change is a real one: a copy of the source is patched and built. A hook that pretends to draw more,
//! or to number messages otherwise, would only show what the hook was thought to do. Building takes a
//! minute, hence the test runs on demand: `cargo test -p sim --test changed_code -- --ignored`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use sim::bugs;
use sim::registry;
use sim::scenario::{Overrides, Scenario};
use sim::selftest::{self, Terms};
use sim::shrink::{Limits, shrink};

/// Bugs that are found at once, of every family.
const BUGS: [&str; 9] = ["M-N9", "M-Q2", "M-V2", "M-V4", "M-R1", "M-S4", "M-C7", "M-C4", "M-T4a"];

/// A place in a file, and what comes there instead.
struct Patch {
    file: &'static str,
    old: &'static str,
    new: &'static str,
}

const fn patch(file: &'static str, old: &'static str, new: &'static str) -> Patch {
    Patch { file, old, new }
}

/// Every stream of random numbers is one draw further from its beginning on, but those of the nodes' own jitter:
/// nothing is drawn there but what the nodes themselves ask for, and where two of them race for the next view,
/// their jitter is what decides.
const A_DRAW_MORE: &[Patch] = &[patch(
    "sim/src/random.rs",
    "    random.set_stream(purpose.number());\n",
    "    random.set_stream(purpose.number());\n    if !matches!(purpose, Purpose::Jitter(_)) {\n        let _: u64 = random.random();\n    }\n",
)];

/// With each heartbeat the primary sends a message of a new kind, which nobody minds. It comes first, so
/// all others are numbered anew, and with them what is derived from their numbers.
const A_MESSAGE_MORE: &[Patch] = &[
    patch(
        "vr/src/message.rs",
        "pub enum Payload<S: Service> {\n",
        "pub enum Payload<S: Service> {\n    /// Nothing.\n    Ping,\n",
    ),
    patch(
        "vr/src/message.rs",
        "            Self::Prepare(inner) => Self::Prepare(",
        "            Self::Ping => Self::Ping,\n            Self::Prepare(inner) => Self::Prepare(",
    ),
    patch(
        "vr/src/message.rs",
        "            Self::Prepare(inner) => inner.fmt(",
        "            Self::Ping => formatter.write_str(\"Ping\"),\n            Self::Prepare(inner) => inner.fmt(",
    ),
    patch("vr/src/message.rs", "pub enum MessageKind {\n", "pub enum MessageKind {\n    Ping,\n"),
    patch(
        "vr/src/message.rs",
        "            Self::Prepare(_) => MessageKind::Prepare,\n",
        "            Self::Ping => MessageKind::Ping,\n            Self::Prepare(_) => MessageKind::Prepare,\n",
    ),
    patch(
        "vr/src/replica.rs",
        "            Payload::Prepare(prepare) => self",
        "            Payload::Ping => {}\n            Payload::Prepare(prepare) => self",
    ),
    patch(
        "vr/src/replica/normal.rs",
        "            self.broadcast(&Payload::Commit(",
        "            self.broadcast(&Payload::Ping, outbox);\n            self.broadcast(&Payload::Commit(",
    ),
    patch("sim/src/packet.rs", "pub enum Kind {\n", "pub enum Kind {\n    Ping,\n"),
    patch(
        "sim/src/packet.rs",
        "pub const ALL: [Self; 14] = [\n",
        "pub const ALL: [Self; 15] = [\n        Self::Ping,\n",
    ),
    patch(
        "sim/src/packet.rs",
        "            MessageKind::Prepare => Self::Prepare,\n",
        "            MessageKind::Ping => Self::Ping,\n            MessageKind::Prepare => Self::Prepare,\n",
    ),
    patch(
        "sim/src/packet.rs",
        "        Payload::Prepare(prepare) => prepare.op_number.0,\n",
        "        Payload::Ping => 0,\n        Payload::Prepare(prepare) => prepare.op_number.0,\n",
    ),
    patch(
        "sim/src/packet.rs",
        "!matches!(self, Self::Prepare |",
        "!matches!(self, Self::Ping | Self::Prepare |",
    ),
    patch(
        "sim/src/chronicle/describe.rs",
        "        Payload::PrepareOk(ok) => fields",
        "        Payload::Ping => {}\n        Payload::PrepareOk(ok) => fields",
    ),
    patch(
        "sim/src/story/phrases.rs",
        "        Kind::Prepare | Kind::PrepareOk => format!",
        "        Kind::Ping => \"Ping\".to_owned(),\n        Kind::Prepare | Kind::PrepareOk => format!",
    ),
    patch(
        "sim/src/view/picture.rs",
        "        Kind::Prepare | Kind::PrepareOk | Kind::Commit =>",
        "        Kind::Ping | Kind::Prepare | Kind::PrepareOk | Kind::Commit =>",
    ),
    patch(
        "sim/src/view/words.rs",
        "        Kind::Request => format!",
        "        Kind::Ping => format!(\"{from} pings {to}\"),\n        Kind::Request => format!",
    ),
    patch(
        "sim/src/view/words.rs",
        "        Kind::Request => \"sends the request\"",
        "        Kind::Ping => \"pings\".to_owned(),\n        Kind::Request => \"sends the request\"",
    ),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder can be made");
        for entry in fs::read_dir(from).expect("readable") {
            let name = entry.expect("an entry").file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).expect("copied");
    }
}

/// Builds `sim` from a copy of the source with patches.
fn build(name: &str, patches: &[&[Patch]]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("changed-code");
    let source = folder.join(name);
    if source.exists() {
        fs::remove_dir_all(&source).expect("removed");
    }
    fs::create_dir_all(&source).expect("a folder can be made");
    for part in ["Cargo.toml", "Cargo.lock", "scenarios", "vr", "sim"] {
        copy(&workspace().join(part), &source.join(part));
    }
    for Patch { file, old, new } in patches.iter().copied().flatten() {
        let path = source.join(file);
        let text = fs::read_to_string(&path).expect("copied");
        assert_eq!(text.matches(old).count(), 1, "{file} has changed: where does {old:?} belong now?");
        fs::write(&path, text.replacen(old, new, 1)).expect("written");
    }
    let target = folder.join("target");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--package", "sim", "--bin", "sim", "--target-dir"])
        .arg(&target)
        .current_dir(&source)
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let binary = folder.join(format!("sim-{name}"));
    fs::copy(target.join("debug/sim"), &binary).expect("built");
    binary
}

fn run(binary: &Path, arguments: &[&str]) -> Output {
    Command::new(binary).args(arguments).output().expect("it runs")
}

/// Shrinks the first trace of each bug, and writes the results.
fn shrunk_traces() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("changed-code/traces");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let shrunk = BUGS.map(|name| {
        let bug = bugs::find(name).expect("planted");
        let seed = selftest::hunt(bug, &Terms::of(bug, 0)).found.expect("found").seed;
        let scenario = Scenario::find(bug.scenario).expect("built in");
        let setup = Arc::new(scenario.resolve(seed, &Overrides::default()));
        let (_, trace) = registry::record(&setup, Some(bug)).expect("a known workload");
        let limits = Limits { steps: u64::MAX, stop: &|| false };
        let small = shrink(&trace, &limits, &mut |_| {}).expect("it fails").trace;
        let path = folder.join(format!("{name}.trace.jsonl"));
        small.write(&path).expect("written");
        path
    });
    shrunk.to_vec()
}

#[test]
#[ignore = "builds two changed copies of the simulator, which takes minutes"]
fn shrunk_traces_replay_on_changed_code() {
    let traces = shrunk_traces();
    for (name, patches) in [("draw", vec![A_DRAW_MORE]), ("both", vec![A_DRAW_MORE, A_MESSAGE_MORE])] {
        let binary = build(name, &patches);
        // The change is one: a seed gives another run than before.
        let seed = ["run", "--seed", "42", "--steps", "1000"];
        let before = run(Path::new(env!("CARGO_BIN_EXE_sim")), &seed);
        assert_ne!(run(&binary, &seed).stdout, before.stdout, "{name}");
        for path in &traces {
            let output = run(&binary, &["replay", path.to_str().expect("a name in UTF-8")]);
            let page = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(1), "{name}, {}: {page}", path.display());
        }
    }
}
