//! What lies together, without a look at classes.

use super::pictures::{PictureRow, Shown, Tone, panel as picture_panel};
use crate::eval::{agreement, k_means};
use crate::report::evidence::{Evidence, percent, thousands};
use crate::report::figure::Figure;
use std::collections::BTreeMap;

/// Images that are clustered, at most.
const MOST: usize = 5000;
/// Clusters that are shown, the largest.
const SHOWN: usize = 10;
const EACH: usize = 8;

/// As many clusters as there are classes among the test images, by k-means.
pub(in crate::report) fn clusters(e: &Evidence<'_>) -> Option<Figure> {
    let test = &e.data.test;
    if test.images.are_floats() || !e.data.labelled {
        return None;
    }
    let n = test.len();
    let rows: Vec<usize> = (0..n.min(MOST)).map(|i| i * n / n.min(MOST)).collect();
    let labels: Vec<u32> = rows.iter().map(|i| test.labels[*i]).collect();
    let mut kinds = labels.clone();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() < 2 || kinds.len() >= rows.len() {
        return None;
    }
    let found = k_means(e.tier, &e.queries.select(&rows), kinds.len(), 2, e.settings.seed);
    let assignment: Vec<Option<u32>> = found.assignment.iter().map(|c| Some(*c)).collect();
    let agrees = agreement(&labels, &assignment);
    let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    found.assignment.iter().zip(&rows).for_each(|(c, i)| members.entry(*c).or_default().push(*i));
    let mut clusters: Vec<Vec<usize>> = members.into_values().collect();
    clusters.sort_by_key(|m| std::cmp::Reverse(m.len()));
    let row = |members: &Vec<usize>| {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        members.iter().for_each(|i| *counts.entry(test.labels[*i]).or_default() += 1);
        let best = counts.into_iter().max_by_key(|c| c.1);
        let heading = best.map_or(String::new(), |(label, k)| {
            let share = percent(k as f64 / members.len() as f64);
            format!("{} images, {share} of them {}", thousands(members.len()), e.data.classes[label as usize])
        });
        let shown = members.len().min(EACH);
        let others = (0..shown)
            .map(|k| Shown {
                images: &test.images,
                i: members[k * members.len() / shown],
                text: String::new(),
                tone: Tone::Plain,
            })
            .collect();
        PictureRow { lead: None, heading, others }
    };
    let shown: Vec<PictureRow<'_>> = clusters.iter().take(SHOWN).map(row).collect();
    let half = shown.len().div_ceil(2);
    let caption = format!(
        "{} test images in {} clusters by k-means in the learned space, which knows nothing of classes{}. Against the classes: NMI {:.3}, AMI {:.3}, \
         ARI {:.3}, V-measure {:.3}, purity {}.",
        thousands(rows.len()),
        kinds.len(),
        if clusters.len() > SHOWN { format!("; the {SHOWN} largest are shown") } else { String::new() },
        agrees.nmi,
        agrees.ami,
        agrees.ari,
        agrees.v_measure,
        percent(agrees.purity),
    );
    let panels =
        vec![picture_panel("Clusters, the largest first", &shown[..half]), picture_panel("", &shown[half..])];
    Some(Figure { name: "clusters", title: "What lies together".to_owned(), caption, panels, columns: 2 })
}
