//! Alike teaches a machine which images are alike.
//!
//! It trains an image embedding by metric learning, shows what the embedding learned, and puts it to use.
//!
//! # Train on a folder, and search in it
//!
//! ```no_run
//! use alike::data::{DataPaths, Quiet, load};
//! use alike::encoder::TrainedNetwork;
//! use alike::tasks::{Known, Model, SearchOptions, search};
//! use alike::train::{Settings, Training};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A folder with a subfolder a class; or a table, an archive, the name of a set in `$ALIKE_DATA`...
//! let paths = DataPaths::from_env();
//! let photos = load(&"photos/".into(), &paths, &mut Quiet)?;
//! let mut training = Training::new(Settings::auto(&photos, &[])?.settings, &photos)?;
//! training.fit(&photos)?;
//!
//! let model = Model::of(Box::new(TrainedNetwork::new(training.checkpoint())?), paths)?;
//! let known = Known::of(model.gallery(&photos, &photos.train)?, photos.train.images.clone());
//! let asked = model.pictures(&["query.jpg".into()], &mut Quiet)?;
//! let answer = search(&model, &asked, &known, SearchOptions { k: 10, leave_group: false })?;
//! for found in &answer.queries[0].neighbours {
//!     println!("{} at {:.3}", found.path, found.distance);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Judge ready-made embeddings
//!
//! ```
//! use alike::data::{Dataset, Split};
//! use alike::eval::Judge;
//! use alike::images::{Features, Images, Vectors};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A row an image, from any model: here of two classes on two lines.
//! let embeddings = |n: usize| -> Vec<f32> { (0..n).flat_map(|i| [i as f32, (i % 2) as f32 * 50.0]).collect() };
//! let labels = |n: usize| -> Vec<u32> { (0..n).map(|i| i as u32 % 2).collect() };
//! let split = |n: usize| Split::new(Images::from_features(2, &embeddings(n)), labels(n));
//! let data = Dataset::new("mine", "", vec!["cat".into(), "dog".into()], split(40), split(10));
//!
//! let [gallery, queries] = [40, 10].map(|n| Features::new(2, embeddings(n)));
//! let (gallery, queries) = (Vectors::Features(&gallery), Vectors::Features(&queries));
//! let judge = Judge::new(&[1, 5]);
//! let judged = judge.space(&data, gallery, queries)?;
//! let retrieval = judge.retrieval(&data, gallery, queries, &[1, 10])?;
//! println!("1-NN {:.1} %", 100.0 * judged.knn[&1].accuracy);
//! println!("{}", serde_json::to_string(&retrieval)?);
//! # assert_eq!(judged.knn[&1].accuracy, 1.0);
//! # Ok(())
//! # }
//! ```
//!
//! # The rooms
//!
//! Data flow one way, and the modules stand in that order; each uses only those before it:
//!
//! 1. [`images`], [`identity`], [`sample`], [`distance`], [`rng`], [`files`], [`guard`], [`limits`], [`meter`], [`suggest`], [`text`], [`names`], [`own_files`], [`process`]: the
//!    shared vocabulary.
//! 2. [`data`]: where images come from.
//! 3. [`model`]: what a network is, and the files that hold one.
//! 4. [`engine`]: runs a network forward and backward.
//! 5. [`encoder`]: whatever makes a vector of a picture.
//! 6. [`gallery`]: embedded images, kept.
//! 7. [`neighbours`]: who is nearest to whom, exactly.
//! 8. [`projection`]: few dimensions out of many.
//! 9. [`mining`]: which pairs and triplets a loss looks at.
//! 10. [`loss`]: formulas over distances.
//! 11. [`train`]: the loop, its settings, its observers, the run folder.
//! 12. [`eval`]: how good an embedding is, by the field's own rules.
//! 13. [`tasks`]: questions and answers, how an embedding is used.
//! 14. [`tune`]: which loss, with which values.
//! 15. [`report`]: figures and the page.
//!
//! # Features
//!
//! The first three are on unless `default-features = false` says otherwise.
//!
//! | feature | what it brings |
//! |---|---|
//! | `download` | sets that have names are fetched where they are not on this machine |
//! | `projection` | t-SNE and UMAP, and [`tasks`]' maps |
//! | `report` | the room `report`, with `projection` |
//! | `parquet` | tables as Parquet files |
//! | `schema` | JSON Schemas of all results |
//!
//! # Shapes
//!
//! Images are `n x h x w x c` bytes and embeddings `n x d` floats, row-major. Labels are `n` numbers, each an index into
//! the class names. A distance is smaller when nearer. Accuracy, recall and their kin are fractions from 0 to 1.

#![forbid(unsafe_code)]

pub mod distance;
pub mod files;
pub mod guard;
pub mod identity;
pub mod images;
pub mod limits;
pub mod meter;
pub mod names;
mod npy;
pub mod own_files;
pub mod process;
pub mod rng;
pub mod sample;
pub mod suggest;
pub mod text;

pub mod data;
pub mod model;

pub mod engine;

pub mod encoder;

pub mod gallery;

pub mod neighbours;

pub mod projection;

pub mod mining;

pub mod loss;

pub mod train;

pub mod eval;

pub mod tasks;

pub mod tune;

#[cfg(feature = "report")]
pub mod report;
