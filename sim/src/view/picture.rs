//! A part of a run as a picture: the page's diagram with its sentences, for documents. It looks the same in
//! light and dark surroundings as the page does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::model::{Arrow, Band, Bar, Model, Row, Source, State, view_on_page};
use super::{COLOURS, DIAGRAM_STYLE};
use crate::chronicle::Chronicle;
use crate::packet::Kind;
use crate::run::Report;
use crate::trace::Head;

/// How many steps are shown at most.
pub const STEPS: usize = 60;

const WIDTH: f64 = 960.0;
const ROW: f64 = 32.0;
/// Where the first row begins, below the title and the lanes' names.
const TOP: f64 = 84.0;
/// Room below the last row.
const FOOT: f64 = 62.0;
/// Room for the times, and for the bands' bars.
const LEFT: f64 = 104.0;
/// Where the sentences begin.
const WORDS: f64 = 600.0;
const STRIP: f64 = 16.0;
/// Clients have less to show than replicas.
const CLIENT_WIDTH: f64 = 0.7;
/// How wide a letter of a label, and of a sentence, is on average.
const LABEL_LETTER: f64 = 5.6;
const LETTER: f64 = 6.3;
/// The same for bold ones.
const BOLD_LETTER: f64 = 7.2;

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The file: SVG.
    pub svg: String,
    /// How many steps it shows.
    pub shown: usize,
}

/// Draws the steps in `range`: what led to the violation if there is one, else everything; of more than
/// [`STEPS`] steps the last. `None` if there is nothing in the range.
#[must_use]
pub fn picture(
    head: &Head,
    report: &Report,
    chronicle: &Chronicle,
    range: &RangeInclusive<u64>,
) -> Option<Picture> {
    let source = Source::new(head, report, chronicle);
    let mut wanted: Vec<bool> = chronicle.steps.iter().map(|step| range.contains(&step.step)).collect();
    let mut rows = shown(&source.model(&wanted));
    rows.drain(..rows.len().saturating_sub(STEPS));
    let (&first, &last) = (rows.first()?, rows.last()?);
    for (wanted, step) in wanted.iter_mut().zip(&chronicle.steps) {
        *wanted = (first..=last).contains(&step.step);
    }
    let model = source.model(&wanted);
    let title = model.violation.as_ref().map_or_else(
        || format!("seed {} of {}", head.setup.seed, head.setup.scenario),
        |wrong| format!("✗ {} {}: {}", wrong.property, wrong.title, wrong.witness),
    );
    let shown = rows.len();
    Some(Picture { svg: Drawing::new(&model, &rows).svg(&title), shown })
}

/// The numbers of the steps that have a row.
fn shown(model: &Model) -> Vec<u64> {
    let violation = model.violation.as_ref();
    let last = violation.and_then(|wrong| wrong.facts.last()).map_or(u64::MAX, |fact| fact.step);
    let is_shown = |row: &&Row| {
        row.cause != "beginning" && (violation.is_none() || row.past || row.is_from_outside(last))
    };
    model.steps.iter().filter(is_shown).map(|row| row.step).collect()
}

struct Drawing<'a> {
    model: &'a Model,
    /// The indices of the steps that have a row.
    rows: Vec<usize>,
    /// How many rows come before each step.
    position: Vec<usize>,
    /// Where each lane is.
    x: Vec<f64>,
    spacing: f64,
    /// For each message, the index of the step that sends it, and of those in which it arrives.
    sent: BTreeMap<usize, usize>,
    arrived: BTreeMap<usize, Vec<usize>>,
    svg: String,
}

/// How roles look, by their numbers: primary, backup, view change, recovering, then those of who is about to be a
/// member, or is none any more, or not yet; witness.
const ROLE_STYLES: [&str; 9] = [
    "primary",
    "backup",
    "change",
    "recovering",
    "recovering",
    "change",
    "recovering",
    "recovering",
    "witness",
];
const ROLE_PATTERNS: [Option<&str>; 9] =
    [None, None, Some("hatch"), Some("dots"), Some("dots"), Some("hatch"), Some("dots"), Some("dots"), None];

