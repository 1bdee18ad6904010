//! How answers are shown: columns, times, a dash for what is not said.

use serde_json::Value;

/// A value as people read it.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How long a node runs, if it said.
pub(super) fn uptime(node: &Value) -> String {
    node["uptime_ms"].as_u64().map_or_else(|| "-".into(), |ms| span(ms / 1000))
}

/// Seconds in the two largest units.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Columns under their heads, as wide as what is in them.
pub(super) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = all.iter().map(Vec::len).max().unwrap_or_default();
    let wide = |at: usize| all.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| wide(at).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = vec![vec!["node-1".into(), "7".into()], vec!["n".into(), "1024".into()]];
        assert_eq!(table(&["NODE", "SLOTS"], rows), "NODE    SLOTS\nnode-1  7\nn       1024");
    }

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        let said = [5, 65, 3_700, 90_061].map(span);
        assert_eq!(said, ["5s", "1m05s", "1h01m", "1d01h"]);
    }
}
