//! `alike eval anomaly MODEL`.

use super::{bracketed, percent};
use crate::args::{AnomalyProtocolArgs, Global};
use crate::commands::{refuse_existing, write_table};
use crate::printer::{json, line, note};
use crate::using::{open_run, other_data, subject};
use alike::data::find_class;
use alike::eval::{
    AnomalyMeans, AnomalyProtocolAnswer, AnomalyProtocolOptions, AnomalyRow, anomaly_protocol,
};

pub(super) fn run(args: &AnomalyProtocolArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        refuse_existing(&[path], args.force)?;
    }
    let opened = open_run(&args.model, args.subject.last)?;
    let against = args.against.as_ref().map(|what| -> anyhow::Result<_> {
        let data = other_data(&opened, args.subject.source.request(what), global)?;
        opened.fits(&data)?;
        Ok(data)
    });
    let against = against.transpose()?;
    let subject = subject(opened, &args.subject, global)?;
    let excluded = subject.excluded().iter().map(|name| find_class(&subject.data, name));
    let options = AnomalyProtocolOptions {
        methods: args.method.clone(),
        one_class: args.one_class,
        excluded: excluded.collect::<Result<_, _>>()?,
        leave_group: args.leave_group,
        seed: global.seed.unwrap_or(0),
    };
    let answer = anomaly_protocol(subject.encoder(), &subject.data, against.as_ref(), &options)?;
    if let Some(left_out) = &answer.left_out {
        note(global, left_out);
    }
    if let Some(path) = &args.csv {
        write_table(path, csv_of(&answer.rows)?, global)?;
    }
    if global.json {
        return json(&answer);
    }
    table(&answer)
}

fn csv_of(rows: &[AnomalyRow]) -> anyhow::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record([
        "name",
        "space",
        "method",
        "auroc",
        "auroc_low",
        "auroc_high",
        "aupr",
        "fpr_at_95_tpr",
        "normal",
        "anomalies",
    ])?;
    for r in rows {
        let (d, [low, high]) = (r.detection, r.auroc_interval);
        let numbers = [d.auroc, low, high, d.aupr, d.fpr_at_95_tpr].map(|v| v.to_string());
        let counts = [d.normal, d.anomalies].map(|v| v.to_string());
        let texts = [r.name.clone(), r.space.to_owned(), r.method.clone()];
        csv.write_record(texts.iter().chain(&numbers).chain(&counts))?;
    }
    Ok(csv.into_inner()?)
}

/// A mean, and its interval.
type Mean = fn(&AnomalyMeans) -> (f64, [f64; 2]);
const MEANS: [(&str, Mean); 3] = [
    ("AUROC", |m| (m.auroc, m.auroc_interval)),
    ("AUPR", |m| (m.aupr, m.aupr_interval)),
    ("FPR at 95 %", |m| (m.fpr_at_95_tpr, m.fpr_interval)),
];

/// A row a class, a column a method; below them the means with their intervals.
fn table(answer: &AnomalyProtocolAnswer) -> anyhow::Result<()> {
    line(format!(
        "{}: {}; AUROC by class and method, means [95 % interval over other images, by bootstrap]",
        answer.data, answer.protocol
    ))?;
    let per = answer.means.len();
    let heading = |m: &AnomalyMeans| {
        if m.space == "image" { "pixels, knn".to_owned() } else { m.method.replace(":k=1", "") }
    };
    let columns: String = answer.means.iter().map(|m| format!(" {:>24}", heading(m))).collect();
    line(format!("{:16}{columns}", ""))?;
    for task in answer.rows.chunks(per) {
        let values: String = task.iter().map(|r| format!(" {:>24}", percent(r.detection.auroc))).collect();
        let name: String = task[0].name.chars().take(16).collect();
        line(format!("{name:16}{values}"))?;
    }
    for (name, of) in MEANS {
        let value = |m: &AnomalyMeans| {
            let (value, interval) = of(m);
            format!(" {:>24}", format!("{} {}", percent(value), bracketed(interval)))
        };
        let values: String = answer.means.iter().map(value).collect();
        line(format!("{:16}{values}", format!("mean {name}")))?;
    }
    Ok(())
}
