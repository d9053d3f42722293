//! How things are written for people: numbers, times, lists, colours.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};

use super::exit::Exit;

/// What is good.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What is bad.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is doubtful.
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
/// What labels something else.
pub(crate) const LABEL: Style = Style::new().dimmed();

/// How wide the column of labels is.
const LABEL_WIDTH: usize = 11;
/// How wide a text may become, labels included.
const WIDTH: usize = 100;

/// `text` in a style. On anything but a terminal the style is taken out when it is printed.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Adds a line with a label.
pub(crate) fn line(page: &mut String, label: &str, text: &str) {
    let label = styled(LABEL, &format!("{label:LABEL_WIDTH$}"));
    writeln!(page, "{label} {text}").expect("strings take everything");
}

/// Adds items in as many lines as they need, the first with a label.
pub(crate) fn items(page: &mut String, label: &str, items: &[String], separator: &str) {
    let mut label = label;
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let separator = if index + 1 < items.len() { separator } else { "" };
        let item = format!("{item}{separator}");
        if !text.is_empty()
            && LABEL_WIDTH + 1 + text.chars().count() + item.trim_end().chars().count() > WIDTH
        {
            line(page, label, text.trim_end());
            (label, text) = ("", String::new());
        }
        text.push_str(&item);
    }
    line(page, label, text.trim_end());
}

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 crash`, `2 crashes`: `noun` names the one and the many.
pub(crate) fn of(number: u64, noun: (&str, &str)) -> String {
    format!("{} {}", count(number), if number == 1 { noun.0 } else { noun.1 })
}

/// A stretch of virtual time: `12.345 s`.
pub(crate) fn seconds(nanoseconds: u64) -> String {
    let (whole, thousandths) = (nanoseconds / 1_000_000_000, nanoseconds / 1_000_000 % 1_000);
    format!("{}.{thousandths:03} s", count(whole))
}

/// A moment of virtual time where single messages matter: `12.345 ms`.
pub(crate) fn millis(nanoseconds: u64) -> String {
    format!("{}.{:03} ms", count(nanoseconds / 1_000_000), nanoseconds / 1_000 % 1_000)
}

/// A time from a setup, in the unit that suits it: `800 µs`, `1.5 ms`, `2 s`.
pub(crate) fn micros(micros: u64) -> String {
    let (unit, name) = match micros {
        0..1_000 => (1, "µs"),
        1_000..1_000_000 => (1_000, "ms"),
        _ => (1_000_000, "s"),
    };
    // Three digits that matter are enough.
    let hundredths = (micros % unit * 100 / unit) as u8;
    match micros / unit {
        whole @ 0..10 => format!("{} {name}", fraction(whole, hundredths)),
        whole @ 10..100 => format!("{} {name}", fraction(whole, hundredths / 10 * 10)),
        whole => format!("{} {name}", count(whole)),
    }
}

/// Parts per million as `1.5 %`, with two places behind the point unless it is less than one percent.
pub(crate) fn percent(per_million: u32) -> String {
    let (whole, rest) = (per_million / 10_000, per_million % 10_000);
    if whole > 0 {
        return format!("{} %", fraction(whole.into(), (rest / 100) as u8));
    }
    if rest == 0 {
        return "0 %".to_owned();
    }
    format!("0.{} %", format!("{rest:04}").trim_end_matches('0'))
}

fn fraction(whole: u64, hundredths: u8) -> String {
    if hundredths == 0 {
        return whole.to_string();
    }
    format!("{whole}.{}", format!("{hundredths:02}").trim_end_matches('0'))
}

/// `names` as the parts of a sentence: `a, b`.
pub(crate) fn list<T: serde::Serialize>(names: &[T]) -> String {
    let name = |name| serde_json::to_string(name).expect("a name can be written");
    names.iter().map(|each| name(each).trim_matches('"').to_owned()).collect::<Vec<_>>().join(", ")
}

/// A word for a shell command, quoted if the shell would take it for something else.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@,+%".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Prints the result of a command, and ends with `exit`. Colours stay on terminals only, and nowhere if
/// `NO_COLOR` is set. A reader who has seen enough (`| head`) changes nothing.
pub(crate) fn print(page: &str, exit: Exit) -> Exit {
    let mut out = anstream::stdout().lock();
    match out.write_all(page.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write the output: {error}"));
            Exit::Usage
        }
        _ => exit,
    }
}

/// Says something on the side. If nobody can hear it, so be it.
pub(crate) fn remark(text: &str) {
    _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says what is wrong.
pub(crate) fn complain(text: &str) {
    remark(&format!("{} {text}", styled(BAD, "error:")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators_and_units() {
        assert_eq!(
            ["0", "999", "1,000", "12,345,678"],
            [0, 999, 1_000, 12_345_678].map(count).each_ref()[..]
        );
        assert_eq!(of(1, ("crash", "crashes")), "1 crash");
        assert_eq!(of(2_000, ("crash", "crashes")), "2,000 crashes");
        assert_eq!(seconds(1_234_567_890_123), "1,234.567 s");
        assert_eq!(seconds(999_999), "0.000 s");
        assert_eq!(millis(1_234_567_890), "1,234.567 ms");
    }

    #[test]
    fn times_and_shares_are_rounded_to_what_matters() {
        let times = [0, 999, 1_000, 1_250, 12_990, 123_999, 2_000_000, 2_500_000_000].map(micros);
        assert_eq!(times, ["0 µs", "999 µs", "1 ms", "1.25 ms", "12.9 ms", "123 ms", "2 s", "2,500 s"]);
        assert_eq!(
            [0, 10_000, 12_500, 1_000_000, 1].map(percent),
            ["0 %", "1 %", "1.25 %", "100 %", "0.0001 %"]
        );
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(word("failures/swarm-7.trace.jsonl"), "failures/swarm-7.trace.jsonl");
        assert_eq!(word("it's here"), r"'it'\''s here'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn long_lists_are_wrapped_under_their_label() {
        let mut page = String::new();
        items(&mut page, "names", &vec!["a-rather-long-name".to_owned(); 9], ", ");
        assert_eq!(page.lines().count(), 3);
        assert!(anstream::adapter::strip_str(&page).to_string().lines().all(|line| line.len() <= WIDTH));
        assert!(!page.contains("name, \n"));
    }
}
