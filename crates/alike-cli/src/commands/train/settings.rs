//! The settings of a run: a recipe's, with flags over them.

use super::{StartArg, TrainArgs};
use crate::args::{Global, ObjectiveArgs, ScheduleArgs};
use crate::commands::model;
use crate::printer::note;
use alike::data::{Dataset, find_classes};
use alike::files::FileError;
use alike::loss::Losses;
use alike::model::named_network;
use alike::text::{self, Choice};
use alike::train::{AutoChoice, DatasetProfile, Settings, Start, divide};

/// What is trained on, as far as `auto` asks.
pub(crate) struct TrainedOn<'a> {
    /// Which images.
    pub(crate) images: &'a [usize],
    /// Whether each class's rotations are further classes.
    pub(crate) rotations: bool,
    /// Whether some of the classes will be held out and judged.
    pub(crate) by_class: bool,
}

/// The settings that a recipe begins with: from its file, or found for the data, and then why.
pub(crate) fn recipe(
    name: &str,
    data: &Dataset,
    on: &TrainedOn<'_>,
    what: &str,
) -> Result<(Settings, Vec<AutoChoice>), FileError> {
    if let Some(settings) = Settings::recipe(name, what) {
        return Ok((settings, Vec::new()));
    }
    let profile = DatasetProfile::of_trained(data, on.images)?;
    let profile = DatasetProfile { unseen: profile.unseen || on.by_class, ..profile };
    let chosen = if on.rotations { profile.with_rotations() } else { profile }.choose(&data.name);
    Ok((chosen.settings, chosen.why))
}

/// Says what was chosen, but for what was given instead.
pub(crate) fn tell(choices: &[AutoChoice], given: &[&str], global: &Global) {
    // What was overridden is told once, not as a choice.
    for choice in choices.iter().filter(|c| !c.about.iter().any(|setting| given.contains(setting))) {
        note(global, format!("auto: {choice}"));
    }
}

/// What flags say instead of the recipe, in a line.
pub(super) fn as_asked(args: &TrainArgs, settings: &Settings) -> Option<String> {
    let objective = &args.objective;
    let epochs =
        if settings.epochs == 1 { "1 epoch".to_owned() } else { format!("{} epochs", settings.epochs) };
    let said = [
        (args.network.network.is_some(), format!("network {}", settings.network)),
        (objective.loss.is_some() || objective.margin.is_some(), format!("loss {}", settings.loss)),
        (args.sampler.is_some(), format!("sampler {}", text::write(&settings.sampler))),
        (args.batch_size.is_some(), format!("batches of {}", settings.batch_size)),
        (args.augment.is_some(), format!("augmentation {}", text::write(&settings.augment))),
        (args.schedule.optimizer.is_some(), format!("optimizer {}", text::write(&settings.optimizer))),
        (args.schedule.learning_rate.is_some(), format!("learning rate {}", settings.learning_rate)),
        (args.epochs.is_some(), epochs),
        (args.rotations, "each class rotated by 90, 180 and 270 degrees".to_owned()),
    ];
    let said: Vec<String> = said.into_iter().filter(|(given, _)| *given).map(|(_, text)| text).collect();
    (!said.is_empty()).then(|| format!("{}, as asked", said.join(", ")))
}

/// The settings that flags name, among those that are chosen aloud. A start that is a model already leaves none of them.
pub(super) fn given(args: &TrainArgs) -> Vec<&'static str> {
    let whitened = args.start == Some(StartArg::Whitened);
    let objective = &args.objective;
    [
        ("network", args.network.network.is_some()),
        ("self-supervised", false),
        ("loss", objective.loss.is_some() || objective.margin.is_some()),
        ("sampler", args.sampler.is_some()),
        ("batch-size", args.batch_size.is_some()),
        ("augment", args.augment.is_some()),
        ("epochs", args.epochs.is_some()),
        ("start", args.start.is_some()),
        ("optimizer", args.schedule.optimizer.is_some()),
        ("rotations", false),
    ]
    .into_iter()
    .filter(|(_, given)| *given || whitened)
    .map(|(name, _)| name)
    .collect()
}

/// Whether the user leaves the head on an encoder to be chosen.
pub(super) fn leaves_head(args: &TrainArgs) -> bool {
    // Augmentation is of the pictures below the head.
    let given = given(args).into_iter().any(|name| name != "augment");
    args.recipe == "auto" && !given && args.network.embedding.is_none()
}

/// Whether no flag says how to learn: what is found for the data may then be something that is not learned.
pub(super) fn asks_nothing(args: &TrainArgs) -> bool {
    let ObjectiveArgs { loss: _, margin: _, distance, miner, reducer, regularizer, memory, self_supervised } =
        &args.objective;
    let ScheduleArgs {
        optimizer: _,
        learning_rate,
        curve,
        warmup,
        weight_decay,
        first_size,
        clip,
        average,
        proxy_rate,
    } = &args.schedule;
    let objective = distance.is_some()
        || miner.is_some()
        || reducer.is_some()
        || !regularizer.is_empty()
        || memory.is_some()
        || *self_supervised;
    let numbers = [
        learning_rate,
        warmup,
        weight_decay,
        first_size,
        clip,
        average,
        proxy_rate,
        &args.minutes,
        &args.validate,
    ];
    let schedule = curve.is_some() || numbers.iter().any(|n| n.is_some());
    leaves_head(args) && !args.network.normalize && !args.rotations && !objective && !schedule
}

