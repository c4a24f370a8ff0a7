//! The table of candidates that a choice was made from.

use crate::args::Global;
use crate::printer::note;
use alike::tune::CandidateChoice;

/// What came of a candidate. Shares, from 0 to 1.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) accuracy: f64,
    pub(super) map_at_r: f64,
    pub(super) gain: f64,
    pub(super) interval: [f64; 2],
    pub(super) chosen: bool,
}

/// Writes a row a candidate, in percent.
pub(super) fn table(heading: &str, rows: Vec<Row>, global: &Global) {
    let wide = rows.iter().map(|row| row.name.len()).chain([heading.len()]).max().unwrap_or(0);
    note(global, format!("{heading:wide$}    1-NN    MAP@R   gain [95 % interval]"));
    for row in rows {
        let [low, high] = row.interval.map(|v| 100.0 * v);
        let [accuracy, map_at_r, gain] = [row.accuracy, row.map_at_r, row.gain].map(|v| 100.0 * v);
        let chosen = if row.chosen { "  chosen" } else { "" };
        note(
            global,
            format!(
                "{:wide$} {accuracy:6.2} % {map_at_r:6.2} % {gain:+6.2} [{low:+.2}, {high:+.2}]{chosen}",
                row.name
            ),
        );
    }
}

/// Says what cross-validation chose, and from what.
pub(super) fn tell_choice(heading: &str, choice: &CandidateChoice, global: &Global) {
    if !choice.scores.is_empty() {
        let rows = choice.scores.iter().map(|s| Row {
            name: s.name.to_owned(),
            accuracy: s.accuracy,
            map_at_r: s.map_at_r,
            gain: s.gain,
            interval: s.interval,
            chosen: s.chosen,
        });
        table(heading, rows.collect(), global);
    }
    note(global, format!("auto: {}", choice.sentence()));
}
