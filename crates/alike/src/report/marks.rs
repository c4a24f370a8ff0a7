//! Marks of classes: a colour for each of eight, and beyond these a shape too.

use super::theme::{CLASS_COLOURS, class_colour};
use maud::{Markup, PreEscaped, html};
use std::fmt::Write;

/// Shapes, each for as many classes as there are colours.
const SHAPES: usize = 6;
/// A dot's radius, with what a name keeps off it.
pub(super) const RADIUS: f64 = 2.6;
/// Classes that have a mark of their own.
pub(super) const MARKS: usize = SHAPES * CLASS_COLOURS;

/// A mark's outline about the origin, as a path, for shape `n`; about as large as a circle of radius `r`.
fn outline(n: usize, r: f64) -> String {
    match n % SHAPES {
        1 => format!("M{0:.1} {0:.1}h{1:.1}v{1:.1}h-{1:.1}z", -0.9 * r, 1.8 * r),
        2 => format!("M{:.1} {:.1}h{:.1}l{:.1} {:.1}z", -1.15 * r, 0.9 * r, 2.3 * r, -1.15 * r, -2.1 * r),
        3 => format!("M0 {0:.1}L{1:.1} 0L0 {1:.1}L{0:.1} 0z", -1.35 * r, 1.35 * r),
        4 => format!(
            "M{0:.1} {1:.1}h{2:.1}v{0:.1}h{3:.1}v{2:.1}h{2:.1}v{3:.1}h{0:.1}v{2:.1}h{0:.1}v{0:.1}h{0:.1}z",
            -0.9 * r,
            -0.45 * r,
            0.9 * r,
            0.9 * r
        ),
        _ => format!("M{:.1} {:.1}h{:.1}l{:.1} {:.1}z", -1.15 * r, -0.9 * r, 2.3 * r, -1.15 * r, 2.1 * r),
    }
}

/// Writes the mark of image `i`, of class `class`, at a place.
pub(super) fn mark(out: &mut String, i: usize, class: usize, colour: &str, x: f64, y: f64) {
    let head = format!("class=\"k{class} f-{colour}\" data-i=\"{i}\" data-x=\"{x:.1}\" data-y=\"{y:.1}\"");
    let _ = match class / CLASS_COLOURS % SHAPES {
        0 => write!(out, "<circle {head} cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.3\"/>"),
        shape => {
            let path = outline(shape, 2.3);
            write!(out, "<path {head} transform=\"translate({x:.1} {y:.1})\" d=\"{path}\"/>")
        }
    };
}

/// A class's mark, as a key shows it.
pub(super) fn sample(class: usize) -> Markup {
    let colour = format!("f-{}", class_colour(class));
    html! {
        svg viewBox="-6 -6 12 12" aria-hidden="true" {
            @match class / CLASS_COLOURS % SHAPES {
                0 => circle class=(colour) r="4.5" {},
                shape => path class=(colour) d=(PreEscaped(outline(shape, 4.0))) {},
            }
        }
    }
}

/// Stamps of the shapes, as a map draws them pixel by pixel: 7 x 7 letters each, `#` where there is ink.
pub(super) fn stamps() -> [&'static str; SHAPES] {
    [
        concat!("..###..", ".#####.", "#######", "#######", "#######", ".#####.", "..###.."),
        concat!(".......", ".#####.", ".#####.", ".#####.", ".#####.", ".#####.", "......."),
        concat!("...#...", "...#...", "..###..", "..###..", ".#####.", ".#####.", "#######"),
        concat!("...#...", "..###..", ".#####.", "#######", ".#####.", "..###..", "...#..."),
        concat!("..###..", "..###..", "#######", "#######", "#######", "..###..", "..###.."),
        concat!("#######", ".#####.", ".#####.", "..###..", "..###..", "...#...", "...#..."),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_eight_classes_have_marks_of_their_own() {
        let drawn = |class: usize| {
            let mut out = String::new();
            mark(&mut out, 0, class, &class_colour(class), 0.0, 0.0);
            out.replace(&format!("k{class} "), "")
        };
        let all: std::collections::BTreeSet<String> = (0..48).map(drawn).collect();
        assert_eq!(all.len(), 48);
    }
}
