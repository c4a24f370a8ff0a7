//! The page.

use super::figure::{Figure, document, sprite};
use super::figures::{
    Sample, accuracy, anomalies, architecture, clusters, concept, confusion, curves, explained_errors,
    few_shot, label_doubts, loss, network, sentence, spaces, strips, unseen, verification_figure,
};
use super::input::{ReportInput, Triplets, percent, thousands};
use super::tables::{numbers, provenance};
use super::text::short_names;
use super::{marks, theme};
use crate::data::{Progress, Unit};
use crate::eval::{Baseline, Pairs};
use crate::files::FileError;
use crate::images::{Shape, Vectors, with_pixels};
use crate::train::Settings;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeSet;

/// What a page says of itself, beside what it shows. Paths and commands are words for a shell.
#[derive(Clone, Debug, Default)]
pub struct PageFacts {
    /// When the model was made: a day.
    pub date: Option<String>,
    /// The run's folder, as a word for a shell.
    pub run: Option<String>,
    /// The folder of the run that excluded classes.
    pub unseen: Option<String>,
    /// The page's file.
    pub page: Option<String>,
    /// The command that makes the page.
    pub command: Option<String>,
    /// Pages beside this one: what each is called, and its address.
    pub siblings: Vec<(String, String)>,
    /// Seconds after which a browser loads the page again, as where a run still trains.
    pub refresh: Option<u32>,
}

impl PageFacts {
    /// A page's title: what it shows, the recipe and the seed of a model that was trained here, and the day.
    pub fn title(&self, what: &str, settings: Option<&Settings>) -> String {
        let mut title = what.to_owned();
        if let Some(s) = settings {
            let recipe = if s.recipe.is_empty() { "own settings" } else { &s.recipe };
            title.push_str(&format!(", recipe {recipe}, seed {}", s.seed));
        }
        if let Some(date) = &self.date {
            title.push_str(&format!(", {date}"));
        }
        title
    }

    /// Links to the pages beside this one.
    pub(super) fn links(&self) -> Markup {
        html! {
            @if !self.siblings.is_empty() {
                p.siblings { "Pages beside this one: "
                    @for (i, (name, address)) in self.siblings.iter().enumerate() {
                        @if i > 0 { ", " }
                        a href=(address) { (name) }
                    }
                }
            }
        }
    }
}

/// Everything that the page shows.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) figures: Vec<Figure>,
    pub(super) html: String,
}

/// The figures of a page: the name of each, and what it shows.
pub const FIGURES: [(&str, &str); 18] = [
    ("concept", "a triplet before and after training"),
    ("loss", "the triplet margin loss, and where triplets lie on it"),
    ("architecture", "the network's layers"),
    ("training", "loss and distances over the steps"),
    ("spaces", "image space and feature space by two principal components"),
    ("accuracy", "pixels against the embedding, rule by rule"),
    ("unseen", "classes that were excluded from training"),
    ("confusion", "which classes are taken for which"),
    ("neighbours", "images with their nearest neighbours"),
    ("why", "which pixels errors hang on"),
    ("verification", "error rates of pairs: ROC, DET, distances, the worst pairs"),
    ("few-shot", "few-shot episodes of classes never trained on"),
    ("anomalies", "the images that are most unlike the training images"),
    ("clusters", "images by cluster"),
    ("doubts", "labels that neighbours contradict"),
    ("consistency", "without classes: whether two views of an image find each other"),
    ("map", "without classes: images by two principal components and by UMAP"),
    ("copies", "without classes: near duplicates"),
];

/// Figures that are wanted: all, or those of some names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a>(pub(super) Option<&'a [String]>);

impl Wanted<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.is_none_or(|names| names.iter().any(|n| n == name))
    }
}

