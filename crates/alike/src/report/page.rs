//! The page.

use super::figure::{Figure, document, sprite};
use super::figures::{
    Sample, accuracy, anomalies, architecture, clusters, concept, confusion, curves, explained_errors,
    few_shot, label_doubts, loss, network, sentence, spaces, strips, unseen, verification_figure,
};
use super::input::{ReportInput, TrainingInput, Triplets, percent, thousands};
use super::theme;
use crate::engine::Tier;
use crate::eval::{Pairs, RetrievalReport};
use crate::files::FileError;
use crate::images::{Shape, Vectors, with_pixels};
use crate::names::{shell, shell_flag, shell_path};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Everything that the page shows.
#[derive(Clone, Debug)]
pub struct Report {
    figures: Vec<Figure>,
    html: String,
}

impl Report {
    /// Draws the page of `run`. What becomes of unseen classes is shown from `without`, a run that excluded some, or
    /// from `run` itself if that did.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn new(run: &ReportInput<'_>, without: Option<&ReportInput<'_>>) -> Result<Report, FileError> {
        let sample = Sample::new(&run.data.test.identities, run.seed());
        let triplets = Triplets::draw(run)?;
        let mut figures = Vec::new();
        if let Some(triplets) = &triplets {
            figures.extend(concept(run, triplets)?);
            // Other losses have no hinge to show.
            if run.margin().is_some() {
                figures.push(loss(run, triplets));
            }
        }
        figures.extend(run.training.map(|t| architecture(&t.checkpoint.network)));
        figures.extend(curves(run));
        figures.push(spaces(run, &sample)?);
        figures.push(accuracy(run));
        let source = without.unwrap_or(run);
        if let Some(of) = &source.judgement.unseen {
            figures.push(unseen(source, of, &sample));
        }
        figures.extend(confusion(run));
        figures.push(strips(run)?);
        figures.extend(explained_errors(run)?);
        let test = &run.data.test;
        let pairs = |vectors: Vectors<'_>| {
            let all = || Pairs::all(vectors, &test.labels, &test.identities, 0);
            run.data.labelled.then(all).flatten()
        };
        if let (Some(image), Some(feature)) =
            (with_pixels([&test.images], |[pixels]| pairs(pixels))?, pairs(Vectors::Features(run.queries)))
        {
            figures.push(verification_figure(&image, &feature, &test.images, network(run).as_mut())?);
        }
        figures.extend(few_shot(run)?);
        figures.extend(anomalies(without.unwrap_or(run))?);
        figures.extend(clusters(run)?);
        figures.extend(label_doubts(run)?);
        let html = document(page(run, without, &figures, &sample)?);
        Ok(Report { figures, html })
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

const SPRITE_COLUMNS: usize = 50;

fn page(
    run: &ReportInput<'_>,
    without: Option<&ReportInput<'_>>,
    figures: &[Figure],
    sample: &Sample,
) -> Result<Markup, FileError> {
    let title = format!("{}: what the embedding learned", run.data.name);
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="generator" content=(concat!("alike ", env!("CARGO_PKG_VERSION")));
                title { (title) " · Alike" }
                style { (PreEscaped(theme::for_page())) (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    p.brand { "Alike" }
                    button #theme type="button" aria-label="Switch between light and dark" { "◐" }
                    h1 { (title) }
                    (lead(run))
                }
                main {
                    @for figure in figures {
                        section id=(figure.name) {
                            h2 { (figure.title) }
                            @if figure.name == "spaces" { (classes(run)) }
                            figure {
                                div class=(format!("panels of{}", figure.columns)) {
                                    @for panel in &figure.panels { (panel.inline()) }
                                }
                                figcaption { (figure.caption) }
                            }
                        }
                    }
                    (numbers(run, without))
                    (provenance(run, without))
                }
                div #tip hidden {}
                (hover(run, sample)?)
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    })
}

/// What came of it, in sentences made from the numbers.
fn lead(run: &ReportInput<'_>) -> Markup {
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
            (thousands(run.judgement.n_query)) " test images ask whether that space is better than raw pixels:"
        }
        ul.lead { @for c in &run.judgement.comparison { li { (sentence(c)) } } }
    }
}

/// Buttons that show and hide classes.
fn classes(run: &ReportInput<'_>) -> Markup {
    html! {
        div.classes role="group" aria-label="Classes shown" {
            @for (i, name) in run.data.classes.iter().enumerate() {
                button type="button" data-k=(i) aria-pressed="true" {
                    svg viewBox="0 0 10 10" aria-hidden="true" {
                        circle class=(format!("f-{}", theme::class_colour(i))) cx="5" cy="5" r="5" {}
                    }
                    (name)
                }
            }
            button type="button" data-all="on" { "all" }
            button type="button" data-all="off" { "none" }
        }
        p.hint { "Point at a dot, or touch it, to see its image, and where it lies in the other space." }
    }
}

