//! Image space and feature space, side by side, by their principal components.

use crate::eval::Baseline;
use crate::files::FileError;
use crate::identity::Identities;
use crate::images::{Vectors, with_pixels};
use crate::projection::Pca;
use crate::report::figure::{Figure, N, Panel, WIDTH};
use crate::report::input::{ReportInput, percent, thousands};
use crate::report::marks::{MARKS, RADIUS, mark};
use crate::report::numbers::{Numbers, exact};
use crate::report::place::{Placer, median};
use crate::report::text::{Anchor, SMALL, short_names, shortened, width, written};
use crate::report::theme::class_colour;
use crate::sample;
use maud::{Markup, PreEscaped, html};

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
    let space = match e.baseline() {
        Baseline::Features => "Input space: features as given",
        _ => "Image space: raw pixels",
    };
    let planes = [(space, image), ("Feature space: learned", feature)];
    let shares = planes.each_ref().map(|(_, plane)| percent(plane.explained.iter().sum()));
    let mut numbers = Numbers::new(&["space", "image", "class", "component_1", "component_2"]);
    for (title, plane) in &planes {
        for (point, &i) in plane.points.iter().zip(&sample.indices) {
            let class = e.data.classes[e.data.test.labels[i] as usize].clone();
            let name = e.data.test.names.get(i).cloned().unwrap_or_else(|| format!("test/{i}"));
            numbers.push([(*title).to_owned(), name, class, exact(point.0), exact(point.1)]);
        }
    }
    let drawn: Vec<(Panel, Names)> = planes
        .iter()
        .map(|(title, plane)| plane.scatter(title, e, sample, &class_colour, |_| true))
        .collect();
    let names = drawn.iter().fold(Names::default(), |sum, (_, n)| sum.and(*n));
    let panels = drawn.into_iter().map(|(panel, _)| panel).collect();
    let caption = format!(
        "The first two principal components, written on all {} images of the gallery, of {} test images{}: a dot is a test \
         image. They hold {} of the variance of {} and {} of the variance of embeddings; what lies in other directions is not seen \
         here. Both axes of a plot have the same scale.{}",
        thousands(e.data.gallery().0.len()),
        thousands(sample.indices.len()),
        if sample.indices.len() < test.len() { " drawn at random" } else { "" },
        shares[0],
        e.baseline().name(),
        shares[1],
        names.sentence(),
    );
    let title = "What the network made of it".to_owned();
    Ok(Figure { name: "spaces", title, caption, numbers, panels, columns: 2 })
}

/// How many names there are, and how many have a place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names {
    wanted: usize,
    placed: usize,
}

impl Names {
    fn and(self, other: Names) -> Names {
        Names { wanted: self.wanted + other.wanted, placed: self.placed + other.placed }
    }

    /// What a caption says of them.
    pub(super) fn sentence(self) -> String {
        let rest = match self.wanted - self.placed {
            0 => String::new(),
            n => format!("; {n} of {} found no free place and are left out", self.wanted),
        };
        match self.placed {
            0 if self.wanted > MARKS => format!(
                " Classes are told by colour and shape, names are left out, and classes beyond the first {MARKS} share the marks of others."
            ),
            0 if self.wanted > 0 => " Classes are told by colour and shape; names are left out.".to_owned(),
            0 => " Classes are told by colour and shape.".to_owned(),
            _ => format!(" A class's name stands at the median of its dots, or a line leads there{rest}."),
        }
    }
}

/// Points of a sample in the plane of the first two components.
pub(super) struct Plane {
    points: Vec<(f64, f64)>,
    pub(super) explained: Vec<f64>,
}

