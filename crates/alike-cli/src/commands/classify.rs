//! `alike classify`.

use super::refuse_existing;
use crate::args::{ClassifyArgs, Global, RuleArg};
use crate::printer::{line, note};
use crate::using::Model;
use alike::eval::{Answer, Calibration, Classifier, Reference, Rule};
use alike::files;
use alike::identity::Identities;
use alike::images::Vectors;
use alike::own::OwnTable;
use anyhow::ensure;
use serde_json::json;

pub(crate) fn run(args: &ClassifyArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        refuse_existing(&[out], args.force)?;
    }
    let mut model = Model::open(&args.run, &args.pictures, global)?;
    let asked = model.pictures(&args.images)?;
    let mut held_out = None;
    let known = if args.gallery.is_empty() {
        let data = model.own_data()?;
        ensure!(data.labelled, "{} has no classes; give images of known class with --gallery", data.name);
        let (gallery, itself) = data.gallery();
        // Images that were trained on lie nearer to each other than new ones do: test images tell how near those are.
        if !itself && !data.test.is_empty() {
            held_out = Some((model.embed(&data.test.images)?, data.test.clone()));
        }
        model.own(&data, gallery)?.gallery
    } else {
        model.known(&args.gallery)?.gallery
    };
    let (known, labels) = known.labelled();
    let names = &known.names;
    ensure!(
        !labels.is_empty(),
        "the gallery has no classes; give a folder of class folders, or a table with a column 'class'"
    );
    let rule = match args.rule {
        RuleArg::Knn => Rule::Knn(args.k as usize),
        RuleArg::Weighted => Rule::Weighted(args.k as usize),
        RuleArg::Means => Rule::Means,
    };
    let gallery = Reference::new(Vectors::Features(&known.features), &labels, &known.identities);
    let classifier = Classifier::new(model.tier(), gallery, known.classes.len(), rule);
    let held_out = held_out
        .as_ref()
        .map(|(f, split)| Reference::new(Vectors::Features(f), &split.labels, &split.identities));
    let calibrated = classifier.calibrate(held_out, args.accept);
    let by = match (args.threshold, calibrated) {
        (Some(threshold), Ok(by)) => Calibration { threshold, ..by },
        (Some(threshold), Err(_)) => Calibration::given(threshold),
        (None, by) => by?,
    };
    note(
        global,
        format!(
            "{} known images of {} classes; unknown beyond {:.4}{}",
            labels.len(),
            known.classes.len(),
            by.threshold,
            match args.threshold {
                Some(_) => String::new(),
                None => format!(
                    ", which at least {:.1} % of new images of known class are within in the mean, going by {} ({:.2} % of them \
                     classified rightly){}",
                    100.0 * by.accept,
                    by.images,
                    100.0 * by.accuracy,
                    if by.accept < args.accept { "; so few promise no more" } else { "" }
                ),
            }
        ),
    );
    if let Some(needed) = by.confidence_needs {
        note(
            global,
            format!(
                "no confidences: they would take about {needed} images of known class to be right within two points"
            ),
        );
    }
    let own = Identities::shared(&asked.train.identities, &known.identities);
    let answers = classifier.answer(&model.embed(&asked.train.images)?, own.as_ref(), &by);
    let said = |a: &Answer| if a.known { known.classes[a.class as usize].as_str() } else { "unknown" };
    if let Some(out) = &args.out {
        let header = ["path", "answer", "nearest_class", "distance", "confidence", "nearest"];
        let mut csv = OwnTable::new("classify", Vec::new(), &header)?;
        for (path, a) in asked.train.names.iter().zip(&answers) {
            let Some(a) = a else {
                csv.row([path, "", "", "", "", ""])?;
                continue;
            };
            let nearest = a.nearest.map_or("", |i| names[i].as_str());
            csv.row([
                path,
                said(a),
                &known.classes[a.class as usize],
                &a.distance.to_string(),
                &a.confidence.map_or(String::new(), |c| c.to_string()),
                nearest,
            ])?;
        }
        files::write(out, &csv.finish()?)?;
    }
    if global.json {
        let all: Vec<_> = asked
            .train
            .names
            .iter()
            .zip(&answers)
            .map(|(path, a)| {
                let Some(a) = a else { return json!({ "path": path, "class": null, "known": false }) };
                json!({
                    "path": path,
                    "class": a.known.then(|| said(a)),
                    "nearest_class": known.classes[a.class as usize],
                    "known": a.known,
                    "distance": a.distance,
                    "confidence": a.confidence,
                    "nearest": a.nearest.map(|i| &names[i]),
                })
            })
            .collect();
        return line(json!({ "calibration": by, "answers": all }).to_string());
    }
    for (path, a) in asked.train.names.iter().zip(&answers) {
        let Some(a) = a else {
            line(format!("{path}  no answer: the gallery holds no other image"))?;
            continue;
        };
        let class = &known.classes[a.class as usize];
        let how = if a.known {
            let sure = a.confidence.map_or(String::new(), |c| format!("confidence {c:.3}, "));
            format!("{class}  {sure}distance {:.4}", a.distance)
        } else {
            format!("unknown  nearest is {class} at distance {:.4}", a.distance)
        };
        line(format!("{path}  {how}"))?;
    }
    Ok(())
}
