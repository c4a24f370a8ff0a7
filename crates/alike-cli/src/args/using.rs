//! What can be typed to put a run to use.

use super::OnErrorArg;
use alike::data::PreparationWish;
use alike::eval::AnomalyMethod;
use clap::Args;
use std::path::PathBuf;

/// A model, and how it turns pictures into embeddings.
#[derive(Debug, Default, Args)]
pub(crate) struct EncoderArgs {
    /// The model: a run's folder
    pub(crate) model: PathBuf,
    /// Override the model's preparation of pictures, as in resize=squash or invert
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = clap::value_parser!(PreparationWish), help_heading = "Images")]
    pub(crate) prepare: Option<PreparationWish>,
    /// What to do with pictures that cannot be read
    #[arg(long, value_name = "skip|fail", value_enum, help_heading = "Images")]
    pub(crate) on_error: Option<OnErrorArg>,
    /// Average the embeddings of each image and its mirror image
    #[arg(long, help_heading = "Images")]
    pub(crate) flip: bool,
    /// An ensemble: concatenate the embeddings of these models to the first; repeat the flag or separate them by commas
    #[arg(long, value_name = "MODEL", help_heading = "Images")]
    pub(crate) with: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike embed MODEL photos/ -o photos.npy              also photos.csv (the paths) and photos.json (the model)
  alike embed MODEL photos/ -o photos.npy --on-error skip --force")]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Image files or folders
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The .npy file to write; the paths go into a .csv beside it, the model's fingerprint into a .json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike search MODEL --gallery photos/ query.jpg -k 10
  alike embed MODEL photos/ -o photos.npy && alike search MODEL --gallery photos.npy query.jpg -o found.png")]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Query images: files or folders
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Gallery to search: folders, archives, tables, or a .npy file from alike embed [default: all images of the run]
    #[arg(long, value_name = "PATH")]
    pub(crate) gallery: Vec<PathBuf>,
    /// Number of neighbours per query
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: u32,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session (a table's column 'group')
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Draw queries and neighbours into a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RuleArg {
    /// Majority vote of the k nearest
    Knn,
    /// Vote of the k nearest, weighted by inverse distance
    Weighted,
    /// The nearest class mean
    Means,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike classify MODEL new/                              by all images of the run, trained on or held back
  alike classify MODEL --gallery known/ new.jpg          by a folder of class folders: its classes may be new to the run
  alike enroll MODEL --gallery known.npy --class cup cup1.jpg cup2.jpg && alike classify MODEL --gallery known.npy new.jpg")]
pub(crate) struct ClassifyArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images to classify: files or folders
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Images of known class: folders, archives, tables, or what alike embed wrote (.npy) [default: all
    /// images of the run, trained on or held back]
    #[arg(long, value_name = "PATH")]
    pub(crate) gallery: Vec<PathBuf>,
    /// Classification rule
    #[arg(long, value_enum, default_value = "weighted")]
    pub(crate) rule: RuleArg,
    /// Number of neighbours that vote
    #[arg(short, long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: u32,
    /// Share of new images of known classes that should be accepted as known
    #[arg(long, default_value_t = 0.99, value_name = "SHARE", value_parser = share)]
    pub(crate) accept: f64,
    /// Distance threshold for *unknown*; overrides --accept
    #[arg(long, value_name = "DISTANCE")]
    pub(crate) threshold: Option<f64>,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session (a table's column 'group')
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write the answers to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

/// A share above none and up to all.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|s| *s > 0.0 && *s <= 1.0);
    share.ok_or_else(|| "give a share above 0 and up to 1, as in 0.95".to_owned())
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike embed MODEL known/ -o known.npy
  alike enroll MODEL --gallery known.npy --class cup cup1.jpg cup2.jpg cup3.jpg")]
pub(crate) struct EnrollArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images of the class: files or folders
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Gallery (.npy) that they are added to; created if it does not exist
    #[arg(long, value_name = "FILE")]
    pub(crate) gallery: PathBuf,
    /// The class's name
    #[arg(long, value_name = "NAME")]
    pub(crate) class: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike verify MODEL A.png B.png                     by pairs of the run's images that were not trained on
  alike verify MODEL A.png B.png --gallery people/     by pairs of a folder of class folders
  alike verify MODEL A.png B.png --far 0.001         accept one pair in a thousand wrongly")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// One image
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// Images of known classes, whose pairs calibrate the threshold: folders, tables, or what alike embed wrote (.npy) [default:
    /// the run's images that were not trained on]
    #[arg(long, value_name = "PATH")]
    pub(crate) gallery: Vec<PathBuf>,
    /// The share of pairs of two classes that may be taken for one [default: as large as the share of pairs of one that is
    /// missed]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) far: Option<f64>,
    /// Exclude known pairs of one group, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Distance threshold for *different*; overrides known pairs
    #[arg(long, value_name = "DISTANCE", conflicts_with_all = ["gallery", "far", "leave_group"])]
    pub(crate) threshold: Option<f64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike train --data good/ --out runs/good && alike anomaly runs/good --gallery good/ incoming/ --csv scores.csv
  alike anomaly MODEL --gallery good.npy part.jpg --method mahalanobis --false-alarms 0.001")]
pub(crate) struct AnomalyArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images to score: files or folders
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Images of what is normal: folders, archives, tables, or what alike embed wrote (.npy) [default: what the run was trained
    /// on]
    #[arg(long, value_name = "PATH")]
    pub(crate) gallery: Vec<PathBuf>,
    /// Anomaly score: knn:k=1, mahalanobis, mahalanobis-by-class, lof:k=20
    #[arg(long, default_value = "knn", value_parser = clap::value_parser!(AnomalyMethod))]
    pub(crate) method: AnomalyMethod,
    /// Share of new normal images that may raise an alarm
    #[arg(long, default_value_t = 0.01, value_name = "SHARE", value_parser = share)]
    pub(crate) false_alarms: f64,
    /// Exclude references of the image's own group, such as a camera, lot or session (a table's column 'group')
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write the scores to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw the most anomalous images into a .png or .svg file, each beside the normal ones that it is nearest to
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike explain MODEL a.png b.png -o why.png")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// One image
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// The .png or .svg file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ClusterArg {
    /// k-means
    KMeans,
    /// Clusters by density (HDBSCAN); the rest belongs to none
    Density,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike cluster MODEL photos/ -k 20 -o sheet.png --csv clusters.csv
  alike cluster MODEL --method density               the run's test images, against their classes")]
pub(crate) struct ClusterArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images: files, folders of them, or what alike embed wrote (.npy) [default: the run's test images]
    #[arg(value_name = "PATH")]
    pub(crate) images: Vec<PathBuf>,
    /// Clustering method
    #[arg(long, value_enum, default_value = "k-means")]
    pub(crate) method: ClusterArg,
    /// Clusters of k-means [default: as many as there are classes]
    #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: Option<u32>,
    /// Smallest cluster of --method density
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..), value_name = "N")]
    pub(crate) min_cluster_size: u32,
    /// Write each image's cluster to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw sample images of every cluster into a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike health MODEL -o health                       lists, pictures, and a cleaned table of the run's own data
  alike train --data health/cleaned.csv --out RUN2")]
pub(crate) struct HealthArgs {
    /// The model: a run's folder
    pub(crate) model: PathBuf,
    /// Folder to create for the lists (.csv), a figure and cleaned.csv
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Neighbours that judge an image
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: u32,
    /// Exclude neighbours of the image's own group, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Clean the test images too; the cleaned test is easier than new images will be
    #[arg(long)]
    pub(crate) clean_test: bool,
    /// Remove doubtful labels from cleaned.csv even if the model is not fit to judge them
    #[arg(long)]
    pub(crate) drop_doubts: bool,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MapArg {
    /// Principal components: true distances, but only two directions are visible
    Pca,
    /// t-SNE: keeps neighbours together; sizes and gaps mean little
    Tsne,
    /// UMAP: keeps neighbours together, and similar clusters near each other
    Umap,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike map MODEL -o map.html                        the run's own images, by all three methods
  alike map MODEL photos/ -o photos.html --method umap")]
pub(crate) struct MapArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images: files, or folders of them [default: the run's own]
    #[arg(value_name = "PATH")]
    pub(crate) images: Vec<PathBuf>,
    /// The .html file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Projection to two dimensions
    #[arg(long, value_enum, value_delimiter = ',', default_value = "pca,tsne,umap")]
    pub(crate) method: Vec<MapArg>,
    /// Number of images to place, at most; larger sets are sampled
    #[arg(long, default_value_t = 4000, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=50_000))]
    pub(crate) max_images: u32,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}