/// A stretch in which a replica's role and view stay the same; no role where it is down.
struct Stretch {
    from: Option<usize>,
    to: usize,
    role: Option<u8>,
    view: u64,
}

impl<'a> Drawing<'a> {
    fn new(model: &'a Model, numbers: &[u64]) -> Self {
        let steps = &model.steps;
        let rows: Vec<usize> =
            (0..steps.len()).filter(|&index| numbers.binary_search(&steps[index].step).is_ok()).collect();
        let before = |index: usize| rows.partition_point(|&row| row < index);
        let position = (0..=steps.len()).map(before).collect();
        let weight = |node: usize| if node < model.replicas { 1.0 } else { CLIENT_WIDTH };
        let spacing = (WORDS - LEFT - 24.0) / (0..model.nodes.len()).map(weight).sum::<f64>();
        let mut left = LEFT + 24.0;
        let lane = |node| {
            left += weight(node) * spacing;
            left - weight(node) * spacing / 2.0
        };
        let x = (0..model.nodes.len()).map(lane).collect();
        let (mut sent, mut arrived) = (BTreeMap::new(), BTreeMap::<usize, Vec<usize>>::new());
        for (index, step) in steps.iter().enumerate() {
            let (first, count) = step.sent.unwrap_or_default();
            sent.extend((first..first + count).map(|message| (message, index)));
            step.message.into_iter().for_each(|message| arrived.entry(message).or_default().push(index));
        }
        Self { model, rows, position, x, spacing, sent, arrived, svg: String::new() }
    }

    fn put(&mut self, text: impl AsRef<str>) {
        self.svg.push_str(text.as_ref());
        self.svg.push('\n');
    }

    fn is_shown(&self, index: usize) -> bool {
        self.rows.binary_search(&index).is_ok()
    }

    /// Where a step is: in the middle of its row, or between rows if it has none.
    fn y(&self, index: usize) -> f64 {
        let half = if self.is_shown(index) { 0.5 } else { 0.0 };
        TOP + (self.position[index.min(self.model.steps.len())] as f64 + half) * ROW
    }

    fn bottom(&self) -> f64 {
        TOP + self.rows.len() as f64 * ROW
    }

    /// The index of the first step with this number or a later one.
    fn at(&self, number: u64) -> usize {
        self.model.steps.partition_point(|step| step.step < number)
    }

