//! `alike anomaly`.

use super::refuse_existing;
use super::report::draw;
use crate::args::{AnomalyArgs, Global};
use crate::printer::{line, note};
use crate::using::Model;
use alike::data::exclude;
use alike::eval::{Detector, Reference, alarm_threshold};
use alike::files;
use alike::identity::Identities;
use alike::images::{Images, Vectors};
use alike::neighbours::{Leave, Neighbour, nearest};
use alike::own::OwnTable;
use alike::report::{PictureRow, Shown, Tone, picture_rows};
use anyhow::ensure;
use serde_json::json;

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
        let [train, test] =
            [&data.train, &data.test].map(|split| split.select(&exclude(&split.labels, &excluded)));
        // What was trained on lies nearer to itself than new images do: test images tell how far normal ones are.
        if !test.is_empty() && !data.is_open_set() {
            held_out = Some((model.embed(&test.images)?, test.identities.clone()));
        }
        model.own(&data, &train)?
    } else {
        model.known(&args.reference)?
    };
    let labels: Vec<u32> = known.gallery.labels.iter().map(|l| l.unwrap_or(0)).collect();
    let reference = Vectors::Features(&known.gallery.features);
    let identities = &known.gallery.identities;
    let detector = Detector::fit(model.tier(), Reference::new(reference, &labels, identities), args.method)?;
    let (normal, on) = match &held_out {
        Some((features, asked)) => {
            let own = Identities::shared(asked, identities);
            (detector.score(Vectors::Features(features), own.as_ref()), "test images of the run")
        }
        None => {
            (detector.reference_scores().into_iter().flatten().collect(), "reference images, each left out")
        }
    };
    ensure!(
        !normal.is_empty(),
        "no reference image has another of its class to be compared with; give more with --reference"
    );
    let calibrated = normal.len();
    let alarm = alarm_threshold(normal, args.false_alarms);
    let threshold = alarm.threshold;
    if let Some(needed) = alarm.needs(args.false_alarms) {
        note(
            global,
            format!(
                "{calibrated} normal images cannot promise a rate of {} false alarms, which takes {needed}: the largest of their scores is \
                 the threshold",
                args.false_alarms
            ),
        );
    }
    let queries = model.embed(&asked.train.images)?;
    let own = Identities::shared(&asked.train.identities, identities);
    let scores = detector.score(Vectors::Features(&queries), own.as_ref());
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let alarms = scores.iter().filter(|s| **s > threshold).count();
    note(
        global,
        format!(
            "{} reference images; by {} an alarm is a score above {threshold:.4}, as at most {:.2} % of new normal images have in the mean, \
             going by {calibrated} {on}",
            labels.len(),
            args.method,
            100.0 * alarm.rate
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
        files::write(path, &csv.finish()?)?;
    }
    if let Some(out) = &args.out {
        let shown = &order[..order.len().min(DRAWN)];
        let rows = queries.select(shown);
        let own = Identities::shared(&asked.train.identities.select(shown), identities);
        let leave = own.as_ref().map_or(Leave::None, Leave::shared);
        let near: Vec<Vec<Neighbour>> =
            nearest(model.tier(), Vectors::Features(&rows), reference, BESIDE, leave, |_, list| {
                list.to_vec()
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
            .map(|&i| json!({ "path": asked.train.names[i], "score": scores[i], "alarm": scores[i] > threshold }))
            .collect();
        return line(
            json!({ "method": args.method.to_string(), "threshold": threshold, "false_alarms": args.false_alarms, "promised": alarm.rate,
                    "calibrated_on": calibrated, "alarms": alarms, "images": all })
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