impl Report {
    /// Draws the page of `run`. What becomes of unseen classes is shown from `without`, a run that excluded some, or
    /// from `run` itself if that did.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn new(
        run: &ReportInput<'_>,
        without: Option<&ReportInput<'_>>,
        facts: &PageFacts,
        progress: &mut dyn Progress,
    ) -> Result<Report, FileError> {
        let sample = Sample::new(&run.data.test.identities, run.seed());
        let figures = draw(run, without, &sample, Wanted(None), progress)?;
        let html = document(page(run, without, &figures, &sample, facts)?);
        Ok(Report { figures, html })
    }

    /// Draws some figures of the page, by their names ([`FIGURES`]); those that the model does not have are left out.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn some(
        run: &ReportInput<'_>,
        without: Option<&ReportInput<'_>>,
        names: &[String],
        progress: &mut dyn Progress,
    ) -> Result<Vec<Figure>, FileError> {
        let sample = Sample::new(&run.data.test.identities, run.seed());
        draw(run, without, &sample, Wanted(Some(names)), progress)
    }

    /// The page's text.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// The figures, in the page's order.
    pub fn figures(&self) -> &[Figure] {
        &self.figures
    }
}

/// The figures that are wanted, in the page's order.
fn draw(
    run: &ReportInput<'_>,
    without: Option<&ReportInput<'_>>,
    sample: &Sample,
    wanted: Wanted<'_>,
    progress: &mut dyn Progress,
) -> Result<Vec<Figure>, FileError> {
    let source = without.unwrap_or(run);
    let triplets = if wanted.has("concept") || wanted.has("loss") { Triplets::draw(run)? } else { None };
    let triplets = triplets.as_ref();
    let all: Vec<Drawing<'_>> = vec![
        ("concept", Box::new(|| triplets.map_or(Ok(None), |t| concept(run, t)))),
        // Other losses have no hinge to show.
        ("loss", Box::new(|| Ok(run.margin().and(triplets).map(|t| loss(run, t))))),
        ("architecture", Box::new(|| Ok(run.training.map(|t| architecture(&t.checkpoint.network))))),
        ("training", Box::new(|| Ok(run.training.as_ref().and_then(curves)))),
        ("spaces", Box::new(|| spaces(run, sample).map(Some))),
        ("accuracy", Box::new(|| Ok(Some(accuracy(run))))),
        ("unseen", Box::new(|| Ok(source.judgement.unseen.as_ref().map(|of| unseen(source, of, sample))))),
        ("confusion", Box::new(|| Ok(confusion(run)))),
        ("neighbours", Box::new(|| strips(run).map(Some))),
        ("why", Box::new(|| explained_errors(run))),
        ("verification", Box::new(|| verification(run))),
        ("few-shot", Box::new(|| few_shot(run))),
        ("anomalies", Box::new(|| anomalies(source))),
        ("clusters", Box::new(|| clusters(run))),
        ("doubts", Box::new(|| label_doubts(run))),
    ];
    drawn(all, wanted, progress)
}

/// A figure's name, and what draws it.
pub(super) type Drawing<'d> = (&'static str, Box<dyn FnOnce() -> Result<Option<Figure>, FileError> + 'd>);

/// Draws those figures that are wanted, in their order.
pub(super) fn drawn(
    all: Vec<Drawing<'_>>,
    wanted: Wanted<'_>,
    progress: &mut dyn Progress,
) -> Result<Vec<Figure>, FileError> {
    let all: Vec<_> = all.into_iter().filter(|(name, _)| wanted.has(name)).collect();
    progress.begin("drawing figures", Some(all.len() as u64), Unit::Figures);
    let mut figures = Vec::new();
    for (_, draw) in all {
        figures.extend(draw()?);
        progress.advance(1);
    }
    progress.end();
    Ok(figures)
}

fn verification(run: &ReportInput<'_>) -> Result<Option<Figure>, FileError> {
    let test = &run.data.test;
    let pairs = |vectors: Vectors<'_>| {
        let all = || Pairs::all(vectors, &test.labels, &test.identities, 0);
        run.data.labelled.then(all).flatten()
    };
    let image = with_pixels([&test.images], |[pixels]| pairs(pixels))?;
    match (image, pairs(Vectors::Features(run.queries))) {
        (Some(image), Some(feature)) => {
            verification_figure(&image, &feature, &test.images, network(run).as_mut()).map(Some)
        }
        _ => Ok(None),
    }
}