/// Flags over the recipe, with `--start whitened` or as that flag says. Every field is named, so that no flag is forgotten.
pub(super) fn resolve(
    args: &TrainArgs,
    seed: u64,
    data: &Dataset,
    what: &str,
    whitened: bool,
) -> anyhow::Result<(Settings, Vec<AutoChoice>)> {
    let TrainArgs {
        data: _,
        found_at: _,
        encoder: _,
        encoder_fingerprint: _,
        encoder_runtime: _,
        crop: _,
        flip: _,
        source: _,
        out: _,
        seeds: _,
        resume: _,
        force: _,
        recipe,
        exclude_class,
        network,
        start,
        epochs,
        minutes: _,
        budget_minutes,
        budget_rate,
        batch_size,
        sampler,
        objective,
        schedule,
        augment,
        views: _,
        rotations,
        activation_memory: _,
        rewrites: _,
        validate,
    } = args;
    let ObjectiveArgs { loss, margin, distance, miner, reducer, regularizer, memory, self_supervised } =
        objective;
    let ScheduleArgs {
        optimizer,
        learning_rate,
        curve,
        warmup,
        weight_decay,
        first_size,
        clip,
        average,
        proxy_rate,
    } = schedule;
    // A start that is a model already: what a recipe says of learning is not to the point.
    let start = if whitened { Some(StartArg::Whitened) } else { *start };
    let whitened = start == Some(StartArg::Whitened);
    let exclude_class = find_classes(data, exclude_class)?;
    // Recipes hold nothing out of their own, nor do they choose a seed.
    let usual = Settings::seed_recipe(what);
    let (trained, _) = divide(data, &exclude_class, validate.unwrap_or(usual.validate), seed)?;
    let on = TrainedOn { images: &trained, rotations: *rotations, by_class: false };
    let (recipe, choices) = self::recipe(recipe, data, &on, what)?;
    let recipe_is_auto = recipe.recipe == "auto";
    let shallow = if whitened { named_network("shallow", data.shape()) } else { None };
    // Another loss has its own way with distances and elements.
    let (old_distance, old_reducer) =
        if loss.is_some() { (None, None) } else { (recipe.distance, recipe.reducer.clone()) };
    let loss = loss.clone().unwrap_or_else(|| recipe.loss.clone());
    // The rate and decay of Muon, whose steps have a length of their own, are far too large for others.
    let others = optimizer.is_some_and(|o| recipe.optimizer.name() == "muon" && o.name() != "muon");
    let of = if others { &usual } else { &recipe };
    let (rate, decay) = (of.learning_rate, of.weight_decay);
    let settings = Settings {
        exclude_class,
        network: model::spec(network, shallow.as_ref().unwrap_or(&recipe.network), data.shape())?.to_string(),
        // A recipe's start suits its own network.
        start: start.map_or(if network.network.is_some() { Start::Random } else { recipe.start }, Into::into),
        epochs: epochs.unwrap_or(if whitened { 0 } else { recipe.epochs }),
        budget_minutes: *budget_minutes,
        budget_rate: *budget_rate,
        batch_size: batch_size.unwrap_or(recipe.batch_size),
        sampler: sampler.unwrap_or(recipe.sampler),
        loss: match margin {
            Some(margin) => with_margin(&loss, *margin)?,
            None => loss,
        },
        distance: distance.or(old_distance),
        miner: miner.clone().or(recipe.miner),
        reducer: reducer.clone().or(old_reducer),
        regularizer: if regularizer.is_empty() { recipe.regularizer } else { regularizer.clone() },
        memory: memory.unwrap_or(recipe.memory),
        self_supervised: *self_supervised || recipe.self_supervised,
        augment: augment.unwrap_or(recipe.augment),
        views: recipe.views,
        optimizer: optimizer.unwrap_or(recipe.optimizer),
        learning_rate: learning_rate.unwrap_or(rate),
        schedule: curve.unwrap_or(recipe.schedule),
        warmup: warmup.unwrap_or(recipe.warmup),
        weight_decay: weight_decay.unwrap_or(decay),
        // So does its progressive resizing, which not every network can have.
        first_size: first_size.unwrap_or(if network.network.is_some() { 1.0 } else { recipe.first_size }),
        clip: clip.or(recipe.clip),
        average: average.unwrap_or(recipe.average),
        proxy_rate: proxy_rate.unwrap_or(recipe.proxy_rate),
        validate: validate.unwrap_or(recipe.validate),
        seed,
        data: recipe.data,
        recipe: recipe.recipe,
        // Where images come from, and what embeds them, is kept once they are loaded.
        found_at: None,
        encoder: None,
        encoder_fingerprint: None,
        encoder_runtime: None,
        flip: false,
        prepare: None,
        split: None,
        nested: false,
        // What is computed looks at images as they are: what auto finds for learning is not to the point.
        rotations: *rotations || (recipe.rotations && !(whitened && recipe_is_auto)),
        on_error: recipe.on_error,
    };
    Ok((settings, choices))
}

/// The losses with another margin, for those that have one.
fn with_margin(losses: &str, margin: f64) -> anyhow::Result<String> {
    let mut losses: Losses = losses.parse()?;
    let mut any = false;
    for (_, loss) in &mut losses.0 {
        if loss.values().contains_key("margin") {
            *loss = text::with(loss, "margin", &margin.to_string())?;
            any = true;
        }
    }
    anyhow::ensure!(any, "--margin: loss {losses} has no margin");
    Ok(losses.to_string())
}
