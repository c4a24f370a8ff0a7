//! Texts that are taken.

use alike::loss::Losses;
use alike::mining::Miner;
use alike::model::NETWORKS;
use alike::text::{Choice, write};
use alike::train::{OptimizerKind, Sampler, Schedule, Settings};

fn list(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|t| t.as_bytes().to_vec()).collect()
}

fn choices<C: Choice>() -> impl Iterator<Item = Vec<u8>> {
    C::all().into_iter().map(|c| write(&c).into_bytes())
}

pub(crate) fn spec() -> Vec<Vec<u8>> {
    let mut all = list(&[
        "norm(8) relu conv(64) maxpool(2) gap",
        "conv(6, kernel=5, stride=2, pad=3) norm(2) relu residual(norm(2) relu conv(6)) avgpool(2) linear(5) l2",
        "residual(conv(4, kernel=1)) gap linear(16, bias=false)",
        "linear(32) relu linear(8) l2",
        "norm conv(3) relu conv(3, stride=2) maxpool(3, stride=2, pad=1) gap l2",
    ]);
    all.extend(NETWORKS.iter().map(|n| n.0.as_bytes().to_vec()));
    all
}

pub(crate) fn loss() -> Vec<Vec<u8>> {
    let mut all = list(&[
        "triplet-margin:margin=0.2 + 0.5 * contrastive",
        "multi-similarity\nmulti-similarity:epsilon=0.1\nmean\n0.1 * lp",
        "circle:gamma=40\n\nmean | sum\n",
        "cosine",
        "0.5 * lp:p=2",
    ]);
    all.extend(choices::<Miner>());
    let losses: Vec<Vec<u8>> = choices::<alike::loss::Loss>().collect();
    all.extend(losses.iter().filter_map(|l| {
        let text = String::from_utf8_lossy(l);
        text.parse::<Losses>().ok().map(|l| l.to_string().into_bytes())
    }));
    all
}

pub(crate) fn augment() -> Vec<Vec<u8>> {
    let mut all = list(&[
        "custom:shift=0.1,rotate=12,scale=0.2,shear=0.1,elastic=0.2,crop=0.3,flip=0.5",
        "custom:brightness=0.2,contrast=0.3,colour=0.1,noise=0.05,blur=0.5,erase=0.5",
    ]);
    all.extend(choices::<alike::data::Augment>());
    all
}

pub(crate) fn choice() -> Vec<Vec<u8>> {
    let mut all = list(&[
        "pk:8x4",
        "size=64x64,channels=1,resize=fit,crop=1,invert=false,stretch=false",
        "pixels=1000M,memory=4G",
        "digits:train=20,test=10,seed=3",
        "28x28x1",
        "class:train=0.8,seed=3",
        "lists:train=a.txt,test=b.txt",
        "a\\x20b\\n 'c d'",
    ]);
    all.extend(choices::<Sampler>());
    all.extend(choices::<OptimizerKind>());
    all.extend(choices::<Schedule>());
    all.extend(choices::<alike::data::SplitBy>());
    all.extend(choices::<alike::eval::AnomalyMethod>());
    all
}

/// The settings of a recipe as a run keeps them.
pub(crate) fn settings(recipe: &str) -> Settings {
    Settings::recipe(recipe, "digits").unwrap_or_else(|| panic!("there is a recipe {recipe}"))
}

pub(crate) fn toml() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = ["seed", "fast", "best", "unseen"]
        .iter()
        .filter_map(|name| toml::to_string(&settings(name)).ok().map(String::into_bytes))
        .collect();
    let more = Settings {
        prepare: Some("size=32x32,channels=1".into()),
        split: Some("class:train=0.7".into()),
        regularizer: vec!["0.1 * lp".into()],
        reducer: Some("mean".into()),
        clip: Some(1.0),
        memory: 512,
        ..settings("fast")
    };
    all.extend(toml::to_string(&more).ok().map(String::into_bytes));
    all.extend(list(&["limit = 'pixels=1M'\n[train]\nepochs = 3\nexclude-class = ['a', 'b']\n"]));
    all
}
