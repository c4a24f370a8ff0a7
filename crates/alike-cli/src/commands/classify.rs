//! `alike classify`.

use super::{refuse_existing, write_table};
use crate::args::{ClassifyArgs, Global, RuleArg};
use crate::printer::{line, note};
use crate::using::{Model, Together, bursts_sentence, with_others};
use alike::eval::{Answer, CALIBRATED, Calibration, Classifier, Reference, Rule, Siblings, known_or_found};
use alike::images::Vectors;
use alike::own::OwnTable;
use alike::sample;
use anyhow::ensure;
use serde_json::json;

pub(crate) fn run(args: &ClassifyArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        refuse_existing(&[out], args.force)?;
    }
    let mut model = Model::open(&args.run, &args.pictures, global)?;
    let asked = model.pictures(&args.images)?;
    let (known, seen) = if args.gallery.is_empty() {
        let data = model.own_data()?;
        ensure!(data.labelled, "{} has no classes; give images of known class with --gallery", data.name);
        (model.own_all(&data)?, true)
    } else {
        (model.known(&args.gallery)?, false)
    };
    let (known, labels) = known.labelled();
    ensure!(
        !labels.is_empty(),
        "the gallery has no classes; give a folder of class folders, or a table with a column 'class'"
    );
    let own = known.own(&asked, args.leave_group)?;
    let answering = known.answering();
    let trained = model.asked_of_trained(&asked, Some(&known));
    let (gallery, names) = (&known.gallery, &known.gallery.names);
    let rule = match args.rule {
        RuleArg::Knn => Rule::Knn(args.k as usize),
        RuleArg::Weighted => Rule::Weighted(args.k as usize),
        RuleArg::Means => Rule::Means,
    };
    // New images are of no burst and no group that is known: what calibrates is compared with other groups alone.
    let (groups, _) = known.groups(args.leave_group)?;
    let features = Vectors::Features(&gallery.features);
    let plain = Reference::new(features, &labels, &gallery.identities);
    let Siblings { groups, bursts: found, .. } =
        known_or_found(model.tier(), Reference { groups: &groups, ..plain });
    let together = Together::of(&groups, found.as_ref());
    if let Some(bursts) = &found {
        note(global, bursts_sentence(bursts, "gallery"));
    }
    let classifier =
        Classifier::new(model.tier(), Reference { groups: &groups, ..plain }, gallery.classes.len(), rule);
    // Images that were trained on lie nearer to each other than new ones do: those held back tell how near these are.
    let with_others = with_others(&labels, &groups);
    let new: Vec<usize> = with_others.iter().copied().filter(|i| known.trained(*i) != Some(true)).collect();
    let on_trained = new.is_empty() && with_others.iter().any(|i| known.trained(*i) == Some(true));
    let rows = if new.is_empty() { with_others } else { new };
    let keys = gallery.identities.keys();
    let rows = {
        let (of, keys): (Vec<u32>, Vec<u64>) = rows.iter().map(|i| (labels[*i], keys[*i])).unzip();
        sample::stratified(&of, &keys, CALIBRATED, 1, 0).into_iter().map(|k| rows[k]).collect::<Vec<_>>()
    };
    let asking = gallery.select(&rows);
    let truth: Vec<u32> = rows.iter().map(|i| labels[*i]).collect();
    let held_out = Reference::new(Vectors::Features(&asking.features), &truth, &asking.identities);
    let calibrated = classifier.calibrate((!rows.is_empty()).then_some(held_out), args.accept);
    let by = match (args.threshold, calibrated) {
        (Some(threshold), Ok(by)) => Calibration { threshold, ..by },
        (Some(threshold), Err(_)) => Calibration::given(threshold),
        (None, by) => by?,
    };
    let calibrated_on = match (seen, on_trained) {
        _ if by.images == 0 => "nothing",
        (_, true) => "images that were trained on",
        (true, false) => "images that were not trained on",
        (false, false) => "images of the gallery",
    };
    note(
        global,
        format!(
            "known are {}; unknown beyond {:.4}{}",
            answering.sentence(),
            by.threshold,
            match args.threshold {
                Some(_) => String::new(),
                None => format!(
                    ", which at least {:.1} % of new images of known class are within in the mean, going by {} {calibrated_on} ({:.2} % \
                     of them classified rightly), {}{}",
                    100.0 * by.accept,
                    by.images,
                    100.0 * by.accuracy,
                    together.left_out(),
                    if by.accept < args.accept { "; so few promise no more" } else { "" }
                ),
            }
        ),
    );
    if on_trained && args.threshold.is_none() {
        note(
            global,
            "new images lie farther from these than they do from each other, so more than promised will be unknown; give images that were \
             not trained on with --gallery",
        );
    }
    if let Some(needed) = by.confidence_needs {
        note(
            global,
            format!(
                "no confidences: they would take about {needed} images of known class to be right within two points"
            ),
        );
    }
    let answers = classifier.answer(&model.embed(&asked.train.images)?, Some(&own), &by);
    let said = |a: &Answer| if a.known { gallery.classes[a.class as usize].as_str() } else { "unknown" };
    if let Some(out) = &args.out {
        let header = ["path", "answer", "known", "nearest_class", "distance", "confidence", "nearest"];
        let mut csv = OwnTable::new("classify", Vec::new(), &header)?;
        for (path, a) in asked.train.names.iter().zip(&answers) {
            let Some(a) = a else {
                csv.row([path, "", "", "", "", "", ""])?;
                continue;
            };
            let nearest = a.nearest.map_or("", |i| names[i].as_str());
            csv.row([
                path.as_str(),
                said(a),
                if a.known { "true" } else { "false" },
                &gallery.classes[a.class as usize],
                &a.distance.to_string(),
                &a.confidence.map_or(String::new(), |c| c.to_string()),
                nearest,
            ])?;
        }
        write_table(out, csv.finish()?, global)?;
    }
    if global.json {
        let all: Vec<_> = asked
            .train
            .names
            .iter()
            .zip(answers.iter().zip(&trained))
            .map(|(path, (a, trained))| {
                let Some(a) = a else { return json!({ "path": path, "class": null, "known": false }) };
                json!({
                    "path": path,
                    "class": a.known.then(|| said(a)),
                    "nearest_class": gallery.classes[a.class as usize],
                    "known": a.known,
                    "distance": a.distance,
                    "confidence": a.confidence,
                    "nearest": a.nearest.map(|i| &names[i]),
                    "trained_on": trained,
                })
            })
            .collect();
        let mut calibration = serde_json::to_value(by)?;
        calibration["on"] = calibrated_on.into();
        calibration["leaving_out"] = together.word().into();
        return line(
            json!({ "gallery": answering, "calibration": calibration, "bursts": found, "answers": all })
                .to_string(),
        );
    }
    for (path, a) in asked.train.names.iter().zip(&answers) {
        let Some(a) = a else {
            line(format!("{path}  no answer: the gallery holds no other image"))?;
            continue;
        };
        let class = &gallery.classes[a.class as usize];
        let how = if a.known {
            let sure = a.confidence.map_or(String::new(), |c| format!("confidence {c:.3}, "));
            format!("{class}  {sure}distance {:.4}", a.distance)
        } else if gallery.classes.iter().any(|c| c == "unknown") {
            format!("none of these classes  nearest is {class} at distance {:.4}", a.distance)
        } else {
            format!("unknown  nearest is {class} at distance {:.4}", a.distance)
        };
        line(format!("{path}  {how}"))?;
    }
    Ok(())
}
