//! What a page says in tables and text: every number, and how it was made.

use super::input::{ReportInput, TrainingInput, thousands};
use super::page::PageFacts;
use crate::engine::Tier;
use crate::eval::{Baseline, RetrievalReport, Spaces};
use maud::{Markup, html};

/// Every headline number as text.
pub(super) fn numbers(run: &ReportInput<'_>, without: Option<&ReportInput<'_>>) -> Markup {
    let exact = |v: f64| format!("{:.2} %", 100.0 * v);
    let Spaces { image, feature } = &run.judgement.spaces;
    let rules = image.rules().into_iter().zip(feature.rules()).map(|(image, feature)| [image, feature]);
    html! {
        section #numbers aria-labelledby="numbers-title" {
            h2 #numbers-title { "The numbers" }
            p.hint { "In brackets 95 % intervals, over other " (if run.data.is_open_set() { "classes" } else { "queries" }) "." }
            div.scroll tabindex="0" role="region" aria-label="Table" {
                table {
                    thead { tr { th scope="col" { "accuracy" } th scope="col" { (run.baseline().space()) } th scope="col" { "feature space" } th scope="col" { "difference" } } }
                    tbody {
                        @for (c, rules) in run.judgement.comparison.iter().zip(rules) {
                            @let [image, feature] = rules.map(|(_, rule)| bracketed(rule.interval));
                            tr { th scope="row" { (c.rule) } td { (exact(c.image)) (image) } td { (exact(c.feature)) (feature) }
                                td { (format!("{:+.2} points, {}", 100.0 * (c.feature - c.image), c.paired.verdict())) } }
                        }
                        @if let (Some(i), Some(f)) = (image.verification, feature.verification) {
                            tr { th scope="row" { "equal error rate of all pairs" } td { (exact(i.eer)) } td { (exact(f.eer)) }
                                td { (format!("{:+.2} points; less is better", 100.0 * (f.eer - i.eer))) } }
                        }
                    }
                }
            }
            @if let Some((feature, image)) = run.retrieval { (retrieval(feature, image, run.baseline())) }
            @if let Some(u) = &without.unwrap_or(run).judgement.unseen {
                h3 #numbers-unseen { "Never seen in training: " (u.classes.join(", ")) }
                div.scroll tabindex="0" role="region" aria-label="Table" {
                    table {
                        thead { tr { th scope="col" { "measure" } th scope="col" { (run.baseline().space()) } th scope="col" { "feature space" } } }
                        tbody { @for (name, image, feature) in u.headline() { tr { th scope="row" { (name) } td { (exact(image)) } td { (exact(feature)) } } } }
                    }
                }
            }
        }
    }
}

/// Between what a number lies, 95 %, in percent; nothing where that is not known.
fn bracketed(interval: Option<[f64; 2]>) -> Markup {
    html! {
        @if let Some([low, high]) = interval.map(|ends| ends.map(|v| 100.0 * v)) {
            " " span.interval { (format!("[{low:.2}, {high:.2}]")) }
        }
    }
}

/// Every measure of retrieval, over queries and over classes.
fn retrieval(feature: &RetrievalReport, image: Option<&RetrievalReport>, baseline: Baseline) -> Markup {
    let exact = |v: f64| format!("{:.2} %", 100.0 * v);
    let pixels: Option<Vec<(String, f64)>> = image.map(|i| i.micro.named(&i.ks));
    let rows = feature.micro.named(&feature.ks).into_iter().zip(feature.per_class.named(&feature.ks));
    let interval = |of: &RetrievalReport, name: &str| bracketed(of.intervals.get(name).copied());
    html! {
        h3 #retrieval { "Retrieval" }
        p.hint {
            (thousands(feature.queries)) " queries"
            @if feature.without_match > 0 { "; " (thousands(feature.without_match)) " more have no match in the gallery and are left out" }
            ". Means over queries, and over classes."
        }
        div.scroll tabindex="0" role="region" aria-label="Table" {
            table {
                thead { tr { th scope="col" { "measure" } @if pixels.is_some() { th scope="col" { (baseline.space()) } }
                    th scope="col" { "feature space" } th scope="col" { "mean over classes" } } }
                tbody {
                    @for (k, ((name, value), (_, by_class))) in rows.enumerate() {
                        tr {
                            th scope="row" { (name) }
                            @if let (Some(pixels), Some(image)) = (&pixels, image) { td { (exact(pixels[k].1)) (interval(image, &name)) } }
                            td { (exact(value)) (interval(feature, &name)) }
                            td { (exact(by_class)) }
                        }
                    }
                }
            }
        }
        @if !feature.by_category.is_empty() {
            h3 #retrieval-by-category { "Retrieval by category" }
            div.scroll tabindex="0" role="region" aria-label="Table" {
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
pub(super) fn provenance(
    run: Option<&TrainingInput<'_>>,
    without: Option<&TrainingInput<'_>>,
    facts: &PageFacts,
) -> Markup {
    // Its resolved settings say all: data, split, seed and whatever differs from the recipe.
    let command = |run: &str| format!("alike train --config {run}/config.toml --out {run}-again");
    let [out, other] = [&facts.run, &facts.unseen].map(|path| path.as_deref());
    let unseen = without.zip(other);
    let page = facts.page.as_deref().unwrap_or("page.html");
    html! {
        section #made aria-labelledby="made-title" {
            h2 #made-title { "How this was made" }
            p {
                "By Alike " (env!("CARGO_PKG_VERSION")) ", with " (Tier::found().name()) " instructions"
                @if let Some(date) = &facts.date { ", from a model of " (date) }
                "."
                @if run.is_some() { " The network:" }
            }
            @if let Some(t) = run {
                pre tabindex="0" { (t.checkpoint.network.spec()) }
                p { "All settings stand in the run's " code { "config.toml" } ", and the first command trains by them again." }
            }
            p { "These commands make it again:" }
            pre tabindex="0" {
                @if run.is_some() { (command(out.unwrap_or("RUN"))) "\n" }
                @if let Some((_, other)) = unseen { (command(other)) "\n" }
                @match &facts.command {
                    Some(line) => (line),
                    None => {
                        "alike report " (out.unwrap_or("RUN"))
                        @if without.is_some() { " --unseen " (other.unwrap_or("RUN2")) }
                        " -o " (page) " --force"
                    },
                }
                "\nalike map " (out.unwrap_or("MODEL")) " -o map.html"
            }
        }
    }
}
