//! Maps: where images lie in a plane, and what they may be coloured by.

use super::{Model, TaskError};
use crate::data::{Dataset, NO_CLASS, Split};
use crate::eval::k_means;
use crate::identity::{Identities, Shared};
use crate::images::{Features, Images, Vectors};
use crate::neighbours::{Exact, Exclude, Neighbour, nearest};
use crate::projection::{Pca, TSNE_NEIGHBOURS, tsne, umap};
use crate::sample;
use serde::Serialize;

/// Neighbours that UMAP looks at.
const UMAP_NEIGHBOURS: usize = 15;
/// Neighbours of an image that a map tells.
const TOLD: usize = 8;
/// More images are placed by t-SNE only where it is asked for.
const TSNE_UNASKED: usize = 10_000;
/// Clusters that images without classes are coloured by, at most.
const CLUSTERS: f64 = 8.0;
/// What t-SNE takes on two cores, rather too much than too little: seconds for an image, times the logarithm of their number. Of the built-in
/// digits, 4,000 took 13 CPU seconds and 12,000 took 22.
const TSNE_SECONDS: f64 = 2.4e-4;

/// How images get into a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum MapMethod {
    /// Principal components.
    #[serde(rename = "PCA")]
    Pca,
    /// t-SNE.
    #[serde(rename = "t-SNE")]
    Tsne,
    /// UMAP.
    #[serde(rename = "UMAP")]
    Umap,
}

impl MapMethod {
    /// What the field calls it.
    pub fn name(self) -> &'static str {
        match self {
            MapMethod::Pca => "PCA",
            MapMethod::Tsne => "t-SNE",
            MapMethod::Umap => "UMAP",
        }
    }
}

/// How a map is made.
#[derive(Clone, Debug)]
pub struct MapOptions {
    /// The methods, a layout each; none for those that suit the number of images: all three, and of more than ten thousand PCA and UMAP.
    pub methods: Vec<MapMethod>,
    /// Images that are placed, at most; of more, some are drawn.
    pub most: usize,
    /// Decides what is random.
    pub seed: u64,
}

/// Where images lie.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MapAnswer<'a> {
    /// How many images are placed.
    pub images: usize,
    /// Of how many.
    pub of: usize,
    /// The methods.
    pub methods: Vec<MapMethod>,
    /// By method: its name, and where each image lies.
    #[serde(skip)]
    pub layouts: Vec<(String, Vec<[f64; 2]>)>,
    /// By image: its name.
    #[serde(skip)]
    pub names: Vec<String>,
    /// By image: its picture, as image `1` of images `0`.
    #[serde(skip)]
    pub pictures: Vec<(&'a Images, usize)>,
    /// What images may be coloured by.
    #[serde(skip)]
    pub colours: Vec<Colouring>,
    /// By image: the nearest others that are placed, the nearest first.
    #[serde(skip)]
    pub neighbours: Vec<Vec<u32>>,
}

/// About how many seconds t-SNE takes for so many images on two cores.
pub fn tsne_seconds(images: usize) -> f64 {
    TSNE_SECONDS * images as f64 * (images.max(2) as f64).ln()
}

/// A property of every image of a map.
#[derive(Clone, Debug)]
pub enum Colouring {
    /// One of few: its name, the names of its values, and by image which.
    Kinds(String, Vec<String>, Vec<u32>),
    /// A number: its name, and by image the number.
    Scale(String, Vec<f64>),
}

/// A part of the images, embedded.
struct Part<'a> {
    name: &'static str,
    split: &'a Split,
    features: Features,
}

/// Where an image that is placed comes from: its part, and its index there.
type Origin = (usize, usize);

/// Places images of some parts of a data set; `said` is told which method begins, on how many images.
///
/// # Errors
///
/// If there are none, or an image cannot be embedded.
pub fn map<'a>(
    model: &Model,
    data: &'a Dataset,
    parts: &[(&'static str, &'a Split)],
    options: &MapOptions,
    mut said: impl FnMut(MapMethod, usize),
) -> Result<MapAnswer<'a>, TaskError> {
    let embed = |(name, split): &(&'static str, &'a Split)| -> Result<Part<'a>, TaskError> {
        Ok(Part { name, split, features: model.embed(&split.images)? })
    };
    let parts: Vec<Part<'a>> = parts.iter().map(embed).collect::<Result<_, _>>()?;
    let chosen = choose(&parts, options.most);
    if chosen.is_empty() {
        return Err(TaskError::NothingToPlace);
    }
    let rows = chosen.iter().flat_map(|(p, i)| parts[*p].features.row(*i).to_vec()).collect();
    let features = Features::new(model.encoder().facts().dimension, rows);
    let v = Vectors::Features(&features);
    let plane: Vec<[f64; 2]> =
        Pca::fit(v, 2).project(v).iter().map(|p| [0, 1].map(|k| p.get(k).copied().unwrap_or(0.0))).collect();
    let methods = match &options.methods[..] {
        [] if chosen.len() > TSNE_UNASKED => vec![MapMethod::Pca, MapMethod::Umap],
        [] => vec![MapMethod::Pca, MapMethod::Tsne, MapMethod::Umap],
        asked => asked.to_vec(),
    };
    let deepest = if methods.contains(&MapMethod::Tsne) { TSNE_NEIGHBOURS } else { UMAP_NEIGHBOURS };
    let k = deepest.min(features.len().saturating_sub(1));
    let lists: Vec<Vec<Neighbour>> = nearest(&Exact::new(v), v, k, Exclude::Itself, |_, l| l.to_vec());
    let mut layouts = Vec::new();
    for method in &methods {
        said(*method, chosen.len());
        let at = match method {
            MapMethod::Pca => plane.clone(),
            MapMethod::Tsne => tsne(&lists, &plane),
            MapMethod::Umap => {
                let few: Vec<Vec<Neighbour>> =
                    lists.iter().map(|l| l[..l.len().min(UMAP_NEIGHBOURS)].to_vec()).collect();
                umap(&few, &plane, options.seed)
            }
        };
        layouts.push((method.name().to_owned(), at));
    }
    let name = |(p, i): &Origin| {
        let Part { name, split, .. } = &parts[*p];
        split.names.get(*i).cloned().unwrap_or_else(|| format!("{name}/{i}"))
    };
    Ok(MapAnswer {
        images: chosen.len(),
        of: parts.iter().map(|p| p.split.len()).sum(),
        methods,
        layouts,
        names: chosen.iter().map(name).collect(),
        pictures: chosen.iter().map(|(p, i)| (&parts[*p].split.images, *i)).collect(),
        colours: colours(data, &parts, &chosen, &features, options.seed),
        neighbours: lists.iter().map(|l| l.iter().take(TOLD).map(|n| n.index as u32).collect()).collect(),
    })
}