pub(super) const SPRITE_COLUMNS: usize = 50;

/// What stands around figures: everything but what differs from page to page.
pub(super) struct Shell<'a> {
    pub(super) title: String,
    pub(super) lead: Markup,
    pub(super) figures: &'a [Figure],
    /// What stands above the figure `spaces` or `map`.
    pub(super) classes: Markup,
    /// After the figures: the address within the page, the heading, and what is there.
    pub(super) rest: Vec<(&'static str, &'static str, Markup)>,
    /// What the script needs.
    pub(super) hover: Markup,
}

impl Shell<'_> {
    pub(super) fn page(&self, facts: &PageFacts) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    meta name="generator" content=(concat!("alike ", env!("CARGO_PKG_VERSION")));
                    @if let Some(seconds) = facts.refresh { meta http-equiv="refresh" content=(seconds); }
                    title { (self.title) " · Alike" }
                    style { (PreEscaped(theme::for_page())) (PreEscaped(include_str!("page.css"))) }
                }
                body {
                    header {
                        p.brand { "Alike" }
                        button #theme type="button" aria-label="Switch between light and dark" { "◐" }
                        h1 #top { (headline(&self.title)) }
                        (PreEscaped(unbroken(&self.lead.0)))
                        (facts.links())
                        nav aria-label="Contents" {
                            ul.contents {
                                @for figure in self.figures { li { a href=(format!("#{}", figure.name)) { (figure.title) } } }
                                @for (id, title, _) in &self.rest { li { a href=(format!("#{id}")) { (title) } } }
                            }
                        }
                    }
                    main {
                        @for figure in self.figures { (self.section(figure)) }
                        @for (_, _, part) in &self.rest { (part) }
                    }
                    div #tip role="status" hidden {}
                    (self.hover)
                    script { (PreEscaped(include_str!("page.js"))) }
                }
            }
        }
    }

    fn section(&self, figure: &Figure) -> Markup {
        let heading = format!("{}-title", figure.name);
        html! {
            section id=(figure.name) aria-labelledby=(heading) {
                h2 id=(heading) { (figure.title) }
                @if matches!(figure.name, "spaces" | "map") { (self.classes) }
                figure {
                    div class=(format!("panels of{}", figure.columns)) {
                        @for panel in &figure.panels { (panel.inline()) }
                    }
                    figcaption { (unbroken(&figure.caption)) }
                }
            }
        }
    }
}

/// A text whose numbers stay in one line with their percent signs.
fn unbroken(text: &str) -> String {
    text.replace(" %", "\u{a0}%")
}

/// A page's title: the set, the recipe, the seed and the day.
pub(super) fn title(run: &ReportInput<'_>, facts: &PageFacts) -> String {
    facts.title(run.data.title(), run.training.map(|t| t.settings))
}

/// A title whose last part, the day, is not broken at its hyphens.
pub(super) fn headline(title: &str) -> Markup {
    let (rest, last) = title.rsplit_once(", ").map_or(("", title), |(rest, last)| (rest, last));
    html! {
        (rest)
        @if !rest.is_empty() { ", " }
        span.whole { (last) }
    }
}

fn page(
    run: &ReportInput<'_>,
    without: Option<&ReportInput<'_>>,
    figures: &[Figure],
    sample: &Sample,
    facts: &PageFacts,
) -> Result<Markup, FileError> {
    let (of_run, of_other) = (run.training, without.and_then(|w| w.training));
    let shell = Shell {
        title: title(run, facts),
        lead: lead(run, without),
        figures,
        classes: classes(run, sample),
        rest: vec![
            ("numbers", "The numbers", numbers(run, without)),
            ("made", "How this was made", provenance(of_run.as_ref(), of_other.as_ref(), facts)),
        ],
        hover: hover(run, sample)?,
    };
    Ok(shell.page(facts))
}

