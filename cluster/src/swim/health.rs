//! How well this node itself runs, so that a slow one does not call others dead: Lifeguard's local health (Dadgar,
//! Phillips and Currey, 2018). It rises when answers are late or this node is suspected, falls with each answer, and
//! stretches the times that others are given.

/// Most that the times are stretched by, less one.
pub const SCORE_MAX: u32 = 7;

/// A score between 0, well, and [`SCORE_MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health(u32);

impl Health {
    /// Something went wrong that is as likely our own fault.
    pub fn worse(&mut self) {
        self.0 = (self.0 + 1).min(SCORE_MAX);
    }
    /// Somebody answered in time.
    pub fn better(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }
    /// How bad it is.
    pub fn score(self) -> u32 {
        self.0
    }
    /// How many times as long as usual others are given.
    pub fn stretch(self) -> u32 {
        self.0 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_stays_within_its_bounds_and_recovers() {
        let mut health = Health::default();
        health.better();
        assert_eq!(health.stretch(), 1);
        (0..100).for_each(|_| health.worse());
        assert_eq!((health.score(), health.stretch()), (SCORE_MAX, SCORE_MAX + 1));
        (0..SCORE_MAX).for_each(|_| health.better());
        assert_eq!(health.score(), 0);
    }
}
