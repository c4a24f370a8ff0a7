//! Labels that neighbours contradict.

use super::pictures::{PictureRow, Shown, Tone, picture_rows};
use crate::eval::{Verdict, health};
use crate::files::FileError;
use crate::report::figure::Figure;
use crate::report::input::{ReportInput, thousands};
use crate::report::text::short_names;
use crate::sample;

const K: usize = 10;
const SHOWN: usize = 24;
/// Images that are judged, at most: all by all takes long.
const MOST: usize = 20_000;

/// The gallery's labels as its own neighbours see them: those that are likeliest wrong, and those between two classes.
pub(in crate::report) fn label_doubts(e: &ReportInput<'_>) -> Result<Option<Figure>, FileError> {
    let split = e.data.gallery().0;
    if split.images.are_floats() || !e.data.labelled || split.len() < 3 {
        return Ok(None);
    }
    let rows = sample::stratified(&split.labels, split.identities.keys(), MOST, K + 1, e.seed());
    let k = K.min(rows.len() - 1);
    let labels: Vec<u32> = rows.iter().map(|i| split.labels[*i]).collect();
    let found = health(&e.gallery.select(&rows), &labels, &[], k, |_, _| Ok(false))?;
    let names = short_names(&e.data.classes);
    let name = |label: u32| names[label as usize].clone();
    let doubtful: Vec<_> = found.doubtful().into_iter().filter(|v| v.doubt > 0.0).collect();
    let shown = |v: &Verdict, tone| Shown::new(&split.images, rows[v.image], name(v.label), tone);
    let wrong: Vec<Shown<'_>> = doubtful
        .iter()
        .take(SHOWN)
        .map(|v| shown(v, Tone::Wrong).noting(format!("→ {}", name(v.other))))
        .collect();
    let between: Vec<Shown<'_>> = found
        .ambiguous()
        .iter()
        .take(SHOWN)
        .map(|v| shown(v, Tone::Plain).noting(format!("or {}", name(v.other))))
        .collect();
    if wrong.is_empty() && between.is_empty() {
        return Ok(None);
    }
    let confused: Vec<String> = found
        .confused
        .iter()
        .take(3)
        .map(|c| format!("{} and {} ({} images)", name(c.classes[0]), name(c.classes[1]), c.images))
        .collect();
    let most = if confused.is_empty() {
        String::new()
    } else {
        format!(" Most often confused: {}.", confused.join(", "))
    };
    let unfit = if found.fitness.fit {
        String::new()
    } else {
        format!(
            " No more than about {} of these doubts are expected to be wrong labels: this model is not fit to judge them.",
            found.fitness.expected
        )
    };
    let caption = format!(
        "{} images judged by their {k} nearest others in the learned space: the labels of {} are contradicted. Shown are those \
         contradicted most, each with its label and what the neighbours say, and the most undecided.{most}{unfit} All of them, and a cleaned table: alike health RUN -o DIR.",
        thousands(rows.len()),
        thousands(doubtful.len()),
    );
    let row = |others| vec![PictureRow { lead: None, heading: String::new(), others }];
    // No heading stands over nothing.
    let panels: Vec<(&str, Vec<PictureRow<'_>>)> =
        [("Labels in doubt", wrong), ("Between two classes", between)]
            .into_iter()
            .filter(|(_, shown)| !shown.is_empty())
            .map(|(title, shown)| (title, row(shown)))
            .collect();
    Ok(Some(picture_rows("doubts", "Are the labels right?", caption, &panels)?))
}
