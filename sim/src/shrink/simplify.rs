//! Making simpler.
use super::reduce::Shrinker;

impl Shrinker<'_, '_> {
    pub(super) fn simplify(&mut self) {
    }
}
