//! `alike eval`.

use super::data_of;
use crate::args::{EvalArgs, Global};
use crate::judged::Opened;
use crate::printer::line;
use alike::eval::{Judge, Judgement};
use alike::train::Run;
use alike_kernels::Tier;

pub(crate) fn run(args: &EvalArgs, global: &Global) -> anyhow::Result<()> {
    let run = Run::open(&args.run)?;
    let opened = Opened::new(&run, args.last)?;
    let data = data_of(&run, &opened.settings, global)?;
    opened.fits(&data)?;
    let judge = Judge::new(Tier::from_env()?, &args.k);
    judge.check(&data)?;
    let image = judge.image_space(&data)?;
    let judged = opened.judge(&judge, &data, image)?;
    if global.json {
        return line(serde_json::to_string(&judged.judgement)?);
    }
    table(&judged.judgement)
}

fn percent(share: f64) -> String {
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
