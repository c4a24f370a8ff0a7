//! Labels that neighbours contradict.

use super::pictures::{PictureRow, Shown, Tone, panel as picture_panel};
use crate::eval::{Verdict, health};
use crate::files::FileError;
use crate::report::figure::Figure;
use crate::report::input::{ReportInput, thousands};
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
    let labels: Vec<u32> = rows.iter().map(|i| split.labels[*i]).collect();
    let found = health(&e.gallery.select(&rows), &labels, &[], K, |_, _| Ok(false))?;
    let name = |label: u32| e.data.classes[label as usize].clone();
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
    let caption = format!(
        "{} images judged by their {K} nearest others in the learned space: the labels of {} are contradicted. Those \
         contradicted most, their labels over what the neighbours say, and the most undecided.{most} All of them, and a cleaned table: alike health RUN -o DIR.",
        thousands(rows.len()),
        thousands(doubtful.len()),
    );
    let row = |others| vec![PictureRow { lead: None, heading: String::new(), others }];
    let panels = vec![
        picture_panel("Labels in doubt", &row(wrong))?,
        picture_panel("Between two classes", &row(between))?,
    ];
    Ok(Some(Figure {
        name: "doubts",
        title: "Are the labels right?".to_owned(),
        caption,
        panels,
        columns: 2,
    }))
}
