//! When a connection is pinged, and when it is given up.

/// Unanswered pings after which the connection is given up.
const MISSED_MAX: u32 = 3;
/// Pings in a row that a connection on which events flow is spared: they cost as much as an event.
const SPARED_MAX: u32 = 2;

/// What a tick of the clock asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// A ping.
    Ping,
    /// Nothing: events flow, which the socket would not take if the peer were gone for long.
    Spare,
    /// The connection is given up.
    Dead,
}

/// The pings of one connection.
#[derive(Debug, Default)]
pub struct Pings {
    /// Pings since the peer was heard last.
    unanswered: u32,
    /// Events went out since the last tick.
    lively: bool,
    /// Ticks in a row without a ping, because of that.
    spared: u32,
}

impl Pings {
    /// The peer was heard.
    pub fn heard(&mut self) {
        self.unanswered = 0;
    }
    /// Events went out.
    pub fn sent(&mut self) {
        self.lively = true;
    }
    /// The clock ticks.
    pub fn tick(&mut self) -> Beat {
        if self.unanswered >= MISSED_MAX {
            return Beat::Dead;
        }
        if std::mem::take(&mut self.lively) && self.unanswered == 0 && self.spared < SPARED_MAX {
            self.spared += 1;
            return Beat::Spare;
        }
        self.spared = 0;
        self.unanswered += 1;
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::{Beat::*, *};

    #[test]
    fn a_quiet_connection_is_pinged_at_each_tick_and_given_up_after_three_without_an_answer() {
        let mut pings = Pings::default();
        assert_eq!([(); 4].map(|()| pings.tick()), [Ping, Ping, Ping, Dead]);
        pings.heard();
        assert_eq!(pings.tick(), Ping);
    }

    #[test]
    fn one_on_which_events_flow_is_pinged_at_every_third_tick() {
        let mut pings = Pings::default();
        let beats = [(); 7].map(|()| {
            pings.sent();
            pings.heard();
            pings.tick()
        });
        assert_eq!(beats, [Spare, Spare, Ping, Spare, Spare, Ping, Spare]);
        assert_eq!(pings.tick(), Ping, "it is quiet again");
    }

    #[test]
    fn one_that_does_not_answer_is_not_spared_whatever_is_sent_to_it() {
        let mut pings = Pings::default();
        let beats = [(); 6].map(|()| {
            pings.sent();
            pings.tick()
        });
        assert_eq!(beats, [Spare, Spare, Ping, Ping, Ping, Dead]);
    }
}