const LEFT: f64 = 22.0;
const SIDE: f64 = WIDTH - LEFT;
/// A panel's height, at least: its axis's name has room.
const LOWEST: f64 = 216.0;
/// Around the dots, where names find places.
const MARGIN: f64 = 20.0;
/// A name's longest side, and its lines' height.
const LONGEST: f64 = 104.0;
const HEIGHT: f64 = 13.0;
/// More names than these would be a list.
const MOST_NAMES: usize = 40;

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
    ) -> (Panel, Names) {
        let range = |of: fn(&(f64, f64)) -> f64| crate::report::axes::range(self.points.iter().map(of), 0.0);
        let ((x0, x1), (y0, y1)) = (range(|p| p.0), range(|p| p.1));
        let unit = (SIDE - 2.0 * MARGIN) / (x1 - x0).max(y1 - y0).max(f64::MIN_POSITIVE);
        let height = ((y1 - y0) * unit + 2.0 * MARGIN).max(LOWEST);
        let place = |(x, y): (f64, f64)| {
            (LEFT + SIDE / 2.0 + (x - (x0 + x1) / 2.0) * unit, height / 2.0 - (y - (y0 + y1) / 2.0) * unit)
        };
        let label = |i: usize| e.data.test.labels[sample.indices[i]] as usize;
        let mut marks = String::new();
        // What a figure is about lies on top.
        let (above, below): (Vec<usize>, Vec<usize>) = (0..self.points.len()).partition(|&i| named(label(i)));
        for i in below.into_iter().chain(above) {
            let (class, (x, y)) = (label(i), place(self.points[i]));
            mark(&mut marks, i, class, &colour(class), x, y);
        }
        let bounds = [LEFT, 0.0, SIDE, height];
        let short = short_names(&e.data.classes);
        let middles: Vec<(usize, (f64, f64))> = (0..e.data.classes.len())
            .filter(|c| named(*c) && e.data.labelled)
            .filter_map(|class| Some((class, place(self.median(|i| label(i) == class)?))))
            .collect();
        let mut placer = Placer::new(bounds, self.points.iter().map(|p| place(*p)).collect())
            .leading_to(middles.iter().map(|(_, at)| *at).collect());
        let mut names = Names { wanted: middles.len(), placed: 0 };
        let mut texts = html! {};
        if middles.len() <= MOST_NAMES {
            for (class, at) in middles {
                let text = shortened(&short[class], SMALL, true, LONGEST);
                let size = (width(&text, SMALL, true) + 2.0, HEIGHT);
                if let Some(centre) = placer.place(at, size, RADIUS) {
                    names.placed += 1;
                    texts.0.push_str(&class_name(&e.data.classes[class], &text, class, at, centre, size).0);
                }
            }
        }
        let component = |k: usize| {
            let share = self.explained.get(k).copied().unwrap_or(0.0);
            format!("component {}: {} of the variance", k + 1, percent(share))
        };
        let body = html! {
            rect class="f-card" x=(N(LEFT)) width=(N(SIDE)) height=(N(height)) rx="8" {}
            (PreEscaped(marks))
            (texts)
            (written("s f-ink", (LEFT + SIDE / 2.0, height + 15.0), Anchor::Middle, &component(0), SIDE))
            text class="s f-ink" text-anchor="middle" transform=(format!("translate(13 {:.1}) rotate(-90)", height / 2.0)) { (component(1)) }
        };
        let says = format!(
            "{} test images of {} classes as dots by two principal components, which hold {} of the variance.",
            thousands(self.points.len()),
            names.wanted,
            percent(self.explained.iter().sum())
        );
        (Panel { title: title.to_owned(), says, height: height + 22.0, body }, names)
    }

    /// The median of some points, by each coordinate.
    fn median(&self, member: impl Fn(usize) -> bool) -> Option<(f64, f64)> {
        median((0..self.points.len()).filter(|&i| member(i)).map(|i| self.points[i]).collect())
    }
}

/// A class's name at its place, with a line to what it names.
fn class_name(
    name: &str,
    text: &str,
    class: usize,
    at: (f64, f64),
    centre: (f64, f64),
    size: (f64, f64),
) -> Markup {
    // The line ends at the name's box.
    let (dx, dy) = (at.0 - centre.0, at.1 - centre.1);
    let inside = (dx.abs() / (size.0 / 2.0)).max(dy.abs() / (size.1 / 2.0));
    let from = (centre.0 + dx / inside.max(1e-9), centre.1 + dy / inside.max(1e-9));
    html! {
        g class=(format!("k{class}")) pointer-events="none" {
            @if inside > 1.2 {
                line class="s-ink" stroke-width="0.8" x1=(N(from.0)) y1=(N(from.1)) x2=(N(at.0)) y2=(N(at.1)) {}
                circle class="s-ink" stroke-width="0.8" cx=(N(at.0)) cy=(N(at.1)) r="2.6" {}
            }
            text class="s b f-ink" text-anchor="middle" x=(N(centre.0)) y=(N(centre.1 + 4.0)) {
                (text)
                @if text != name { title { (name) } }
            }
        }
    }
}
