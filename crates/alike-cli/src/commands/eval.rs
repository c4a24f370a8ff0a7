//! `alike eval`.

use super::places;
use crate::args::{EvalArgs, Global};
use crate::judged::Opened;
use crate::printer::{Downloads, line};
use alike::data::load;
use alike::eval::{Judge, Judgement};
use alike::train::Run;
use alike_kernels::Tier;

pub(crate) fn run(args: &EvalArgs, global: &Global) -> anyhow::Result<()> {
    let opened = Opened::new(&Run::open(&args.run)?, args.last)?;
    let data = load(&opened.settings.data, &places(global), &mut Downloads::new(global))?;
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
    line(format!("{}: {} queries against a gallery of {}", j.dataset, j.n_query, j.n_gallery))?;
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
