//! `alike cluster`.

use super::report::draw;
use super::{refuse_existing, write_table};
use crate::args::{EncoderArgs, Global};
use crate::bars::doing;
use crate::models::OpenModel;
use crate::printer::{json, line};
use alike::files::{self, FileError};
use alike::images::Images;
use alike::own_files::OwnTable;
use alike::report::{Figure, PictureRow, Shown, picture_rows};
use alike::tasks::{CLUSTER_MEASURES, Cluster, ClusterAnswer, ClusterMethod, Known, cluster};
use clap::Args;
use std::path::PathBuf;

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
    /// Images: files, folders of them, or what alike embed wrote (.npy) [default: the collection's, or the run's test images]
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

/// Images that a sheet shows of a cluster.
const SHOWN: usize = 16;
/// Clusters of a sheet, the largest.
const CLUSTERS: usize = 60;

pub(crate) fn run(args: &ClusterArgs, global: &Global) -> anyhow::Result<()> {
    let files: Vec<_> = [&args.csv, &args.out].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    let model = OpenModel::new(&args.encoder, global)?;
    let kept = if args.images.is_empty() { model.kept_known()? } else { None };
    let known = if let Some(known) = kept {
        known
    } else if args.images.is_empty() {
        let data = model.read_own("name the images after the model")?;
        let (split, part) =
            if data.test.is_empty() { (&data.train, "training") } else { (&data.test, "test") };
        model.own(&data, split, part)?
    } else {
        model.read_known(&args.images)?
    };
    let method = match args.method {
        ClusterArg::KMeans => ClusterMethod::KMeans { k: args.k.map(|k| k as usize) },
        ClusterArg::Density => ClusterMethod::Density { min_cluster_size: args.min_cluster_size as usize },
    };
    let seed = global.seed.unwrap_or(0);
    let answer = doing("clustering", || cluster(&known, method, seed))?;
    if let Some(path) = &args.csv {
        write_table(path, table(&answer, &known)?, global)?;
    }
    if let Some(out) = &args.out {
        files::write(out, &draw(&figure(&model, &known, &answer, seed)?, out)?)?;
    }
    if global.json {
        return json(&answer);
    }
    print(&answer)
}

fn table(answer: &ClusterAnswer, known: &Known) -> anyhow::Result<Vec<u8>> {
    let mut csv = OwnTable::new("cluster", Vec::new(), &["path", "cluster", "class"])?;
    for (i, cluster) in answer.assignment.iter().enumerate() {
        let cluster = cluster.map_or(String::new(), |c| c.to_string());
        csv.row([known.gallery.names[i].as_str(), &cluster, known.gallery.class(i).unwrap_or_default()])?;
    }
    Ok(csv.finish()?)
}

fn figure(
    model: &OpenModel<'_>,
    known: &Known,
    answer: &ClusterAnswer,
    seed: u64,
) -> Result<Figure, FileError> {
    type Pictures = Vec<Option<(Images, usize)>>;
    let found: Vec<(String, Pictures)> = (answer.largest_first.iter().take(CLUSTERS))
        .map(|Cluster { number, members, commonest }| {
            let some = ClusterAnswer::some(known, members, SHOWN, seed);
            let pictures = some.into_iter().map(|i| model.find(known, i)).collect();
            (format!("cluster {number}: {} images{}", members.len(), mostly(commonest.as_ref())), pictures)
        })
        .collect();
    let blank = model.blank();
    let rows: Vec<PictureRow<'_>> = found
        .iter()
        .map(|(heading, some)| PictureRow {
            lead: None,
            heading: heading.clone(),
            others: some.iter().map(|picture| Shown::or_blank(picture, &blank)).collect(),
        })
        .collect();
    let half = rows.len().div_ceil(2);
    let panels = [("Clusters, the largest first", rows[..half].to_vec()), ("", rows[half..].to_vec())];
    let caption = format!(
        "{} clusters of {} images by {}; {} images belong to none.",
        answer.clusters.len(),
        answer.images,
        answer.method,
        answer.in_none
    );
    picture_rows("clusters", "What lies together", caption, &panels)
}

fn print(answer: &ClusterAnswer) -> anyhow::Result<()> {
    line(format!(
        "{} images, {} clusters by {}; {} images belong to none",
        answer.images,
        answer.clusters.len(),
        answer.method,
        answer.in_none
    ))?;
    for Cluster { number, members, commonest } in answer.largest_first.iter().take(CLUSTERS) {
        line(format!("{number:>5}  {:>6} images{}", members.len(), mostly(commonest.as_ref())))?;
    }
    if let Some(found) = &answer.agreement {
        line("against classes [95 % interval]")?;
        for (name, of) in CLUSTER_MEASURES {
            let interval = answer.intervals.as_ref().and_then(|all| all.get(name));
            let interval = interval.map_or(String::new(), |[low, high]| format!("[{low:.4}, {high:.4}]"));
            line(format!("{name:14} {:.4} {interval}", of(found)))?;
        }
    }
    Ok(())
}

/// The commonest class, with its share.
fn mostly(class: Option<&(String, f64)>) -> String {
    class.map_or(String::new(), |(class, share)| format!(", {:.0} % {class}", 100.0 * share))
}
