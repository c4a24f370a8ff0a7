//! `alike classify`.

use super::{refuse_existing, write_table};
use crate::args::{ClassifyArgs, Global, RuleArg};
use crate::printer::{json, line, note};
use crate::using::{OpenModel, bursts_sentence};
use alike::eval::Rule;
use alike::own::OwnTable;
use alike::tasks::{CalibratedOn, Classified, ClassifyAnswer, ClassifyOptions, TaskError, classify};

pub(crate) fn run(args: &ClassifyArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        refuse_existing(&[path], args.force)?;
    }
    let model = OpenModel::new(&args.encoder, global)?;
    let asked = model.read(&args.images)?;
    let own_images = args.gallery.is_empty();
    let known = if own_images {
        let data = model.read_own()?;
        if !data.labelled {
            return Err(TaskError::NoClasses(data.name).into());
        }
        model.own_all(&data)?
    } else {
        model.read_known(&args.gallery)?
    };
    let options = ClassifyOptions {
        rule: match args.rule {
            RuleArg::Knn => Rule::Knn(args.k as usize),
            RuleArg::Weighted => Rule::Weighted(args.k as usize),
            RuleArg::Means => Rule::Means,
        },
        accept: args.accept,
        threshold: args.threshold,
        leave_group: args.leave_group,
        own_images,
    };
    let answer = classify(&model, &asked, &known, &options)?;
    let trained: Vec<bool> = answer.answers.iter().map(|a| a.trained_on).collect();
    model.note_trained(&asked, &trained);
    notes(&answer, args, global);
    if let Some(path) = &args.csv {
        write_table(path, table(&answer)?, global)?;
    }
    if global.json {
        return json(&answer);
    }
    let unknown_is_a_class = known.gallery.classes.iter().any(|c| c == "unknown");
    for a in &answer.answers {
        line(format!("{}  {}", a.path, sentence(a, unknown_is_a_class)))?;
    }
    Ok(())
}

/// How the answers were come by.
fn notes(answer: &ClassifyAnswer, args: &ClassifyArgs, global: &Global) {
    if let Some(bursts) = &answer.bursts {
        note(global, bursts_sentence(bursts, "gallery"));
    }
    let by = answer.calibration.by;
    let calibrated = match args.threshold {
        Some(_) => String::new(),
        None => format!(
            ", which at least {:.1} % of new images of known class are within in the mean, going by {} {} ({:.2} % of them classified \
             rightly), {}{}",
            100.0 * by.accept,
            by.images,
            answer.calibration.on.words(),
            100.0 * by.accuracy,
            answer.calibration.leaving_out.left_out(),
            if by.accept < args.accept { "; so few promise no more" } else { "" }
        ),
    };
    note(
        global,
        format!("known are {}; unknown beyond {:.4}{calibrated}", answer.gallery.sentence(), by.threshold),
    );
    if answer.calibration.on == CalibratedOn::Trained && args.threshold.is_none() {
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
}

fn table(answer: &ClassifyAnswer) -> anyhow::Result<Vec<u8>> {
    let header = ["path", "answer", "known", "nearest_class", "distance", "confidence", "nearest"];
    let mut csv = OwnTable::new("classify", Vec::new(), &header)?;
    for a in &answer.answers {
        let (path, number) = (a.path.as_str(), |v: Option<f64>| v.map_or(String::new(), |v| v.to_string()));
        let Some(nearest_class) = &a.nearest_class else {
            csv.row([path, "", "", "", "", "", ""])?;
            continue;
        };
        csv.row([
            path,
            a.class.as_deref().unwrap_or("unknown"),
            if a.known { "true" } else { "false" },
            nearest_class,
            &number(a.distance),
            &number(a.confidence),
            a.nearest.as_deref().unwrap_or_default(),
        ])?;
    }
    Ok(csv.finish()?)
}

fn sentence(a: &Classified, unknown_is_a_class: bool) -> String {
    let (Some(nearest), Some(distance)) = (&a.nearest_class, a.distance) else {
        return "no answer: the gallery holds no other image".to_owned();
    };
    if let Some(class) = &a.class {
        let sure = a.confidence.map_or(String::new(), |c| format!("confidence {c:.3}, "));
        return format!("{class}  {sure}distance {distance:.4}");
    }
    let unknown = if unknown_is_a_class { "none of these classes" } else { "unknown" };
    format!("{unknown}  nearest is {nearest} at distance {distance:.4}")
}
