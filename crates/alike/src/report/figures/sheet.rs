//! A contact sheet: some images of every class.

use crate::data::Dataset;
use crate::files::FileError;
use crate::report::figure::{Figure, HEAD, N, Panel, WIDTH, fitted, sprite};
use crate::report::input::thousands;
use crate::report::numbers::Numbers;
use crate::report::text::{Anchor, BODY, LINE, short_names, wrapped, written};
use maud::html;

const SIDE: f64 = 26.0;
const LEFT: f64 = 84.0;
/// Classes that one sheet shows; a larger set shows its first.
const MOST_CLASSES: usize = 200;

/// Lines of pictures of a class, each with its number of them, and how many images training and test have.
type ClassRows = (Vec<(String, usize)>, usize, usize);

/// The first images of every class of the training split, or of the test split where a class has none there.
///
/// # Errors
///
/// If an image cannot be read.
pub fn contact_sheet(data: &Dataset) -> Result<Figure, FileError> {
    let across = ((WIDTH - LEFT) / SIDE) as usize;
    let (w, h) = fitted(data.shape(), SIDE);
    let shown = data.classes.len().min(MOST_CLASSES);
    let names = short_names(&data.classes);
    let rows = |class: usize| -> Result<ClassRows, FileError> {
        let of = |labels: &[u32]| -> Vec<usize> {
            (0..labels.len()).filter(|&i| labels[i] as usize == class).collect()
        };
        let (train, test) = (of(&data.train.labels), of(&data.test.labels));
        let (images, from) =
            if train.is_empty() { (&data.test.images, &test) } else { (&data.train.images, &train) };
        let drawn = |line: &[usize]| Ok((sprite(images, line, line.len())?, line.len()));
        let lines = from.chunks(across).take(2).map(drawn).collect::<Result<_, _>>()?;
        Ok((lines, train.len(), test.len()))
    };
    let strip = |class: usize| {
        let (lines, train, test) = rows(class)?;
        let height = (lines.len().max(1) as f64) * h;
        let name = wrapped(&names[class], BODY, true, LEFT - 6.0, 2);
        let below = 14.0 + name.len() as f64 * LINE;
        let body = html! {
            g {
                @if name.join(" ") != data.classes[class] { title { (data.classes[class]) } }
                @for (i, line) in name.iter().enumerate() {
                    text class="b f-ink" x="0" y=(N(14.0 + i as f64 * LINE)) { (line) }
                }
            }
            (written("s f-faint", (0.0, below), Anchor::Start, &format!("{} + {}", thousands(train), thousands(test)), LEFT - 6.0))
            @for (i, (line, n)) in lines.iter().enumerate() {
                image x=(N(LEFT)) y=(N(i as f64 * h)) width=(N(w * *n as f64)) height=(N(h)) image-rendering="optimizeSpeed" href=(line) {}
            }
        };
        Ok((body, height.max(below + 5.0) + 8.0))
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
            let says = format!("Images of {} classes.", classes.len());
            Ok(Panel { title, says, height: y.max(HEAD), body })
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
    let mut numbers = Numbers::new(&["class", "train", "test"]);
    for (class, name) in data.classes.iter().enumerate() {
        let count = |labels: &[u32]| labels.iter().filter(|l| **l as usize == class).count().to_string();
        numbers.push([name.clone(), count(&data.train.labels), count(&data.test.labels)]);
    }
    Ok(Figure { name: "sheet", title: data.name.clone(), caption, numbers, panels, columns: 2 })
}
