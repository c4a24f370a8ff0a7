//! `alike verify`.

use crate::args::{Global, VerifyArgs};
use crate::printer::line;
use crate::using::Model;
use alike::eval::Pairs;
use alike::images::Vectors;
use alike::neighbours::squared_distance;
use anyhow::Context;
use serde_json::json;

pub(crate) fn run(args: &VerifyArgs, global: &Global) -> anyhow::Result<()> {
    let mut model = Model::open(&args.run, &args.pictures, global)?;
    let two = model.pictures(&[args.a.clone(), args.b.clone()])?;
    anyhow::ensure!(two.train.len() == 2, "verify compares two images, but {} were read", two.train.len());
    let features = model.embed(&two.train.images)?;
    let distance = squared_distance(features.row(0), features.row(1)).sqrt();
    if let Some(threshold) = args.threshold {
        let same = distance <= threshold;
        if global.json {
            return line(json!({ "same": same, "distance": distance, "threshold": threshold }).to_string());
        }
        return line(format!("{}: distance {distance:.4}, threshold {threshold:.4}", word(same)));
    }
    let (features, labels, identities) = if args.known.is_empty() {
        let data = model.own_data()?;
        anyhow::ensure!(
            data.labelled,
            "{} has no classes; give images of known classes with --known, or a --threshold",
            data.name
        );
        let features = model.embed(&data.test.images)?;
        (features, data.test.labels, data.test.identities)
    } else {
        let (known, labels) = model.known(&args.known)?.gallery.labelled();
        (known.features, labels, known.identities)
    };
    let pairs = Pairs::all(Vectors::Features(&features), &labels, &identities, 0)
        .context("the known images make no pairs of one class, or none of two; give others with --known, or a --threshold")?;
    let eer = pairs.equal_error_rate();
    let (one, two) = pairs.counts();
    let (threshold, rate, why) = match args.far {
        None if eer.eer == 0.0 => {
            let why = format!(
                "between {one} known pairs of one class and {two} of two, which it tells apart without error"
            );
            (eer.threshold, None, why)
        }
        None => {
            let why =
                format!("where {:.2} % of known pairs are judged wrongly, of either kind", 100.0 * eer.eer);
            (eer.threshold, None, why)
        }
        Some(far) => {
            let at = pairs.promising(far);
            let few = if at.far > far { format!(", for {two} pairs promise no less") } else { String::new() };
            let why = format!(
                "accepts {:.2} % of {one} known pairs of one class, {} of {two} of two, and of new pairs of two at most {} % in the mean{few}",
                100.0 * at.tar,
                at.support,
                100.0 * at.far
            );
            (at.threshold, Some(at.far), why)
        }
    };
    let [genuine, impostor] = pairs.nearer_than(distance);
    let same = distance <= threshold;
    if global.json {
        return line(
            json!({
                "same": same, "distance": distance, "threshold": threshold, "eer": eer.eer,
                "far": rate, "genuine_pairs": one, "impostor_pairs": two,
                "genuine_nearer": genuine, "impostor_nearer": impostor,
            })
            .to_string(),
        );
    }
    line(format!("{}: distance {distance:.4}, threshold {threshold:.4} ({why})", word(same)))?;
    line(format!(
        "nearer than {:.1} % of known pairs of one class, and than {:.1} % of those of two",
        100.0 * (1.0 - genuine),
        100.0 * (1.0 - impostor)
    ))
}

fn word(same: bool) -> &'static str {
    if same { "same" } else { "different" }
}
