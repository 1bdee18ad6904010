//! A view of the log, kept in another table by plain writes `USING TIMESTAMP = us`, and its `applied` cursor.

use super::relay::seqs;

/// One view with a row an event and one cell that every event rewrites (say, the text of a message edited
/// again and again).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct View {
    /// Seqs whose write was sent: each may land at any time from then on, more than once.
    pub sent: u8,
    /// Seqs whose row is there.
    pub rows: u8,
    /// Seq whose write stands in the shared cell.
    pub cell: u8,
    /// Every seq up to here is in the view.
    pub applied: u8,
}

impl View {
    /// A write lands. The newest `us` wins, or, under the wrong rule, the newest arrival.
    pub fn land(&mut self, seq: u8, by_arrival: bool) {
        self.rows |= 1 << seq;
        self.cell = if by_arrival { seq } else { self.cell.max(seq) };
    }

    /// I10: the view is the fold of a prefix of the log that reaches at least to `applied`.
    pub fn equals_fold(&self) -> bool {
        let newest = 7_u32.saturating_sub(self.rows.leading_zeros()) as u8;
        seqs(0, self.applied) & !self.rows == 0 && self.cell == if self.rows == 0 { 0 } else { newest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_write_does_not_put_the_view_back() {
        let mut view = View::default();
        view.land(2, false);
        view.land(1, false);
        assert!(view.equals_fold() && view.cell == 2);
        view.land(1, true);
        assert!(!view.equals_fold());
    }
}
