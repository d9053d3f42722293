//! The exit codes of `sim`, all in one place.

use std::fmt::Write as _;

/// Declares the codes with what they mean.
macro_rules! codes {
    ($($name:ident = $code:literal $meaning:literal,)*) => {
        /// How `sim` ends. Scripts rely on the numbers: they never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Exit {
            $(#[doc = $meaning] $name = $code,)*
        }

        impl Exit {
            /// All of them, in order.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What it means, in a few words.
            pub(crate) const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    Held = 0 "all properties held",
    Violated = 1 "a property was violated",
    Usage = 2 "wrong usage, or a file that is damaged or cannot be read or written",
    Inconclusive = 3 "nothing was violated, but a check gave up",
    NothingRun = 4 "nothing was run",
    Unequal = 5 "the same seed gave two results",
    NotReproduced = 6 "a trace no longer reproduces",
    MarkNotReached = 7 "a mark that must be reached was not",
    HarnessFailed = 70 "the harness itself failed",
    Interrupted = 130 "interrupted; what was done is written",
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The first of `candidates` that happened, by weight: what matters most to whoever started this.
    pub(crate) fn gravest(candidates: &[(bool, Self)]) -> Self {
        candidates.iter().find(|(happened, _)| *happened).map_or(Self::Held, |&(_, exit)| exit)
    }

    /// The codes as a table for the help.
    pub(crate) fn table() -> String {
        let mut table = String::new();
        for exit in Self::ALL {
            let (code, meaning) = (exit.code(), exit.meaning());
            writeln!(table, "  {code:>3}  {meaning}").expect("strings take everything");
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_never_change() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 70, 130]);
    }

    #[test]
    fn the_gravest_comes_first() {
        assert_eq!(Exit::gravest(&[]), Exit::Held);
        let both = [(false, Exit::Interrupted), (true, Exit::Violated), (true, Exit::Inconclusive)];
        assert_eq!(Exit::gravest(&both), Exit::Violated);
    }
}