    fn svg(mut self, title: &str) -> String {
        let height = self.bottom() + FOOT;
        self.put(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\"><title>{}</title>",
            escape(title)
        ));
        self.put(format!("<style>\n{COLOURS}{DIAGRAM_STYLE}{STYLE}</style>\n{PATTERNS}"));
        self.put("<rect class=\"paper\" width=\"100%\" height=\"100%\" rx=\"6\"/>");
        let model = self.model;
        model.bands.iter().for_each(|band| self.band(band));
        self.lanes();
        (0..model.replicas).for_each(|node| self.states(node));
        model.calls.iter().for_each(|call| self.call(call));
        model.bands.iter().for_each(|band| self.walls(band));
        (0..model.messages.len()).for_each(|message| self.message(message));
        self.link();
        for row in 0..self.rows.len() {
            self.event(row);
        }
        (0..model.replicas).for_each(|node| self.captions(node));
        self.rings();
        for row in 0..self.rows.len() {
            self.sentence(row);
        }
        self.head(title);
        self.put("</svg>");
        self.svg
    }

    fn head(&mut self, title: &str) {
        let style = if self.model.violation.is_some() { "title wrong" } else { "title" };
        self.put(format!("<text class=\"{style}\" x=\"16\" y=\"26\">{}</text>", escape(title)));
        for (node, name) in self.model.nodes.iter().enumerate() {
            let x = self.x[node];
            self.put(format!("<text class=\"name\" x=\"{x:.1}\" y=\"{}\">{name}</text>", TOP - 24.0));
        }
        let y = TOP - 24.0;
        self.put(format!("<text class=\"soft end\" x=\"84\" y=\"{y}\">time, ms</text>"));
        for (nth, line) in LEGEND.iter().enumerate() {
            let y = self.bottom() + 38.0 + nth as f64 * 14.0;
            self.put(format!("<text class=\"soft\" x=\"16\" y=\"{y}\">{line}</text>"));
        }
    }

    fn lanes(&mut self) {
        for x in self.x.clone() {
            let bottom = self.bottom();
            self.put(format!(
                "<line class=\"lane\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>"
            ));
        }
    }

    // ---- What lasts ----------------------------------------------------------------------------------

    /// The rows of a band, if any.
    fn height_of(&self, band: &Band) -> Option<(f64, f64)> {
        let (from, to) = (self.y(self.at(band.step)), self.y(self.at(band.until)).min(self.bottom()));
        let is_in = self.model.steps.first().is_some_and(|step| band.until > step.step);
        (is_in && to > from).then_some((from, to))
    }

    fn band(&mut self, band: &Band) {
        let Some((from, to)) = self.height_of(band) else { return };
        let height = to - from;
        if let (Some(&node), "pause" | "late") = (band.nodes.first(), band.kind) {
            let (left, width) = (self.x[node] - STRIP / 2.0 - 5.0, STRIP + 10.0);
            self.put(format!(
                "<rect class=\"still\" x=\"{left:.1}\" y=\"{from}\" width=\"{width}\" height=\"{height}\" rx=\"4\"/>"
            ));
        } else if band.kind != "core" {
            let (width, bar) = (WORDS - LEFT, LEFT + 3.0);
            self.put(format!(
                "<rect class=\"band\" x=\"{LEFT}\" y=\"{from}\" width=\"{width}\" height=\"{height}\"/>\
                 <rect class=\"bar\" x=\"{bar}\" y=\"{from}\" width=\"7\" height=\"{height}\"/>"
            ));
            for y in [from, to] {
                self.put(format!(
                    "<line class=\"edge\" x1=\"{LEFT}\" x2=\"{WORDS}\" y1=\"{y}\" y2=\"{y}\"/>"
                ));
            }
        }
    }

    /// Walls between lanes that do not hear each other.
    fn walls(&mut self, band: &Band) {
        let Some((from, to)) = self.height_of(band) else { return };
        if band.kind != "partition" {
            return;
        }
        for node in 1..self.x.len() {
            let (there, back) =
                (band.links.contains(&(node - 1, node)), band.links.contains(&(node, node - 1)));
            if there || back {
                let (x, style) = (self.between(node), if there && back { "" } else { " one-way" });
                self.put(format!(
                    "<line class=\"wall{style}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from}\" y2=\"{to}\"/>"
                ));
            }
        }
    }

    /// The middle between a lane and the one before.
    fn between(&self, node: usize) -> f64 {
        f64::midpoint(self.x[node - 1], self.x[node])
    }

    fn stretches(&self, node: usize) -> Vec<Stretch> {
        let steps = &self.model.steps;
        let start = |from, state: Option<&State>| Stretch {
            from,
            to: steps.len(),
            role: state.map(|state| state.0),
            view: state.map_or(0, |state| state.1),
        };
        let mut stretches = vec![start(None, self.model.before[node].state.as_ref())];
        for (index, step) in steps.iter().enumerate() {
            let Some((_, state)) = step.after.iter().find(|(who, _)| *who == node) else { continue };
            let next = start(Some(index), state.as_ref());
            if let Some(last) =
                stretches.last_mut().filter(|last| (last.role, last.view) != (next.role, next.view))
            {
                last.to = index;
                stretches.push(next);
            }
        }
        stretches
    }

    fn states(&mut self, node: usize) {
        let x = self.x[node];
        let left = x - STRIP / 2.0;
        for stretch in self.stretches(node) {
            let (from, to) = (stretch.from.map_or(TOP, |from| self.y(from)), self.y(stretch.to));
            let height = to - from;
            if height <= 0.0 {
                continue;
            }
            let Some(role) = stretch.role else {
                self.put(format!(
                    "<line class=\"down\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from}\" y2=\"{to}\"/>"
                ));
                continue;
            };
            let place = format!("x=\"{left:.1}\" y=\"{from}\" width=\"{STRIP}\" height=\"{height}\"");
            let role_style = ROLE_STYLES[usize::from(role)];
            self.put(format!("<rect class=\"state {role_style} {}\" {place}/>", stretch.colour()));
            if let Some(pattern) = ROLE_PATTERNS[usize::from(role)] {
                self.put(format!("<rect fill=\"url(#{pattern})\" {place}/>"));
            }
        }
    }

    /// The names of views and roles, where they begin.
    fn captions(&mut self, node: usize) {
        for stretch in self.stretches(node) {
            let y = stretch.from.map_or(TOP - 15.0, |from| self.y(from) + ROW * 0.22);
            if self.y(stretch.to) - y.max(TOP) < 4.0 && stretch.to < self.model.steps.len() {
                continue;
            }
            let text = stretch.name();
            let width = text.chars().count() as f64 * LABEL_LETTER + 12.0;
            let (x, left) = (self.x[node], self.x[node] - width / 2.0);
            let colour = stretch.colour();
            self.put(format!(
                "<rect class=\"pill {colour}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"7\"/>\
                 <text class=\"pill-text\" x=\"{x:.1}\" y=\"{:.1}\">{text}</text>",
                y + 10.5
            ));
        }
    }

    fn call(&mut self, call: &Bar) {
        let steps = &self.model.steps;
        let (first, last) =
            (steps.first().map_or(0, |step| step.step), steps.last().map_or(0, |step| step.step));
        let end = call.end.or(call.given_up);
        if call.step > last || end.is_some_and(|end| end < first) {
            return;
        }
        let (from, to) = (self.y(self.at(call.step)), end.map_or(self.bottom(), |end| self.y(self.at(end))));
        let is_wrong = call.is_refused || (call.end.is_some() && call.point.is_none());
        let style = format!(
            "{}{}",
            if call.end.is_none() { " open" } else { "" },
            if is_wrong { " wrong" } else { "" }
        );
        let x = self.x[call.node];
        let (left, height) = (x - 6.0, to - from);
        self.put(format!(
            "<rect class=\"call{style}\" x=\"{left:.1}\" y=\"{from}\" width=\"12\" height=\"{height}\" rx=\"3\"/>"
        ));
        if let Some((step, node, _)) = call.point.filter(|&(step, ..)| (first..=last).contains(&step)) {
            let (y, other) = (self.y(self.at(step)), self.x[node]);
            self.put(format!(
                "<line class=\"point-line\" x1=\"{other:.1}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{y}\"/>\
                 <path class=\"point\" d=\"M{x:.1} {}l6 6-6 6-6-6z\"/>",
                y - 6.0
            ));
        } else if is_wrong {
            let (left, y) = (x - 10.0, f64::midpoint(from, to) + 4.0);
            self.put(format!("<text class=\"nowhere end halo\" x=\"{left:.1}\" y=\"{y}\">⊘ no point</text>"));
        }
    }

    // ---- Messages ------------------------------------------------------------------------------------

    fn message(&mut self, number: usize) {
        let message = &self.model.messages[number];
        let style = group(Kind::ALL[message.kind]);
        let (from, to) = (self.x[message.from], self.x[message.to]);
        let sent = self.sent.get(&number).copied().filter(|&index| self.is_shown(index));
        let arrived: Vec<usize> = self
            .arrived
            .get(&number)
            .into_iter()
            .flatten()
            .copied()
            .filter(|&index| self.is_shown(index))
            .collect();
        let side = (to - from).signum();
        let start = from + side * STRIP / 2.0;
        for (nth, &index) in arrived.iter().enumerate() {
            let (end, y) = (to - side * (STRIP / 2.0 + 1.0), self.y(index));
            // Who sent it is not in the picture: only the end is drawn.
            let (x1, y1) =
                sent.map_or((to + (from - to) * 0.35, y - ROW * 0.6), |sent| (start, self.y(sent)));
            let befell = match message.fate {
                _ if nth > 0 => "copy",
                Some("held" | "late") => "held",
                _ => "",
            };
            let is_lost = self.model.steps[index].cause == "nobody";
            self.arrow(&format!("{style} {befell}"), (x1, y1), (end, y), if is_lost { "" } else { style });
            let note = if nth > 0 { Some("copy") } else { message.fate.filter(|&fate| fate != "twice") };
            if let (Some(note), Some(_)) = (note, sent) {
                let (x, y) = (f64::midpoint(x1, end), f64::midpoint(y1, y) - 3.0);
                self.put(format!(
                    "<text class=\"small halo centre\" x=\"{x:.1}\" y=\"{y:.1}\">{note}</text>"
                ));
            }
        }
        if let (Some(sent), []) = (sent, arrived.as_slice()) {
            let y = self.y(sent);
            self.unfinished(message, style, (start, y), self.model.steps[sent].step);
        }
    }

    /// A message that ends on its way, or arrives outside of the picture.
    fn unfinished(&mut self, message: &Arrow, style: &str, (start, y): (f64, f64), step: u64) {
        let (from, to) = (self.x[message.from], self.x[message.to]);
        let end = if message.cut { self.cut_at(message, step) } else { from + (to - from) * 0.45 };
        let far = (end - from).abs() / self.spacing;
        let y2 = y + ROW * (0.35 + 0.35 * far).min(0.9);
        self.arrow(style, (start, y), (end, y2), "");
        if message.dropped.is_some() {
            let (left, top) = (end - 5.0, y2 - 5.0);
            self.put(format!("<path class=\"cross {style}\" d=\"M{left:.1} {top:.1}l10 10m0-10l-10 10\"/>"));
            return;
        }
        let (dx, dy) = (end - start, y2 - y);
        for dot in [5.0, 11.0, 17.0] {
            let (x, y) = (end + dx / dx.hypot(dy) * dot, y2 + dy / dx.hypot(dy) * dot);
            self.put(format!("<circle class=\"more {style}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.6\"/>"));
        }
    }

    /// Where a message is cut: at the wall on its way, else halfway.
    fn cut_at(&self, message: &Arrow, step: u64) -> f64 {
        let (from, to) = (message.from, message.to);
        let is_cut = |near: usize, next: usize| {
            self.model.bands.iter().any(|band| {
                band.kind == "partition"
                    && (band.step..band.until).contains(&step)
                    && band.links.contains(&(near, next))
            })
        };
        let forth = (from..to).find(|&lane| is_cut(lane, lane + 1)).map(|lane| self.between(lane + 1));
        let back =
            || (to + 1..=from).rev().find(|&lane| is_cut(lane, lane - 1)).map(|lane| self.between(lane));
        forth.or_else(back).unwrap_or_else(|| f64::midpoint(self.x[from], self.x[to]))
    }

    /// A line, with a head if it has a style.
    fn arrow(&mut self, style: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64), head: &str) {
        self.put(format!("<path class=\"arrow {style}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>"));
        if !head.is_empty() {
            let angle = (y2 - y1).atan2(x2 - x1).to_degrees();
            self.put(format!(
                "<path class=\"head {head}\" d=\"M0 0l-9-4v8z\" transform=\"translate({x2:.1} {y2:.1}) rotate({angle:.1})\"/>"
            ));
        }
    }

    // ---- Events --------------------------------------------------------------------------------------

    fn event(&mut self, row: usize) {
        let step = &self.model.steps[self.rows[row]];
        let y = TOP + (row as f64 + 0.5) * ROW;
        if let Some(&node) = step.nodes.first() {
            self.sign(step, node, y);
        }
        for (node, after) in &step.after {
            if after.is_none() {
                let (left, top) = (self.x[*node] - 8.0, y - 8.0);
                self.put(format!("<path class=\"strike\" d=\"M{left:.1} {top}l16 16m0-16l-16 16\"/>"));
            }
        }
        for (node, first, last, is_first) in &step.executed {
            let text = if first == last { format!("{first}") } else { format!("{first}–{last}") };
            let width = (8.0 + text.chars().count() as f64 * 5.5).max(16.0);
            let style = if *is_first == 1 { "first" } else { "" };
            let left = self.x[*node] - STRIP / 2.0 - 5.0 - width;
            self.put(format!(
                "<rect class=\"commit {style}\" x=\"{left:.1}\" y=\"{}\" width=\"{width}\" height=\"16\" rx=\"8\"/>\
                 <text class=\"commit-text {style}\" x=\"{:.1}\" y=\"{}\">{text}</text>",
                y - 8.0,
                left + width / 2.0,
                y + 3.0
            ));
        }
    }

    fn sign(&mut self, step: &Row, node: usize, y: f64) {
        let x = self.x[node];
        let label = if let Some(message) = step.message {
            let message = &self.model.messages[message];
            let kind = Kind::ALL[message.kind];
            let style = group(kind);
            let ignored = if step.ignored { "ignored" } else { "" };
            if step.cause == "nobody" {
                let (left, top) = (x - 5.0, y - 5.0);
                self.put(format!("<path class=\"cross {style}\" d=\"M{left:.1} {top}l10 10m0-10l-10 10\"/>"));
                "nobody there".to_owned()
            } else {
                self.put(format!(
                    "<circle class=\"dot {style} {ignored}\" cx=\"{x:.1}\" cy=\"{y}\" r=\"5\"/>"
                ));
                label(kind, message)
            }
        } else {
            let (drawn, text) = match step.cause {
                "timer" => (
                    format!(
                        "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"6\"/><path d=\"M{x:.1} {}v4h3\" fill=\"none\"/>",
                        y - 4.0
                    ),
                    "timer",
                ),
                "restart" => (format!("<path d=\"M{x:.1} {}l7 12h-14z\"/>", y - 7.0), "starts again"),
                "client" => (
                    format!("<rect x=\"{:.1}\" y=\"{}\" width=\"10\" height=\"10\"/>", x - 5.0, y - 5.0),
                    "asks",
                ),
                "patience" => (
                    format!("<rect x=\"{:.1}\" y=\"{}\" width=\"10\" height=\"10\"/>", x - 5.0, y - 5.0),
                    "gives up",
                ),
                _ if step.after.iter().any(|(_, after)| after.is_none()) => (String::new(), "crash"),
                _ => (format!("<path d=\"M{:.1} {}l-6 9h6l-6 8\"/>", x + 3.0, y - 8.0), "fault"),
            };
            self.put(format!("<g class=\"sign\">{drawn}</g>"));
            text.to_owned()
        };
        let is_fact =
            self.model.violation.iter().any(|wrong| wrong.facts.iter().any(|fact| fact.step == step.step));
        let left = x + STRIP / 2.0 + if is_fact { 16.0 } else { 6.0 };
        let next = self.x.get(node + 1).map_or(WORDS - 4.0, |next| next - STRIP / 2.0);
        let text = clip(&label, ((next - left) / LABEL_LETTER) as usize);
        self.put(format!("<text class=\"halo\" x=\"{left:.1}\" y=\"{}\">{}</text>", y + 4.0, escape(&text)));
    }

    /// The time, and what happens in words.
    fn sentence(&mut self, row: usize) {
        let step = &self.model.steps[self.rows[row]];
        let y = TOP + (row as f64 + 0.5) * ROW;
        let (ms, micros) = (step.time / 1_000_000, step.time / 1_000 % 1_000);
        self.put(format!("<text class=\"soft end\" x=\"84\" y=\"{}\">{ms}.{micros:03}</text>", y + 4.0));
        let outside = if step.nodes.is_empty() { " outside" } else { "" };
        let [room, bold_room] =
            [LETTER, BOLD_LETTER].map(|letter| ((WIDTH - WORDS - 16.0) / letter) as usize);
        let text = step.sentence();
        let lines = match step.turn.as_slice() {
            [] => wrap(&text, room),
            turn => vec![clip(&turn.join("; "), bold_room), clip(&text, room)],
        };
        let first = y + 4.0 - (lines.len() as f64 - 1.0) * 7.25;
        for (nth, line) in lines.iter().enumerate() {
            let style = if nth == 0 && !step.turn.is_empty() { " strong-words" } else { "" };
            let (x, y) = (WORDS + 8.0, first + nth as f64 * 14.5);
            self.put(format!(
                "<text class=\"words{outside}{style}\" x=\"{x}\" y=\"{y}\">{}</text>",
                escape(line)
            ));
        }
    }

    // ---- What is wrong -------------------------------------------------------------------------------

    /// Where the facts are that contradict each other.
    fn facts(&self) -> Vec<(f64, f64)> {
        let facts = self.model.violation.iter().flat_map(|wrong| &wrong.facts);
        let place = |fact: &super::model::Placed| {
            let index = self.at(fact.step);
            let is_in = self.model.steps.get(index).is_some_and(|step| step.step == fact.step);
            is_in.then(|| (fact.node.map_or(WORDS - 10.0, |node| self.x[node]), self.y(index)))
        };
        facts.filter_map(place).collect()
    }

    fn link(&mut self) {
        let facts = self.facts();
        let (Some(&(x1, y1)), Some(&(x2, y2))) = (facts.first(), facts.last()) else { return };
        if facts.len() < 2 {
            return;
        }
        let bulge = x1.max(x2) + self.spacing * 0.46;
        let bend = ((y2 - y1) / 2.0).min(40.0);
        let path = format!(
            "M{:.1} {y1}Q{bulge:.1} {y1} {bulge:.1} {}L{bulge:.1} {}Q{bulge:.1} {y2} {:.1} {y2}",
            x1 + 11.0,
            y1 + bend,
            y2 - bend,
            x2 + 11.0
        );
        self.put(format!("<path class=\"link-under\" d=\"{path}\"/><path class=\"link\" d=\"{path}\"/>"));
    }

    fn rings(&mut self) {
        for (nth, (x, y)) in self.facts().into_iter().enumerate() {
            let (right, top) = (x + 13.0, y - 9.0);
            self.put(format!(
                "<circle class=\"ring\" cx=\"{x:.1}\" cy=\"{y}\" r=\"11\"/>\
                 <circle class=\"fact-number\" cx=\"{right:.1}\" cy=\"{top}\" r=\"8\"/>\
                 <text class=\"fact-text\" x=\"{right:.1}\" y=\"{}\">{}</text>",
                y - 5.0,
                nth + 1
            ));
        }
    }
}

