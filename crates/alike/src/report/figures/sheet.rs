//! A contact sheet: some images of every class.

use crate::data::Dataset;
use crate::files::FileError;
use crate::report::figure::{Figure, HEAD, N, Panel, WIDTH, fitted, sprite};
use crate::report::input::thousands;
use maud::html;

const SIDE: f64 = 26.0;
const LEFT: f64 = 78.0;
/// Classes that one sheet shows; a larger set shows its first.
const MOST_CLASSES: usize = 200;

/// The first images of every class of the training split, or of the test split where a class has none there.
///
/// # Errors
///
/// If an image cannot be read.
pub fn contact_sheet(data: &Dataset) -> Result<Figure, FileError> {
    let across = ((WIDTH - LEFT) / SIDE) as usize;
    let (w, h) = fitted(data.shape(), SIDE);
    let shown = data.classes.len().min(MOST_CLASSES);
    let members = |class: usize, labels: &[u32]| -> Vec<usize> {
        (0..labels.len()).filter(|&i| labels[i] as usize == class).collect()
    };
    let strip = |class: usize| {
        let (train, test) = (members(class, &data.train.labels), members(class, &data.test.labels));
        let (images, from) =
            if train.is_empty() { (&data.test.images, &test) } else { (&data.train.images, &train) };
        let drawn = |line: &[usize]| Ok((sprite(images, line, line.len())?, line.len()));
        let lines: Vec<(String, usize)> =
            from.chunks(across).take(2).map(drawn).collect::<Result<_, FileError>>()?;
        let height = (lines.len().max(1) as f64) * h;
        let name: String = data.classes[class].chars().take(12).collect();
        let body = html! {
            text class="b f-ink" x="0" y="14" { (name) }
            text class="s f-faint" x="0" y="27" { (thousands(train.len())) " + " (thousands(test.len())) }
            @for (i, (line, n)) in lines.iter().enumerate() {
                image x=(N(LEFT)) y=(N(i as f64 * h)) width=(N(w * *n as f64)) height=(N(h)) image-rendering="optimizeSpeed" href=(line) {}
            }
        };
        Ok((body, height.max(32.0) + 8.0))
    };
    // Classes are dealt to two panels, so that a sheet is not all too long.
    let half = shown.div_ceil(2).max(1);
    let panels = (0..shown)
        .collect::<Vec<_>>()
        .chunks(half)
        .enumerate()
        .map(|(i, classes)| {
            let mut y = 0.0;
            let mut body = html! {};
            for &class in classes {
                let (strip, height) = strip(class)?;
                body.0.push_str(&html! { g transform=(format!("translate(0 {y:.1})")) { (strip) } }.0);
                y += height;
            }
            let title = if i == 0 { format!("{}: {}", data.name, data.shape()) } else { String::new() };
            Ok(Panel { title, height: y.max(HEAD), body })
        })
        .collect::<Result<_, FileError>>()?;
    let caption = format!(
        "{}: {} training and {} test images of {} in {} classes; {shown} classes shown. Beside a class: its training + \
         test images.",
        data.name,
        thousands(data.train.len()),
        thousands(data.test.len()),
        data.shape(),
        data.classes.len(),
    );
    Ok(Figure { name: "sheet", title: data.name.clone(), caption, panels, columns: 2 })
}
