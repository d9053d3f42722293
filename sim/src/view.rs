//! A run as a page: one file that opens in any browser, without a network. Time goes downwards, each
//! replica and client has a lane, messages are arrows, and what went wrong is a red link between the two
//! facts that contradict each other.
//!
//! A long run has more steps than anybody wants to see. The page starts with the causal past of the
//! violation (or the end of a run that held), at most [`START_STEPS`] steps of it, and says what is left
//! out. The whole run is in the same file, compressed, and read when it is asked for.

pub mod model;
pub mod past;
pub mod picture;
pub mod words;

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::chronicle::{Chronicle, Effect};
use crate::explain::{Explanation, Point};
use crate::run::Report;
use crate::trace::Head;
use model::{Model, Source};

/// How many steps the page starts with at most.
pub const START_STEPS: usize = 1_500;

/// How likely the failure is from points of the run on, as `sim explain` finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Likelihood {
    /// The points, by step.
    pub points: Vec<LikelihoodPoint>,
    /// The steps at which it jumps.
    #[serde(default)]
    pub decisive: Vec<u64>,
}

impl From<&Explanation> for Likelihood {
    fn from(explanation: &Explanation) -> Self {
        let point = |point: &Point| {
            let Point { step, failed, of, .. } = *point;
            LikelihoodPoint { step, failed: failed.into(), of: of.into() }
        };
        Self {
            points: explanation.points.iter().map(point).collect(),
            decisive: explanation.decisive.iter().map(|(_, after)| after.step).collect(),
        }
    }
}

/// How likely the failure is from a step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LikelihoodPoint {
    /// The step.
    pub step: u64,
    /// How many of the runs that went on from there failed.
    pub failed: u64,
    /// How many runs went on from there.
    pub of: u64,
}

/// A page, and what it shows at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The file.
    pub html: String,
    /// How many steps it shows at first.
    pub shown: usize,
    /// How many steps there are.
    pub steps: usize,
    /// Whether it starts with the causal past of a violation.
    pub is_past: bool,
}

/// What the page says of the run as a whole.
#[derive(Debug, Serialize)]
struct About<'a> {
    scenario: &'a str,
    seed: u64,
    bug: Option<&'a str>,
    note: Option<&'a str>,
    workload: &'a str,
    digest: String,
    likelihood: Option<&'a Likelihood>,
}

/// Makes the page of a run. `remark` is something that its reader has to know before all else.
#[must_use]
pub fn page(
    head: &Head,
    report: &Report,
    chronicle: &Chronicle,
    likelihood: Option<&Likelihood>,
    remark: Option<&str>,
) -> Page {
    let source = Source::new(head, report, chronicle);
    let wanted = start(&source, chronicle);
    let model = source.model(&wanted);
    let whole = (!model.is_whole).then(|| source.model(&vec![true; chronicle.steps.len()]));
    let about = About {
        scenario: &head.setup.scenario,
        seed: head.setup.seed,
        bug: head.bug.as_deref(),
        note: remark.or(head.note.as_deref()),
        workload: &head.setup.workload,
        digest: format!("{:016x}", report.digest),
        likelihood,
    };
    let title = format!("seed {} of {}", head.setup.seed, head.setup.scenario);
    let is_past = report.violation().is_some();
    let last = model.violation.as_ref().and_then(|wrong| wrong.facts.last()).map_or(0, |fact| fact.step);
    Page {
        html: html(&title, &about, &model, whole.as_ref()),
        shown: model.steps.iter().filter(|row| !is_past || row.past || row.is_from_outside(last)).count(),
        steps: chronicle.steps.len(),
        is_past,
    }
}

/// Which steps the page starts with: everything if the run is short; the latest of the violation's causal
/// past, with the faults in between; the end of a run that held.
fn start(source: &Source<'_>, chronicle: &Chronicle) -> Vec<bool> {
    let steps = &chronicle.steps;
    if steps.len() <= START_STEPS {
        return vec![true; steps.len()];
    }
    let has_violation = source.past.contains(&true);
    let mut wanted = vec![false; steps.len()];
    let mut room = START_STEPS;
    for index in (0..steps.len()).rev() {
        let from_outside = || {
            steps[index]
                .effects
                .iter()
                .any(|effect| matches!(effect, Effect::Fault(_) | Effect::Told(_) | Effect::Mended(_)))
        };
        let last_fact = || source.targets().last().is_some_and(|&target| index <= target);
        if room > 0 && (!has_violation || source.past[index] || (last_fact() && from_outside())) {
            wanted[index] = true;
            room -= 1;
        }
    }
    wanted
}

// ---- The file ----------------------------------------------------------------------------------------

const TEMPLATE: &str = include_str!("view/page.html");
const COLOURS: &str = include_str!("view/colours.css");
const DIAGRAM_STYLE: &str = include_str!("view/diagram.css");
const PAGE_STYLE: &str = include_str!("view/page.css");
const SCRIPTS: [&str; 5] = [
    include_str!("view/run.js"),
    include_str!("view/diagram.js"),
    include_str!("view/details.js"),
    include_str!("view/minimap.js"),
    include_str!("view/page.js"),
];

fn html(title: &str, about: &About<'_>, model: &Model, whole: Option<&Model>) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let parts = [
        ("{{title}}", title),
        ("{{style}}", [COLOURS, DIAGRAM_STYLE, PAGE_STYLE].concat()),
        ("{{about}}", json(about)),
        ("{{start}}", json(model)),
        ("{{whole}}", whole.map(packed).unwrap_or_default()),
        ("{{script}}", SCRIPTS.concat()),
    ];
    let mut page = String::new();
    let mut rest = TEMPLATE;
    for (name, part) in &parts {
        let (before, after) = rest.split_once(name).expect("the template has every part, in this order");
        let _ = write!(page, "{before}{part}");
        rest = after;
    }
    page.push_str(rest);
    page
}

/// JSON that can stand inside a page: nothing in it ends a script or begins a comment.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data can be written").replace('<', "\\u003c")
}

/// The whole run, compressed, as text.
fn packed(model: &Model) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = serde_json::to_vec(model).map(|bytes| encoder.write_all(&bytes));
    let packed = encoder.finish();
    written.expect("plain data can be written").expect("memory takes everything");
    STANDARD.encode(packed.expect("memory takes everything"))
}