impl Stretch {
    fn colour(&self) -> String {
        match self.role {
            Some(0..=2 | 8) => {
                let view = view_on_page(self.view);
                format!("v{}", (view.epoch().0 + view.number()) % 7)
            }
            _ => "none".to_owned(),
        }
    }

    fn name(&self) -> String {
        let view = view_on_page(self.view);
        match self.role {
            Some(0) => format!("★ view {view}"),
            Some(1) => format!("view {view}"),
            Some(2) => format!("→ view {view}"),
            Some(4) => "without the log".to_owned(),
            Some(5) => "replaced".to_owned(),
            Some(6) => "stopped".to_owned(),
            Some(7) => "no member".to_owned(),
            Some(8) => format!("◇ view {view}"),
            Some(_) => "recovering".to_owned(),
            None => "✕ down".to_owned(),
        }
    }
}

/// What a message is about decides its colour.
const fn group(kind: Kind) -> &'static str {
    match kind {
        Kind::Prepare | Kind::PrepareOk | Kind::Commit | Kind::CommitOk => "normal",
        Kind::StartViewChange | Kind::DoViewChange | Kind::StartView => "change",
        Kind::Recovery | Kind::RecoveryResponse => "recovery",
        Kind::GetState | Kind::NewState | Kind::GetCheckpoint | Kind::CheckpointPart => "transfer",
        Kind::StartEpoch | Kind::EpochStarted | Kind::NewEpoch | Kind::GetEpoch => "change",
        Kind::Request | Kind::Read | Kind::Reply | Kind::Alive => "client",
    }
}