/// What came of it, in sentences made from the numbers.
fn lead(run: &ReportInput<'_>, without: Option<&ReportInput<'_>>) -> Markup {
    let labels = run.trained().into_iter().map(|i| run.data.train.labels[i]);
    let classes: std::collections::BTreeSet<u32> = labels.collect();
    html! {
        p.lead {
            @if let Some(t) = run.training {
                "A network of " (thousands(t.checkpoint.network.parameter_count())) " parameters learned from "
                (thousands(run.trained().len())) " images of " (classes.len()) " classes to place alike images near each \
                other. "
            } @else {
                "An encoder that was not trained here makes embeddings of " (run.queries.d()) " numbers. "
            }
            (thousands(run.judgement.n_query)) " test images ask whether that space is better than "
            @if run.baseline() == Baseline::Pixels { "raw " } (run.baseline().name()) "."
            (never_seen(without.unwrap_or(run), without.is_some()))
        }
        ul.lead { @for c in &run.judgement.comparison { li { (sentence(c, run.baseline())) } } }
    }
}

/// Whether pixels do better on classes that training never saw.
fn never_seen(source: &ReportInput<'_>, other: bool) -> Markup {
    let Some(unseen) = &source.judgement.unseen else { return html! {} };
    let recalls = unseen.recalls();
    let Some((rule, pixels, learned)) = recalls.iter().find(|r| r.0 == "1-NN").or(recalls.first()) else {
        return html! {};
    };
    let baseline = source.baseline();
    let which = if learned < pixels {
        format!("{} do better", baseline.name())
    } else if learned > pixels {
        "the embedding does better".to_owned()
    } else {
        "both do as well".to_owned()
    };
    html! {
        " On the images of " (unseen.classes.join(", ")) ", which "
        @if other { "a second network" } @else { "it" }
        " never saw in training, " (which) ": by " (rule) " " (percent(*pixels)) " are recognised in " (baseline.space()) ", "
        (percent(*learned)) " in feature space."
    }
}

/// Classes that have a button; with more there would be no page.
const MOST_BUTTONS: usize = 100;

/// Buttons that show and hide the classes that have dots: where others are judged than were trained on, those.
fn classes(run: &ReportInput<'_>, sample: &Sample) -> Markup {
    let names = short_names(&run.data.classes);
    let drawn: BTreeSet<usize> = sample.indices.iter().map(|i| run.data.test.labels[*i] as usize).collect();
    html! {
        div.classes role="group" aria-label="Classes shown" {
            @for i in drawn.iter().copied().take(MOST_BUTTONS) {
                @let (short, whole) = (&names[i], &run.data.classes[i]);
                button type="button" data-k=(i) aria-pressed="true" title=[(short != whole).then_some(whole)] {
                    (marks::sample(i))
                    (short)
                }
            }
            @if drawn.len() > MOST_BUTTONS { span { "and " (drawn.len() - MOST_BUTTONS) " more" } }
            button type="button" data-all="on" { "all" }
            button type="button" data-all="off" { "none" }
        }
        p.hint { "Point at a dot, touch it, or go to a plot with Tab and from dot to dot with the arrow keys, to see its image, and where it \
            lies in the other space." }
    }
}

/// What the script needs to show an image at a dot.
fn hover(run: &ReportInput<'_>, sample: &Sample) -> Result<Markup, FileError> {
    let labels: Vec<u32> = sample.indices.iter().map(|&i| run.data.test.labels[i]).collect();
    hover_facts(run.data.shape(), &labels, &run.data.classes, || {
        sprite(&run.data.test.images, &sample.indices, SPRITE_COLUMNS)
    })
}

pub(super) fn hover_facts(
    Shape { h, w, .. }: Shape,
    labels: &[u32],
    classes: &[String],
    sprite: impl FnOnce() -> Result<String, FileError>,
) -> Result<Markup, FileError> {
    let facts = serde_json::json!({
        "w": w, "h": h, "columns": SPRITE_COLUMNS, "labels": labels, "classes": classes, "sprite": sprite()?,
    });
    // In a script element text is not escaped, and a `<` could end it early.
    Ok(
        html! { script #facts type="application/json" { (PreEscaped(facts.to_string().replace('<', "\\u003c"))) } },
    )
}
