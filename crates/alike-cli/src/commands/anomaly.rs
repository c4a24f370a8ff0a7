//! `alike anomaly`.

use super::report::draw;
use super::{refuse_existing, write_table};
use crate::args::{AnomalyArgs, Global};
use crate::printer::{line, note};
use crate::using::{Model, Together, bursts_sentence, numbers_of};
use alike::data::exclude;
use alike::eval::{Alarm, Detector, Reference, alarm_threshold, known_or_found};
use alike::files;
use alike::identity::{Identities, Shared};
use alike::images::{Images, Vectors};
use alike::neighbours::{Neighbour, nearest};
use alike::own::OwnTable;
use alike::report::{PictureRow, Shown, Tone, picture_rows};
use anyhow::ensure;
use serde_json::json;
use std::collections::BTreeSet;

/// Images of a figure.
const DRAWN: usize = 24;
/// Normal images beside each.
const BESIDE: usize = 6;

pub(crate) fn run(args: &AnomalyArgs, global: &Global) -> anyhow::Result<()> {
    let files: Vec<_> = [&args.csv, &args.out].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    let mut model = Model::open(&args.run, &args.pictures, global)?;
    let asked = model.pictures(&args.images)?;
    let mut held_out = None;
    let known = if args.reference.is_empty() {
        let data = model.own_data()?;
        // Classes that were left out of training are not what is normal.
        let excluded = model.excluded(&data)?;
        let test = data.test.select(&exclude(&data.test.labels, &excluded));
        // What was trained on lies nearer to itself than new images do: test images tell how far normal ones are.
        if !test.is_empty() && !data.is_open_set() {
            held_out = Some(model.own(&data, &test, "test")?);
        }
        model.own_training(&data, &exclude(&data.train.labels, &excluded))?
    } else {
        model.known(&args.reference)?
    };
    let answering = known.answering();
    let trained = model.asked_of_trained(&asked, Some(&known));
    let labels: Vec<u32> = known.gallery.labels.iter().map(|l| l.unwrap_or(0)).collect();
    let reference = Vectors::Features(&known.gallery.features);
    let identities = &known.gallery.identities;
    let queries_own = known.own(&asked, args.leave_group)?;
    // What belongs together, among references and those that calibrate.
    let n = known.gallery.len();
    let siblings = {
        let mut all = known.gallery.clone();
        held_out.iter().for_each(|more| all.append(&more.gallery));
        let labels: Vec<u32> = all.labels.iter().map(|l| l.unwrap_or(0)).collect();
        let named: Vec<u32> = numbers_of(&all.groups);
        let all_of = Reference::new(Vectors::Features(&all.features), &labels, &all.identities);
        known_or_found(model.tier(), Reference { groups: &named, ..all_of })
    };
    let (groups, found) = (&siblings.groups, &siblings.bursts);
    if let Some(bursts) = found {
        note(
            global,
            bursts_sentence(bursts, if held_out.is_some() { "reference and test" } else { "reference" }),
        );
    }
    let together = Together::of(groups, found.as_ref());
    let (of_references, of_held_out) = groups.split_at(n.min(groups.len()));
    // With --leave-group the groups are those that are named.
    let named = known.groups(args.leave_group)?.0;
    // Those of references and test images together are of no use here.
    let near = if held_out.is_none() { &siblings.near[..] } else { &[] };
    let detector = Detector::fit_near(
        model.tier(),
        Reference { groups: of_references, ..Reference::new(reference, &labels, identities) },
        args.method,
        near,
    )?;
    let (normal, on) = match &held_out {
        Some(test) => {
            let own = Identities::shared(&test.gallery.identities, identities)
                .unwrap_or_else(|| Shared::none(test.gallery.len(), n))
                .of_groups(of_held_out.to_vec());
            let features = Vectors::Features(&test.gallery.features);
            (detector.score(features, Some(&own)), "test images of the run")
        }
        None => (detector.reference_scores().into_iter().flatten().collect(), "reference images"),
    };
    // What has nothing else to be compared with says nothing.
    let normal: Vec<f64> = normal.into_iter().filter(|s| s.is_finite()).collect();
    ensure!(
        !normal.is_empty(),
        "no reference image has another of its class{} to be compared with; give more with --reference",
        if together == Together::Image { "" } else { ", and of another group," }
    );
    let calibrated = normal.len();
    // What is independent of each other is what promises: bursts and groups, where images come in such.
    let independent = match &held_out {
        _ if groups.is_empty() => calibrated,
        Some(_) => of_held_out.iter().collect::<BTreeSet<_>>().len(),
        None => of_references.iter().collect::<BTreeSet<_>>().len(),
    };
    let found_on = alarm_threshold(normal, args.false_alarms);
    let threshold = found_on.threshold;
    let alarm = Alarm {
        rate: found_on.rate.max(1.0 / (independent + 1) as f64),
        scores: found_on.scores.min(independent),
        ..found_on
    };
    if let Some(needed) = alarm.needs(args.false_alarms) {
        note(
            global,
            format!(
                "{independent} {} cannot promise a rate of {} false alarms, which takes {needed}: the promise is {:.2} %",
                match together {
                    Together::Image => "normal images",
                    Together::Group => "groups of normal images",
                    Together::Burst => "bursts and single images that are normal",
                },
                args.false_alarms,
                100.0 * alarm.rate
            ),
        );
    }
    if held_out.is_none() && (0..n).all(|i| known.trained(i) == Some(true)) {
        note(
            global,
            "these were trained on: new normal images lie farther from them than they do from each other, so more than promised will \
             raise an alarm; give images that were not trained on with --reference",
        );
    }
    let queries = model.embed(&asked.train.images)?;
    // Those who ask are of no burst.
    let detector = if named == of_references {
        detector
    } else {
        let of = Reference { groups: &named, ..Reference::new(reference, &labels, identities) };
        Detector::fit_near(model.tier(), of, args.method, near)?
    };
    let scores = detector.score(Vectors::Features(&queries), Some(&queries_own));
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let alarms = scores.iter().filter(|s| **s > threshold).count();
    note(
        global,
        format!(
            "normal are {}; by {} an alarm is a score above {threshold:.4}, as at most {:.2} % of new normal images have in the mean, \
             going by {calibrated} {on}, {}",
            answering.sentence(),
            args.method,
            100.0 * alarm.rate,
            together.left_out()
        ),
    );
    if let Some(path) = &args.csv {
        let mut csv = OwnTable::new("anomaly", Vec::new(), &["rank", "path", "score", "alarm"])?;
        for (rank, &i) in order.iter().enumerate() {
            let alarm = scores[i] > threshold;
            csv.row([
                &(rank + 1).to_string(),
                &asked.train.names[i],
                &scores[i].to_string(),
                &alarm.to_string(),
            ])?;
        }
        write_table(path, csv.finish()?, global)?;
    }
    if let Some(out) = &args.out {
        let shown = &order[..order.len().min(DRAWN)];
        let rows = queries.select(shown);
        let own = Shared {
            queries: shown.iter().map(|i| queries_own.queries[*i]).collect(),
            groups: shown.iter().map(|i| queries_own.groups[*i]).collect(),
            ..queries_own.clone()
        };
        let of = Reference { groups: &named, ..Reference::new(reference, &labels, identities) };
        let near: Vec<Vec<Neighbour>> = of.leaving(Some(&own), |leave| {
            nearest(model.tier(), Vectors::Features(&rows), reference, BESIDE, leave, |_, list| list.to_vec())
        });
        let pictures: Vec<Vec<Option<(Images, usize)>>> =
            near.iter().map(|list| list.iter().map(|n| model.find(&known, n.index)).collect()).collect();
        let blank = model.blank();
        let rows = shown.iter().zip(near.iter().zip(&pictures)).map(|(&q, (near, pictures))| PictureRow {
            lead: Some(Shown::new(
                &asked.train.images,
                q,
                format!("{:.3}", scores[q]),
                if scores[q] > threshold { Tone::Wrong } else { Tone::Right },
            )),
            heading: asked.train.names[q].clone(),
            others: (pictures.iter().zip(near))
                .map(|(picture, n)| Shown::or_blank(picture, &blank).far(n.distance))
                .collect(),
        });
        let caption = format!(
            "The most anomalous images by {}, each with its score and the normal images that it is nearest to, with their distances; ✗ above the \
             threshold of {threshold:.4}.",
            args.method
        );
        let figure = picture_rows(
            "anomalies",
            "What is not normal",
            caption,
            &[("Most anomalous first", rows.collect())],
        );
        files::write(out, &draw(&figure, out)?)?;
    }
    if global.json {
        let all: Vec<_> = order
            .iter()
            .map(|&i| {
                json!({ "path": asked.train.names[i], "score": scores[i], "alarm": scores[i] > threshold,
                    "trained_on": trained[i] })
            })
            .collect();
        return line(
            json!({ "method": args.method.to_string(), "threshold": threshold, "false_alarms": args.false_alarms, "promised": alarm.rate,
                    "reference": answering, "calibrated_on": calibrated, "leaving_out": together.word(),
                    "independent": independent, "bursts": found, "alarms": alarms, "images": all })
            .to_string(),
        );
    }
    for &i in &order {
        let alarm = if scores[i] > threshold { "ALARM" } else { "     " };
        line(format!("{alarm}  {:.4}  {}", scores[i], asked.train.names[i]))?;
    }
    note(global, format!("{alarms} of {} images raise an alarm", scores.len()));
    Ok(())
}
