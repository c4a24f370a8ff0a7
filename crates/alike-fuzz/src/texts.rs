//! What users type: specifications, losses, augmentations, other choices, settings.

use alike::data::{Augment, Decoding, DigitCounts, Occasion, Preparation, PreparationWish, SplitBy};
use alike::distance::Distance;
use alike::engine::Engine;
use alike::eval::AnomalyMethod;
use alike::images::{Images, Shape};
use alike::limits::Limits;
use alike::loss::{Losses, Reducers, parse_regularizer};
use alike::mining::Miner;
use alike::model::{Network, Spec, initial, named_network};
use alike::text::{self, Choice};
use alike::train::{OptimizerKind, Sampler, Schedule, Settings};

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is read must be written so that it is read back.
fn back<T: std::str::FromStr + std::fmt::Display>(value: &T) {
    let text = value.to_string();
    let again = text.parse::<T>().map(|v| v.to_string()).unwrap_or_default();
    assert_eq!(text, again, "what was written is read back");
}

fn choice_back<C: Choice>(value: &C) {
    let text = text::write(value);
    let again = text::parse::<C>(&text).map(|c| text::write(&c)).unwrap_or_else(|e| e.to_string());
    assert_eq!(text, again, "what was written is read back");
}

/// So little work is done outright: a specification that can be built must run.
pub(crate) fn run_if_small(network: &Network, parameters: &[f32]) {
    let shape = network.input();
    let activations: usize = network.layers().iter().map(|l| l.output.len()).sum();
    let small = network.flop() < 3_000_000 && parameters.len() < 100_000 && activations < 100_000;
    if small && let Ok(mut engine) = Engine::new(network) {
        let images = if shape.is_features() {
            Images::from_features(shape.c, &vec![0.5; shape.c])
        } else {
            Images::new(shape, vec![100; shape.len()])
        };
        let features = engine.embed(parameters, &images).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(features.d(), network.embedding(), "as many numbers as the network promises");
    }
}

pub(crate) fn spec(bytes: &[u8]) {
    let text = utf8(bytes);
    let shape = Shape { h: 12, w: 10, c: 3 };
    let named = named_network(text.trim(), shape);
    let Ok(spec) = named.unwrap_or(text).parse::<Spec>() else { return };
    back(&spec);
    for shape in [shape, Shape { h: 1, w: 1, c: 7 }] {
        if let Ok(network) = Network::new(spec.clone(), shape)
            && network.parameter_count() < 100_000
        {
            run_if_small(&network, &initial(&network, 1));
        }
    }
}

pub(crate) fn loss(bytes: &[u8]) {
    let text = utf8(bytes);
    if let Ok(losses) = text.parse::<Losses>() {
        back(&losses);
    }
    if let Ok(miner) = text.parse::<Miner>() {
        choice_back(&miner);
    }
    let _ = text.parse::<Reducers>();
    let _ = text.parse::<Distance>();
    let _ = parse_regularizer(&text);
    // As a run's settings have them: the loss, and what goes with it, by lines.
    let mut lines = text.lines();
    let mut settings = Settings::seed_recipe("digits");
    settings.loss = lines.next().unwrap_or_default().to_owned();
    settings.miner = lines.next().filter(|l| !l.is_empty()).map(str::to_owned);
    settings.reducer = lines.next().filter(|l| !l.is_empty()).map(str::to_owned);
    settings.regularizer = lines.map(str::to_owned).collect();
    let _ = settings.resolve();
}

pub(crate) fn augment(bytes: &[u8]) {
    let Ok(augment) = utf8(bytes).parse::<Augment>() else { return };
    choice_back(&augment);
    if let (None, Some(changes)) = (augment.refusal(), augment.changes()) {
        let shape = Shape { h: 9, w: 7, c: 3 };
        let (from, mut to) = (vec![77; shape.len()], vec![0; shape.len()]);
        changes.apply(shape, Occasion { seed: 1, step: 2, epoch: 1, image: 3, view: 0 }, &from, &mut to);
    }
}

pub(crate) fn choice(bytes: &[u8]) {
    let text = utf8(bytes);
    if let Ok(sampler) = text.parse::<Sampler>() {
        choice_back(&sampler);
        sampler.images(32);
    }
    if let Ok(optimizer) = text.parse::<OptimizerKind>() {
        choice_back(&optimizer);
    }
    if let Ok(schedule) = text.parse::<Schedule>() {
        choice_back(&schedule);
    }
    if let Ok(split) = text.parse::<SplitBy>() {
        choice_back(&split);
    }
    if let Ok(method) = text.parse::<AnomalyMethod>() {
        choice_back(&method);
    }
    if let Ok(preparation) = text.parse::<Preparation>() {
        back(&preparation);
    }
    if let Ok(wish) = text.parse::<PreparationWish>() {
        let _: Decoding = wish.over(Preparation::exact(Shape { h: 8, w: 8, c: 1 })).decoding();
    }
    let _ = text.parse::<Limits>();
    let _ = DigitCounts::parse(&text);
    let _ = text.parse::<Shape>();
    if let Some(name) = alike::names::unescaped(&text) {
        let _ = alike::names::shown(name);
    }
    let _ = alike::names::shell(&text);
    let _ = alike::names::printable(&text);
}

pub(crate) fn toml(bytes: &[u8]) {
    let text = utf8(bytes);
    let _ = text.parse::<toml::Table>();
    if let Ok(settings) = toml::from_str::<Settings>(&text) {
        check(&settings);
    }
}

/// Everything that a run's settings are read for before its data are.
pub(crate) fn check(settings: &Settings) {
    let sound = settings.clone().resolve().is_ok();
    let _ = settings.request();
    let _ = settings.objective();
    let _ = settings.triplet_margin();
    if sound && let Ok(text) = toml::to_string(settings) {
        let again = toml::from_str::<Settings>(&text).map(|s| toml::to_string(&s).unwrap_or_default());
        assert_eq!(Ok(text), again.map_err(|e| e.to_string()), "settings that were written are read back");
    }
    if let Ok(spec) = settings.network.parse::<Spec>() {
        let _ = Network::new(spec, Shape { h: 28, w: 28, c: 1 });
    }
}