/// A message's kind, with its number or view where that is worth a place.
fn label(kind: Kind, message: &Arrow) -> String {
    match kind {
        Kind::Prepare | Kind::PrepareOk | Kind::Commit => {
            format!("{kind:?} {}", message.number)
        }
        Kind::StartViewChange => format!("{kind:?} {}", view_on_page(message.number)),
        Kind::DoViewChange | Kind::StartView | Kind::RecoveryResponse => {
            format!("{kind:?} {}", view_on_page(message.view))
        }
        _ => format!("{kind:?}"),
    }
}

/// A text of at most so many letters.
fn clip(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut clipped: String = text.chars().take(room.saturating_sub(1)).collect();
    clipped.push('…');
    clipped
}

/// A text in at most two lines.
fn wrap(text: &str, room: usize) -> Vec<String> {
    if text.chars().count() <= room {
        return vec![text.to_owned()];
    }
    let end = text.char_indices().nth(room).map_or(text.len(), |(end, _)| end);
    let end = text[..end].rfind(' ').unwrap_or(end);
    vec![text[..end].to_owned(), clip(text[end..].trim_start(), room)]
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        let _ = match letter {
            '<' => write!(escaped, "&lt;"),
            '>' => write!(escaped, "&gt;"),
            '&' => write!(escaped, "&amp;"),
            '"' => write!(escaped, "&quot;"),
            other => write!(escaped, "{other}"),
        };
    }
    escaped
}

const LEGEND: [&str; 2] = [
    "Time goes downwards. Colour and number: the view. ★ and thick outline: its primary. Hatched: in a view change. \
     Dotted: recovering.",
    "Hollow dots: ignored. Crosses: lost or cut off. Three dots: arrives outside of the picture. Black ovals: \
     committed. Red: what contradicts each other.",
];

const STYLE: &str = "\
.paper { fill: var(--paper); }
svg .title { font-size: 14px; font-weight: 700; }
svg .wrong { fill: var(--wrong); }
svg .name { font-size: 13px; font-weight: 700; text-anchor: middle; }
svg .soft { fill: var(--soft); }
svg .words { font-size: 12px; }
svg .strong-words { font-weight: 700; }
svg .outside { fill: var(--fault); }
";

/// Patterns for what must not be told by colour alone.
const PATTERNS: &str = r#"<defs>
<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="hatch" x1="0" x2="0" y1="0" y2="7"/></pattern>
<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><circle class="dots" cx="3" cy="3" r="1.4"/></pattern>
</defs>"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("äbcd", 3), "äb…");
        assert_eq!(wrap("one two", 7), ["one two"]);
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("one two three four", 8), ["one two", "three f…"]);
        assert_eq!(escape("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
    }
}