/// As many images of each part as there is room for.
fn choose(parts: &[Part<'_>], most: usize) -> Vec<Origin> {
    let total: usize = parts.iter().map(|p| p.split.len()).sum();
    let most = most.min(total);
    let per: Vec<usize> = parts.iter().map(|p| p.split.len().min(most / parts.len().max(1))).collect();
    let spare = most - per.iter().sum::<usize>();
    let drawn = |(p, (part, n)): (usize, (&Part<'_>, &usize))| {
        let some = sample::some(part.split.identities.keys(), (n + spare).min(part.split.len()), 0);
        some.into_iter().map(move |i| (p, i)).collect::<Vec<_>>()
    };
    parts.iter().zip(&per).enumerate().flat_map(drawn).collect()
}

/// Class, part, whether the nearest other is of another class, and how far the nearest one is of those that the run learned from.
fn colours(
    data: &Dataset,
    parts: &[Part<'_>],
    chosen: &[Origin],
    features: &Features,
    seed: u64,
) -> Vec<Colouring> {
    let mut all = Vec::new();
    let label = |(p, i): &Origin| parts[*p].split.labels[*i];
    if data.labelled {
        let name = |c: &String| if c == NO_CLASS { "no class".to_owned() } else { c.clone() };
        let names = data.classes.iter().map(name).collect();
        all.push(Colouring::Kinds("class".into(), names, chosen.iter().map(label).collect()));
    }
    if !data.labelled {
        // As many as there are colours, of few images fewer.
        let k = (features.len() as f64 / 2.0).sqrt().clamp(1.0, CLUSTERS) as usize;
        let found = k_means(features, k, 2, seed);
        let names = (1..=k).map(|c| format!("cluster {c}")).collect();
        all.push(Colouring::Kinds("cluster".into(), names, found.assignment));
    }
    if parts.len() > 1 {
        let names = parts.iter().map(|p| p.name.to_owned()).collect();
        all.push(Colouring::Kinds("part".into(), names, chosen.iter().map(|c| c.0 as u32).collect()));
    }
    let near = nearest_of_first(parts, chosen);
    if data.labelled && !data.is_open_set() {
        let wrong = |(c, n): (&Origin, &Option<Neighbour>)| {
            u32::from(n.is_some_and(|n| parts[0].split.labels[n.index] != label(c)))
        };
        let kinds = vec!["nearest is of its class".to_owned(), "nearest is of another".to_owned()];
        all.push(Colouring::Kinds("error".into(), kinds, chosen.iter().zip(&near).map(wrong).collect()));
    }
    let far = near.iter().map(|n| n.map_or(0.0, |n| n.distance)).collect();
    all.push(Colouring::Scale("anomaly: distance to the nearest".into(), far));
    all
}

/// By image that is placed: the nearest image of the first part, which the run learned from.
fn nearest_of_first(parts: &[Part<'_>], chosen: &[Origin]) -> Vec<Option<Neighbour>> {
    let reference = Vectors::Features(&parts[0].features);
    let mut near: Vec<Option<Neighbour>> = vec![None; chosen.len()];
    for (p, part) in parts.iter().enumerate() {
        let rows: Vec<usize> = (0..chosen.len()).filter(|c| chosen[*c].0 == p).collect();
        let asked = part.features.select(&rows.iter().map(|c| chosen[*c].1).collect::<Vec<_>>());
        // An image of the reference is not its own neighbour, in whichever part it is named again.
        let (of, members) = (&part.split.identities, &parts[0].split.identities);
        let same = Identities::shared(of, members).unwrap_or_else(|| Shared::none(of.len(), members.len()));
        let asks = |at: usize| match same.queries[at] {
            u32::MAX if p == 0 => same.gallery[at],
            number => number,
        };
        let own: Vec<u32> = rows.iter().map(|c| asks(chosen[*c].1)).collect();
        let exclude = Exclude::Group { queries: &own, gallery: &same.gallery };
        let found =
            nearest(&Exact::new(reference), Vectors::Features(&asked), 1, exclude, |_, l| l.first().copied());
        rows.iter().zip(found).for_each(|(c, n)| near[*c] = n);
    }
    near
}
