//! What lies together, without a look at classes.

use super::pictures::{ACROSS, PictureRow, Shown, Tone, numbers, panel as picture_panel};
use super::saliency::{network, reasons};
use crate::eval::{KMeans, agreement, agreement_bootstrap, bootstrap_interval, k_means};
use crate::files::FileError;
use crate::neighbours::squared_distance;
use crate::report::figure::{Figure, Panel};
use crate::report::input::{ReportInput, percent, thousands};
use crate::report::text::short_names;
use crate::sample;
use std::collections::BTreeMap;

/// Images that are clustered, at most.
const MOST: usize = 5000;
/// Clusters that are shown, the largest.
const SHOWN: usize = 10;
const EACH: usize = ACROSS[1];
/// Images of other classes than their cluster, those beside each, and those of them that are explained.
const MISFITS: usize = 7;
const BESIDE: usize = ACROSS[0];
const EXPLAINED: usize = 3;

const MIDST: &str = " Then come images in the midst of a cluster whose commonest class is another, with those of that class that they \
                     are nearest to.";

/// As many clusters as there are classes among the test images, by k-means.
pub(in crate::report) fn clusters(e: &ReportInput<'_>) -> Result<Option<Figure>, FileError> {
    let test = &e.data.test;
    if test.images.are_floats() || !e.data.labelled {
        return Ok(None);
    }
    let rows = sample::stratified(&test.labels, test.identities.keys(), MOST, 1, e.seed());
    let labels: Vec<u32> = rows.iter().map(|i| test.labels[*i]).collect();
    let mut kinds = labels.clone();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() < 2 || kinds.len() >= rows.len() {
        return Ok(None);
    }
    let found = k_means(&e.queries.select(&rows), kinds.len(), 2, e.seed());
    let assignment: Vec<Option<u32>> = found.assignment.iter().map(|c| Some(*c)).collect();
    let agrees = agreement(&labels, &assignment);
    let draws = agreement_bootstrap(&labels, &assignment, e.seed());
    let drawn: Vec<f64> = draws.iter().map(|a| a.nmi).collect();
    let [low, high] = bootstrap_interval(agrees.nmi, &drawn, labels.len() as f64);
    let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    found.assignment.iter().zip(&rows).for_each(|(c, i)| members.entry(*c).or_default().push(*i));
    let mut clusters: Vec<Vec<usize>> = members.into_values().collect();
    clusters.sort_by_key(|m| std::cmp::Reverse(m.len()));
    let names = short_names(&e.data.classes);
    let row = |members: &Vec<usize>| {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        members.iter().for_each(|i| *counts.entry(test.labels[*i]).or_default() += 1);
        let best = counts.into_iter().max_by_key(|c| c.1);
        let heading = best.map_or(String::new(), |(label, k)| {
            let n = members.len();
            let images = if n == 1 { "image" } else { "images" };
            format!(
                "{} {images}, {:.0} % {}",
                thousands(n),
                100.0 * k as f64 / n as f64,
                names[label as usize]
            )
        });
        let shown = members.len().min(EACH);
        let others = (0..shown)
            // Drawn at random: so is the order of the members.
            .map(|k| Shown::new(&test.images, members[k], "", Tone::Plain))
            .collect();
        PictureRow { lead: None, heading, others }
    };
    let shown: Vec<PictureRow<'_>> = clusters.iter().take(SHOWN).map(row).collect();
    let half = shown.len().div_ceil(2);
    let odd = misfits(e, &rows, &found)?;
    let table = numbers(&[("clusters", shown.clone())]);
    let caption = format!(
        "{} test images in {} clusters by k-means in the learned space, which knows nothing of classes{}. Against the classes: NMI {:.3}{}, AMI {:.3}, \
         ARI {:.3}, V-measure {:.3}, purity {}.{}",
        thousands(rows.len()),
        kinds.len(),
        if clusters.len() > SHOWN { format!("; the {SHOWN} largest are shown") } else { String::new() },
        agrees.nmi,
        format_args!(" [{low:.3}, {high:.3}]"),
        agrees.ami,
        agrees.ari,
        agrees.v_measure,
        percent(agrees.purity),
        if odd.is_empty() { "" } else { MIDST },
    );
    let mut panels = vec![picture_panel("Clusters, the largest first", &shown[..half])?];
    if half < shown.len() {
        panels.push(picture_panel("Further clusters", &shown[half..])?);
    }
    panels.extend(odd);
    Ok(Some(Figure {
        name: "clusters",
        title: "What lies together".to_owned(),
        caption,
        numbers: table,
        panels,
        columns: 2,
    }))
}

/// Images that lie in the midst of a cluster of another class, each with those of that class that it is nearest to.
fn misfits(e: &ReportInput<'_>, rows: &[usize], found: &KMeans) -> Result<Vec<Panel>, FileError> {
    let test = &e.data.test;
    let label = |k: usize| test.labels[rows[k]];
    let mut counts: BTreeMap<u32, BTreeMap<u32, usize>> = BTreeMap::new();
    found.assignment.iter().enumerate().for_each(|(k, cluster)| {
        *counts.entry(*cluster).or_default().entry(label(k)).or_default() += 1;
    });
    let class_of = |cluster: u32| counts[&cluster].iter().max_by_key(|c| c.1).map_or(0, |c| *c.0);
    let own = |k: usize| e.queries.row(rows[k]);
    let mut odd: Vec<(f64, usize)> = (0..rows.len())
        .filter(|k| class_of(found.assignment[*k]) != label(*k))
        .map(|k| (squared_distance(own(k), found.centres.row(found.assignment[k] as usize)), k))
        .collect();
    odd.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    odd.truncate(MISFITS);
    let names = short_names(&e.data.classes);
    let name = |k: usize| names[label(k) as usize].clone();
    let beside: Vec<Vec<(f64, usize)>> = odd
        .iter()
        .map(|(_, k)| {
            let class = class_of(found.assignment[*k]);
            let mut others: Vec<(f64, usize)> = (0..rows.len())
                .filter(|o| found.assignment[*o] == found.assignment[*k] && label(*o) == class)
                .map(|o| (squared_distance(own(*k), own(o)).sqrt(), o))
                .collect();
            others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            others.truncate(BESIDE);
            others
        })
        .collect();
    if odd.is_empty() {
        return Ok(Vec::new());
    }
    let shown: Vec<PictureRow<'_>> = odd
        .iter()
        .zip(&beside)
        .map(|((_, k), others)| PictureRow {
            lead: Some(Shown::new(&test.images, rows[*k], name(*k), Tone::Plain)),
            heading: String::new(),
            others: others
                .iter()
                .map(|(d, o)| Shown::new(&test.images, rows[*o], name(*o), Tone::Wrong).far(*d))
                .collect(),
        })
        .collect();
    let pairs = odd.iter().zip(&beside).take(EXPLAINED).map(|((_, k), others)| {
        let o = others[0].1;
        [(&test.images, rows[*k], name(*k)), (&test.images, rows[o], format!("nearest: {}", name(o)))]
    });
    let mut panels = vec![picture_panel("In the midst of another class", &shown)?];
    panels.extend(reasons("What makes them alike", pairs.collect(), network(e).as_mut())?);
    Ok(panels)
}
