//! What is unlike all that was trained on.

use super::histogram::histogram;
use super::pictures::{ACROSS, PictureRow, Shown, Tone, numbers, panel as picture_panel};
use super::saliency::{network, reasons};
use crate::data::find_class;
use crate::eval::{AnomalyMethod, Detection, Detector, Reference, bootstrap_interval};
use crate::files::FileError;
use crate::identity::Identities;
use crate::images::{Features, Vectors};
use crate::neighbours::{Exact, Exclude, Neighbour, nearest};
use crate::report::axes::bins;
use crate::report::figure::{Figure, Panel};
use crate::report::input::{ReportInput, percent, thousands};
use crate::report::text::short_names;
use crate::text::Choice;

const WORST: usize = 7;
const BESIDE: usize = ACROSS[0];
const BINS: usize = 50;
const EXPLAINED: usize = 3;

/// Test images by their distance from what was trained on: of classes that were left out against the others, and the most unlike
/// ones. Nothing for an open set, where all are new.
pub(in crate::report) fn anomalies(e: &ReportInput<'_>) -> Result<Option<Figure>, FileError> {
    let (train, test) = (&e.data.train, &e.data.test);
    if e.data.gallery().1 || e.data.given_gallery.is_some() || e.gallery.len() < 2 || test.images.are_floats()
    {
        return Ok(None);
    }
    let excluded: Vec<u32> = e.excluded().iter().filter_map(|name| find_class(e.data, name).ok()).collect();
    let kept = e.trained();
    let reference: Features = e.gallery.select(&kept);
    let labels: Vec<u32> = kept.iter().map(|i| train.labels[*i]).collect();
    let identities = train.identities.select(&kept);
    let own = Identities::shared(&test.identities, &identities);
    let anomaly: Vec<bool> = test.labels.iter().map(|l| excluded.contains(l)).collect();
    let scores = |method| -> Option<Vec<f64>> {
        let of = Reference::new(Vectors::Features(&reference), &labels, &identities);
        Some(Detector::fit(of, method).ok()?.score(Vectors::Features(e.queries), own.as_ref()))
    };
    let Some(by_distance) = scores(AnomalyMethod::Knn { k: 1 }) else { return Ok(None) };
    let mut panels = Vec::new();
    let mut caption = format!(
        "The distance of each of the {} test images to the nearest of {} that were trained on.",
        thousands(test.len()),
        thousands(reference.len())
    );
    if anomaly.contains(&true) {
        panels.push(known_and_unknown(&by_distance, &anomaly));
        let measured: Vec<String> = AnomalyMethod::all()
            .into_iter()
            .filter_map(|m| {
                let scores = scores(m)?;
                let d = Detection::new(&scores, &anomaly)?;
                let draws = Detection::bootstrap(&scores, &anomaly, test.identities.keys(), e.seed());
                let drawn: Vec<f64> = draws.iter().flatten().map(|d| d.auroc).collect();
                let [low, high] = bootstrap_interval(d.auroc, &drawn, d.units()).map(|v| 100.0 * v);
                Some(format!(
                    "{m}: AUROC {} [{low:.2}, {high:.2}], at a recall of 95 % {} false alarms",
                    percent(d.auroc),
                    percent(d.fpr_at_95_tpr)
                ))
            })
            .collect();
        caption.push_str(&format!(
            " Images of {} were never trained on: are they farther than the others? {}.",
            e.excluded().join(", "),
            measured.join("; ")
        ));
    }
    let mut order: Vec<usize> = (0..test.len()).collect();
    order.sort_by(|a, b| by_distance[*b].total_cmp(&by_distance[*a]).then(a.cmp(b)));
    order.truncate(WORST);
    let own = Identities::shared(&test.identities.select(&order), &identities);
    let near: Vec<Vec<Neighbour>> = nearest(
        &Exact::new(Vectors::Features(&reference)),
        Vectors::Features(&e.queries.select(&order)),
        BESIDE,
        own.as_ref().map_or(Exclude::None, Exclude::shared),
        |_, list| list.to_vec(),
    );
    let names = short_names(&e.data.classes);
    let name = |label: u32| names[label as usize].clone();
    let beside = |n: &Neighbour| {
        let g = kept[n.index];
        Shown::new(&train.images, g, name(train.labels[g]), Tone::Plain).far(n.distance)
    };
    let rows: Vec<PictureRow<'_>> = order
        .iter()
        .zip(&near)
        .map(|(&q, near)| PictureRow {
            lead: Some(Shown::new(&test.images, q, name(test.labels[q]), Tone::Plain)),
            heading: String::new(),
            others: near.iter().map(beside).collect(),
        })
        .collect();
    let title = "The most unlike, and what is nearest";
    panels.push(picture_panel(title, &rows)?);
    let numbers = numbers(&[(title, rows)]);
    let pairs = order.iter().zip(&near).take(EXPLAINED).filter_map(|(&q, near)| {
        let g = kept[near.first()?.index];
        Some([
            (&test.images, q, name(test.labels[q])),
            (&train.images, g, format!("nearest: {}", name(train.labels[g]))),
        ])
    });
    panels.extend(reasons("What they differ by", pairs.collect(), network(e).as_mut())?);
    Ok(Some(Figure {
        name: "anomalies",
        title: "What is unlike all that it knows".to_owned(),
        caption,
        numbers,
        panels,
        columns: 2,
    }))
}

fn known_and_unknown(scores: &[f64], anomaly: &[bool]) -> Panel {
    let most = scores.iter().copied().filter(|s| s.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let totals = [false, true].map(|kind| anomaly.iter().filter(|a| **a == kind).count().max(1) as f64);
    let rarer = totals[0].min(totals[1]) as usize;
    let mut shares = vec![[0.0f64; 2]; bins(rarer, BINS)];
    let count = shares.len();
    for (s, a) in scores.iter().zip(anomaly) {
        let bin = ((s / most * count as f64) as usize).min(count - 1);
        shares[bin][usize::from(*a)] += 1.0 / totals[usize::from(*a)];
    }
    let names = ["of classes trained on", "of classes left out"];
    histogram("Known and unknown classes", "distance to the nearest known image", most, &shares, names, None)
}
