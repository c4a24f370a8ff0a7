//! Image space and feature space, side by side, by their principal components.

use crate::files::FileError;
use crate::identity::Identities;
use crate::images::{Vectors, with_pixels};
use crate::projection::Pca;
use crate::report::figure::{Figure, N, Panel, WIDTH};
use crate::report::input::{ReportInput, percent, thousands};
use crate::report::theme::class_colour;
use crate::sample;
use maud::{Markup, PreEscaped, html};
use std::fmt::Write;

/// Test images that scatter plots show: the same in every plot, so that a reader can follow one from plot to plot.
#[derive(Clone, Debug)]
pub(in crate::report) struct Sample {
    pub(in crate::report) indices: Vec<usize>,
}

const SHOWN: usize = 2000;

impl Sample {
    /// A random sample: a regular one would fall in step with a split whose classes take turns.
    pub(in crate::report) fn new(of: &Identities, seed: u64) -> Sample {
        Sample { indices: sample::some(of.keys(), SHOWN, seed) }
    }
}

pub(in crate::report) fn spaces(e: &ReportInput<'_>, sample: &Sample) -> Result<Figure, FileError> {
    let (train, test) = (&e.data.gallery().0.images, &e.data.test.images);
    let image = with_pixels([train, test], |[gallery, queries]| Plane::of(gallery, queries, sample))?;
    let feature = Plane::of(Vectors::Features(e.gallery), Vectors::Features(e.queries), sample);
    let planes = [("Image space: raw pixels", image), ("Feature space: learned", feature)];
    let shares = planes.each_ref().map(|(_, plane)| percent(plane.explained.iter().sum()));
    let draw = |(title, plane): &(&str, Plane)| plane.scatter(title, e, sample, &class_colour, |_| true);
    let panels = planes.iter().map(draw).collect();
    let caption = format!(
        "The first two principal components, fitted on all {} images of the gallery, of {} test images drawn at random. They hold {} of the \
         variance of pixels and {} of the variance of embeddings; what lies in other directions is not seen here. Both \
         axes of a plot have the same scale. Names stand at their class's median.",
        thousands(e.data.gallery().0.len()),
        thousands(sample.indices.len()),
        shares[0],
        shares[1],
    );
    Ok(Figure {
        name: "spaces",
        title: "What the network made of it".to_owned(),
        caption,
        panels,
        columns: 2,
    })
}

/// Points of a sample in the plane of the first two components.
pub(super) struct Plane {
    points: Vec<(f64, f64)>,
    pub(super) explained: Vec<f64>,
}

impl Plane {
    pub(super) fn of(gallery: Vectors<'_>, queries: Vectors<'_>, sample: &Sample) -> Plane {
        let pca = Pca::fit(gallery, 2);
        let all = pca.project(queries);
        // A space of one dimension is drawn along a line.
        let along = |p: &[f64], c: usize| p.get(c).copied().unwrap_or(0.0);
        let points = sample.indices.iter().map(|&i| (along(&all[i], 0), along(&all[i], 1))).collect();
        Plane { points, explained: pca.explained() }
    }

    /// A scatter plot; only classes for which `named` holds get their name.
    pub(super) fn scatter(
        &self,
        title: &str,
        e: &ReportInput<'_>,
        sample: &Sample,
        colour: &dyn Fn(usize) -> String,
        named: impl Fn(usize) -> bool,
    ) -> Panel {
        const SIDE: f64 = WIDTH - 22.0;
        let range = |of: fn(&(f64, f64)) -> f64| crate::report::axes::range(self.points.iter().map(of), 0.03);
        let ((x0, x1), (y0, y1)) = (range(|p| p.0), range(|p| p.1));
        let unit = SIDE / (x1 - x0).max(y1 - y0);
        let height = ((y1 - y0) * unit).max(SIDE * 0.5);
        let place = |(x, y): (f64, f64)| {
            (22.0 + SIDE / 2.0 + (x - (x0 + x1) / 2.0) * unit, height / 2.0 - (y - (y0 + y1) / 2.0) * unit)
        };
        let label = |i: usize| e.data.test.labels[sample.indices[i]] as usize;
        let mut marks = String::new();
        // What a figure is about lies on top.
        let (above, below): (Vec<usize>, Vec<usize>) = (0..self.points.len()).partition(|&i| named(label(i)));
        for i in below.into_iter().chain(above) {
            let (class, (x, y)) = (label(i), place(self.points[i]));
            mark(&mut marks, i, class, &colour(class), x, y);
        }
        let names = (0..e.data.classes.len()).filter(|c| named(*c)).filter_map(|class| {
            let mut members: Vec<(f64, f64)> =
                (0..self.points.len()).filter(|&i| label(i) == class).map(|i| self.points[i]).collect();
            let middle = members.len() / 2;
            members.sort_by(|a, b| a.0.total_cmp(&b.0));
            let x = members.get(middle)?.0;
            members.sort_by(|a, b| a.1.total_cmp(&b.1));
            Some((class, place((x, members[middle].1))))
        });
        let name = |component: usize| {
            let share = self.explained.get(component).copied().unwrap_or(0.0);
            format!("component {} ({} of the variance)", component + 1, percent(share))
        };
        let body = html! {
            rect class="f-card" x="22" width=(N(SIDE)) height=(N(height)) rx="8" {}
            (PreEscaped(marks))
            @for (class, (x, y)) in names { (class_name(&e.data.classes[class], class, x, y)) }
            text class="s f-ink" text-anchor="middle" x=(N(22.0 + SIDE / 2.0)) y=(N(height + 14.0)) { (name(0)) }
            text class="s f-ink" text-anchor="middle" transform=(format!("translate(13 {:.1}) rotate(-90)", height / 2.0)) { (name(1)) }
        };
        Panel { title: title.to_owned(), height: height + 20.0, body }
    }
}

/// Beyond ten classes colours repeat, and the shape tells them apart.
fn mark(out: &mut String, i: usize, class: usize, colour: &str, x: f64, y: f64) {
    let head = format!("class=\"k{class} f-{colour}\" data-i=\"{i}\" data-x=\"{x:.1}\" data-y=\"{y:.1}\"");
    let _ = match class / 10 % 3 {
        0 => write!(out, "<circle {head} cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.2\"/>"),
        1 => write!(out, "<rect {head} x=\"{:.1}\" y=\"{:.1}\" width=\"4\" height=\"4\"/>", x - 2.0, y - 2.0),
        _ => write!(out, "<path {head} d=\"M{:.1} {:.1}l5 0l-2.5 -4.4z\"/>", x - 2.5, y + 2.0),
    };
}

fn class_name(name: &str, class: usize, x: f64, y: f64) -> Markup {
    // The halo is a second text below the first: not every viewer knows `paint-order`.
    html! {
        g class=(format!("k{class}")) pointer-events="none" text-anchor="middle" {
            text class="t s-paper" stroke-width="4" stroke-linejoin="round" x=(N(x)) y=(N(y + 4.0)) { (name) }
            text class="t f-ink" x=(N(x)) y=(N(y + 4.0)) { (name) }
        }
    }
}
