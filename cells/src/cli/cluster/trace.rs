//! `waggle cluster trace`: the hops of a message under each other, with what is to be thought of their times.

use super::{
    list,
    table::{cell, table},
};
use serde_json::Value;

/// The answer as a table and sentences.
pub(super) fn text(trace: &Value) -> String {
    let hops = list(&trace["hops"]);
    let first = hops.first().and_then(|hop| hop["at_us"].as_i64()).unwrap_or_default();
    let row = |hop: &Value| {
        let at_us = hop["at_us"].as_i64().unwrap_or_default();
        vec![cell(&hop["hop"]), cell(&hop["node"]), clock(at_us), after(at_us - first), what(hop)]
    };
    let mut lines =
        vec![table(&["HOP", "NODE", "AT (UTC)", "AFTER", "WHAT"], hops.iter().map(row).collect())];
    lines.extend(list(&trace["clocks"]).iter().map(caveat));
    lines.extend(
        list(&trace["silent"]).iter().map(|node| format!("{} did not tell what it remembers", cell(node))),
    );
    lines.join("\n")
}

/// Time of day, to the microsecond.
fn clock(at_us: i64) -> String {
    let (day_s, us) = (at_us.div_euclid(1_000_000).rem_euclid(86_400), at_us.rem_euclid(1_000_000));
    format!("{:02}:{:02}:{:02}.{us:06}", day_s / 3600, day_s / 60 % 60, day_s % 60)
}

fn after(us: i64) -> String {
    format!("+{}.{:03} ms", us / 1000, us.unsigned_abs() % 1000)
}

/// A hop in words.
fn what(hop: &Value) -> String {
    let count = hop["count"].as_u64().unwrap_or_default();
    let many = |what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    match hop["hop"].as_str().unwrap_or_default() {
        "asked" => "somebody connected here asked for it".to_owned(),
        "ordered" => format!("got its place, seq {}", cell(&hop["seq"])),
        "durable" => format!("in the store; sent to {}", many("gateway")),
        "arrived" => "came to this gateway".to_owned(),
        "handed" => format!("given to {}", many("session")),
        "answered" => "who asked has the answer".to_owned(),
        _ => String::new(),
    }
}

/// How far a node's times can be trusted.
fn caveat(clock: &Value) -> String {
    let ahead = clock["ahead_us"].as_i64().unwrap_or_default();
    let way = if ahead < 0 { "behind" } else { "ahead" };
    let ms = |us: u64| format!("{}.{:03} ms", us / 1000, us % 1000);
    let (node, unsure_us) = (cell(&clock["node"]), clock["unsure_us"].as_u64().unwrap_or_default());
    let unsure = ms(unsure_us);
    if ahead.unsigned_abs() <= unsure_us {
        return format!("the clock of {node} agrees, give or take {unsure}");
    }
    format!(
        "the clock of {node} is {} {way}, give or take {unsure}: its times are shown without that",
        ms(ahead.unsigned_abs())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hops_are_told_in_words_from_the_first_on() {
        let at = 1_767_225_600_000_100_i64;
        let trace = json!({
            "hops": [
                { "hop": "asked", "node": "a", "at_us": at, "seq": 7, "count": 0 },
                { "hop": "durable", "node": "b", "at_us": at + 1_502, "seq": 7, "count": 2 },
                { "hop": "handed", "node": "a", "at_us": at + 12_000, "seq": 7, "count": 1 },
            ],
            "clocks": [
                { "node": "b", "ahead_us": -3_050, "unsure_us": 200 },
                { "node": "d", "ahead_us": 150, "unsure_us": 200 },
            ],
            "silent": ["c"],
        });
        let said = text(&trace);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines[1],
            "asked    a     00:00:00.000100  +0.000 ms   somebody connected here asked for it"
        );
        assert_eq!(lines[2], "durable  b     00:00:00.001602  +1.502 ms   in the store; sent to 2 gateways");
        assert_eq!(lines[3], "handed   a     00:00:00.012100  +12.000 ms  given to 1 session");
        assert_eq!(
            lines[4],
            "the clock of b is 3.050 ms behind, give or take 0.200 ms: its times are shown without that"
        );
        assert_eq!(lines[5], "the clock of d agrees, give or take 0.200 ms");
        assert_eq!(lines[6], "c did not tell what it remembers");
    }
}
