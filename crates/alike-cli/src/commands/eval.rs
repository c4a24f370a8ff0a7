//! `alike eval`.

use super::{places, settings};
use crate::args::{EvalArgs, Global};
use crate::printer::{Downloads, line};
use alike::data::load;
use alike::engine::Engine;
use alike::eval::{Judge, Judgement, Spaces, compare};
use alike::images::Vectors;
use alike::train::Run;
use alike_kernels::Tier;

pub(crate) fn run(args: &EvalArgs, global: &Global) -> anyhow::Result<()> {
    let run = Run::open(&args.run)?;
    let settings = settings(&run)?;
    let checkpoint = if args.last { run.last()? } else { run.best()? };
    let data = load(&settings.data, &places(global), &mut Downloads::new(global))?;
    anyhow::ensure!(
        data.shape() == checkpoint.network.input(),
        "{} has images of {}, but the network was trained on {}",
        data.name,
        data.shape(),
        checkpoint.network.input()
    );
    let tier = Tier::from_env()?;
    let judge = Judge::new(tier, &args.k);
    judge.check(&data)?;
    let mut engine = Engine::new(&checkpoint.network)?;
    let gallery = engine.embed(&checkpoint.parameters, &data.train.images);
    let queries = engine.embed(&checkpoint.parameters, &data.test.images);
    let feature = judge.space(&data, Vectors::Features(&gallery), Vectors::Features(&queries))?;
    let image =
        judge.space(&data, Vectors::Pixels(&data.train.images), Vectors::Pixels(&data.test.images))?;
    let unseen = judge.unseen(&data, &settings.exclude_class, &gallery, &queries, &feature);
    let judgement = Judgement {
        dataset: settings.data,
        n_gallery: data.train.len(),
        n_query: data.test.len(),
        spaces: Spaces { image, feature },
        unseen,
    };
    if global.json {
        return line(serde_json::to_string(&judgement)?);
    }
    table(&judgement, &data.test.labels)
}

fn table(j: &Judgement, truth: &[u32]) -> anyhow::Result<()> {
    let percent = |x: f64| format!("{:.2} %", 100.0 * x);
    line(format!("{}: {} queries against a gallery of {}", j.dataset, j.n_query, j.n_gallery))?;
    line(format!("{:14} {:>12} {:>14}   {}", "accuracy", "image space", "feature space", "difference"))?;
    let mut rows = vec![("class means".to_owned(), &j.spaces.image.class_mean, &j.spaces.feature.class_mean)];
    for (k, image) in &j.spaces.image.knn {
        rows.push((format!("{k}-NN"), image, &j.spaces.feature.knn[k]));
    }
    for (name, image, feature) in rows {
        let right =
            |c: &alike::eval::Classification| c.predicted.iter().zip(truth).map(|(p, l)| p == l).collect();
        let (a, b): (Vec<bool>, Vec<bool>) = (right(image), right(feature));
        let test = compare(a.into_iter(), b.into_iter());
        let verdict = if test.p_value < 0.01 { "real" } else { "may be chance" };
        line(format!(
            "{name:14} {:>12} {:>14}   {:+.2} points, {verdict} (McNemar p = {:.2e})",
            percent(image.accuracy),
            percent(feature.accuracy),
            100.0 * (feature.accuracy - image.accuracy),
            test.p_value
        ))?;
    }
    if let Some(unseen) = &j.unseen {
        line(format!("\nnever seen in training: {}", unseen.classes.join(", ")))?;
        for (name, value) in unseen.headline() {
            line(format!("{name:22} {:>10}", percent(value)))?;
        }
    }
    Ok(())
}