/// What the script needs to show an image at a dot.
fn hover(run: &ReportInput<'_>, sample: &Sample) -> Result<Markup, FileError> {
    let Shape { h, w, .. } = run.data.shape();
    let labels: Vec<u32> = sample.indices.iter().map(|&i| run.data.test.labels[i]).collect();
    let facts = serde_json::json!({
        "w": w, "h": h, "columns": SPRITE_COLUMNS, "labels": labels, "classes": run.data.classes,
        "sprite": sprite(&run.data.test.images, &sample.indices, SPRITE_COLUMNS)?,
    });
    // In a script element text is not escaped, and a `<` could end it early.
    Ok(
        html! { script #facts type="application/json" { (PreEscaped(facts.to_string().replace('<', "\\u003c"))) } },
    )
}

/// Every headline number as text.
fn numbers(run: &ReportInput<'_>, without: Option<&ReportInput<'_>>) -> Markup {
    let exact = |v: f64| format!("{:.2} %", 100.0 * v);
    html! {
        section #numbers {
            h2 { "The numbers" }
            div.scroll {
                table {
                    thead { tr { th scope="col" { "accuracy" } th scope="col" { "image space" } th scope="col" { "feature space" } th scope="col" { "difference" } } }
                    tbody {
                        @for (c, (_, rule)) in run.judgement.comparison.iter().zip(run.judgement.spaces.feature.rules()) {
                            tr { th scope="row" { (c.rule) } td { (exact(c.image)) } td { (exact(c.feature)) (rule.interval.map_or(String::new(), bracketed)) }
                                td { (format!("{:+.2} points, {}", 100.0 * (c.feature - c.image), c.paired.verdict())) } }
                        }
                        @if let (Some(i), Some(f)) = (run.judgement.spaces.image.verification, run.judgement.spaces.feature.verification) {
                            tr { th scope="row" { "equal error rate of all pairs" } td { (exact(i.eer)) } td { (exact(f.eer)) }
                                td { (format!("{:+.2} points; less is better", 100.0 * (f.eer - i.eer))) } }
                        }
                    }
                }
            }
            @if let Some((feature, image)) = run.retrieval { (retrieval(feature, image)) }
            @if let Some(u) = &without.unwrap_or(run).judgement.unseen {
                h3 { "Never seen in training: " (u.classes.join(", ")) }
                div.scroll {
                    table { tbody { @for (name, v) in u.headline() { tr { th scope="row" { (name) } td { (percent(v)) } } } } }
                }
            }
        }
    }
}

/// Between what a number lies, 95 %, in percent.
fn bracketed([low, high]: [f64; 2]) -> String {
    format!(" [{:.2}, {:.2}]", 100.0 * low, 100.0 * high)
}

/// Every measure of retrieval, over queries and over classes.
fn retrieval(feature: &RetrievalReport, image: Option<&RetrievalReport>) -> Markup {
    let exact = |v: f64| format!("{:.2} %", 100.0 * v);
    let pixels: Option<Vec<(String, f64)>> = image.map(|i| i.micro.named(&i.ks));
    let rows = feature.micro.named(&feature.ks).into_iter().zip(feature.per_class.named(&feature.ks));
    html! {
        h3 { "Retrieval" }
        p.hint {
            (thousands(feature.queries)) " queries"
            @if feature.without_match > 0 { "; " (thousands(feature.without_match)) " more have no match in the gallery and are left out" }
            ". In brackets 95 % intervals of the mean over "
            @if feature.by_classes { "other classes" } @else { "other queries" } "."
        }
        div.scroll {
            table {
                thead { tr { th scope="col" { "measure" } @if pixels.is_some() { th scope="col" { "image space" } }
                    th scope="col" { "feature space" } th scope="col" { "mean over classes" } } }
                tbody {
                    @for (k, ((name, value), (_, by_class))) in rows.enumerate() {
                        tr {
                            th scope="row" { (name) }
                            @if let Some(pixels) = &pixels { td { (exact(pixels[k].1)) } }
                            td { (exact(value)) (feature.intervals.get(name.as_str()).copied().map_or(String::new(), bracketed)) }
                            td { (exact(by_class)) }
                        }
                    }
                }
            }
        }
        @if !feature.by_category.is_empty() {
            h3 { "Retrieval by category" }
            div.scroll {
                table {
                    thead { tr { th scope="col" { "category" } th scope="col" { "Recall@1" } th scope="col" { "R-Precision" } th scope="col" { "MAP@R" } } }
                    tbody {
                        @for (name, q) in &feature.by_category {
                            tr { th scope="row" { (name) } td { (q.recall_at.first().map_or(String::new(), |v| exact(*v))) } td { (exact(q.r_precision)) } td { (exact(q.map_at_r)) } }
                        }
                    }
                }
            }
        }
    }
}

/// How to make this page again.
fn provenance(run: &ReportInput<'_>, without: Option<&ReportInput<'_>>) -> Markup {
    let command = |t: &TrainingInput<'_>, out: &str| {
        let s = t.settings;
        let mut line = format!(
            "alike train --data {} --recipe {} --seed {} --epochs {}",
            shell_path(&s.data),
            shell(&s.recipe),
            s.seed,
            s.epochs
        );
        if let Some(split) = &s.split {
            line.push_str(&format!(" --split {}", shell(split)));
        }
        for (flag, on) in [("nested", s.nested), ("rotations", s.rotations)] {
            if on {
                line.push_str(&format!(" --{flag}"));
            }
        }
        for class in &s.exclude_class {
            line.push_str(&format!(" {}", shell_flag("exclude-class", class)));
        }
        format!("{line} --out {out}")
    };
    html! {
        section #made {
            h2 { "How this was made" }
            p {
                "By Alike " (env!("CARGO_PKG_VERSION")) ", with " (Tier::found().name()) " instructions."
                @if run.training.is_some() { " The network:" }
            }
            @if let Some(t) = &run.training {
                pre { (t.checkpoint.network.spec()) }
                p { "Settings that differ from the recipe's stand in the run's " code { "config.toml" } "." }
                pre {
                    (command(t, "RUN")) "\n"
                    @if let Some(t) = without.and_then(|w| w.training) { (command(&t, "RUN2")) "\n" }
                    "alike report RUN " @if without.is_some() { "--unseen RUN2 " } "-o page.html\n"
                    "alike map RUN -o map.html"
                }
            }
        }
    }
}
