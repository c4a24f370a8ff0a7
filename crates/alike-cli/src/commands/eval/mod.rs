//! `alike eval`: the usual judgement, and a protocol a file.

mod anomaly;
mod few_shot;
mod verification;

use super::{data_of, refuse_existing};
use crate::args::{EvalArgs, Global, Protocol};
use crate::judged::Opened;
use crate::printer::line;
use alike::eval::{Judge, Judgement, RetrievalReport};
use alike::files;
use alike::train::Run;
use alike_kernels::Tier;
use serde_json::json;

pub(crate) fn run(args: &EvalArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        refuse_existing(&[path], args.force)?;
    }
    let run = Run::open(&args.run)?;
    let opened = Opened::new(&run, args.last)?;
    anyhow::ensure!(
        args.protocol.is_none() || args.csv.is_none() && !args.leave_group,
        "--csv and --leave-group before a protocol's name are for eval without one; a protocol's own options follow its name"
    );
    match &args.protocol {
        None => {}
        Some(Protocol::FewShot(few)) => return few_shot::run(few, opened, global),
        Some(Protocol::Verification(pairs)) => return verification::run(pairs, opened, global),
        Some(Protocol::Anomaly(anomaly)) => return anomaly::run(anomaly, opened, global),
    }
    let data = data_of(&run, &opened.settings, global)?;
    opened.fits(&data)?;
    let judge = Judge::new(Tier::from_env()?, &args.k).leaving_groups(args.leave_group);
    judge.check(&data)?;
    let image = judge.image_space(&data)?;
    let judged = opened.judge(&judge, &data, image)?;
    let ks: Vec<usize> = args.at.iter().map(|k| *k as usize).collect();
    let [image, feature] = judged.retrieval(&judge, &data, &ks)?;
    if let Some(path) = &args.csv {
        files::write(path, by_class(&[("image", &image), ("feature", &feature)])?.as_bytes())?;
    }
    if global.json {
        let mut all = serde_json::to_value(&judged.judgement)?;
        all["retrieval"] = json!({ "image": image, "feature": feature });
        return line(all.to_string());
    }
    table(&judged.judgement)?;
    retrieval(&image, &feature)
}

/// Means over queries, with bootstrap intervals where there are any, and over classes.
fn retrieval(image: &RetrievalReport, feature: &RetrievalReport) -> anyhow::Result<()> {
    let left_out = match feature.without_match {
        0 => String::new(),
        n => format!("; {n} queries have no match in the gallery and are left out"),
    };
    line(format!(
        "\nretrieval, mean over {} queries [95 % interval] and over classes{left_out}",
        feature.queries
    ))?;
    line(format!("{:14} {:>12} {:>14} {:>26}", "", "image space", "feature space", "over classes"))?;
    let rows = image.micro.named(&image.ks).into_iter().zip(feature.micro.named(&feature.ks));
    for (((name, i), (_, f)), (_, c)) in rows.zip(feature.per_class.named(&feature.ks)) {
        let interval = feature.intervals.get(name.as_str());
        let interval =
            interval.map_or(String::new(), |[a, b]| format!("[{:.2}, {:.2}]", 100.0 * a, 100.0 * b));
        line(format!("{name:14} {:>12} {:>14} {interval:16} {:>9}", percent(i), percent(f), percent(c)))?;
    }
    Ok(())
}

/// A row for every class and category, and space.
fn by_class(spaces: &[(&str, &RetrievalReport)]) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let names = spaces[0].1.micro.named(&spaces[0].1.ks).into_iter().map(|(name, _)| name);
    csv.write_record(["space", "of", "name"].map(str::to_owned).into_iter().chain(names))?;
    for (space, report) in spaces {
        for (of, rows) in [("class", &report.by_class), ("category", &report.by_category)] {
            for (name, quality) in rows {
                let values = quality.named(&report.ks).into_iter().map(|(_, v)| v.to_string());
                csv.write_record([space, of, name.as_str()].map(str::to_owned).into_iter().chain(values))?;
            }
        }
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// Image space against feature space, and unseen classes if there are any.
pub(super) fn table(j: &Judgement) -> anyhow::Result<()> {
    if j.leave_one_out {
        line(format!(
            "{}: {} queries of classes never trained on, each against all others",
            j.dataset, j.n_query
        ))?;
    } else {
        line(format!("{}: {} queries against a gallery of {}", j.dataset, j.n_query, j.n_gallery))?;
    }
    line(format!("{:14} {:>12} {:>14}   {}", "accuracy", "image space", "feature space", "difference"))?;
    for c in &j.comparison {
        line(format!(
            "{:14} {:>12} {:>14}   {:+.2} points, {}",
            c.rule,
            percent(c.image),
            percent(c.feature),
            100.0 * (c.feature - c.image),
            c.paired.verdict()
        ))?;
    }
    if let (Some(i), Some(f)) = (j.spaces.image.verification, j.spaces.feature.verification) {
        let (i, f) = (percent(i.eer), percent(f.eer));
        line(format!(
            "{:14} {i:>12} {f:>14}   verification: same class or not, of all pairs of queries",
            "EER"
        ))?;
    }
    unseen(j)
}

/// The headline figures of classes that training never saw.
pub(super) fn unseen(j: &Judgement) -> anyhow::Result<()> {
    if let Some(unseen) = &j.unseen {
        line(format!("\nnever seen in training: {}", unseen.classes.join(", ")))?;
        for (name, value) in unseen.headline() {
            line(format!("{name:22} {:>10}", percent(value)))?;
        }
    }
    Ok(())
}
