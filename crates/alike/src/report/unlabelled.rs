//! The page of images without classes: where they lie, what lies together, who is near whom, near duplicates, and how training went.

use super::figure::{Figure, N, Panel, WIDTH, document, sprite};
use super::figures::{
    PairShown, PictureRow, Row, Shown, Tone, architecture, chart, curves, picture_pairs, picture_rows,
};
use super::input::{TrainingInput, counted, percent, thousands};
use super::marks::{RADIUS, mark};
use super::numbers::{Numbers, exact};
use super::page::{Drawing, PageFacts, Report, SPRITE_COLUMNS, Shell, Wanted, drawn, hover_facts};
use super::place::{Placer, median};
use super::tables::provenance;
use super::text::{Anchor, LINE, SMALL, width, written};
use super::theme::{CLASS_COLOURS, class_colour};
use crate::data::{Dataset, Progress, Split, look_alike};
use crate::eval::{Baseline, ConsistencyAnswer, KMeans, k_means};
use crate::files::FileError;
use crate::images::{Features, Vectors, with_pixels};
use crate::neighbours::{Exact, Exclude, Neighbour, nearest};
use crate::projection::{Pca, umap};
use crate::sample;
use crate::tasks::Unjudged;
use maud::{Markup, PreEscaped, html};

/// Images that the page is made of, at most.
const MOST: usize = 3000;
/// Rows of neighbours.
const ROWS: usize = 8;
const BESIDE: usize = 5;
/// Neighbours that UMAP looks at.
const LINKED: usize = 15;
/// Pairs of near duplicates that are shown.
const PAIRS: usize = 12;
/// Images that a cluster shows.
const EACH: usize = 6;

/// Images without classes, their embeddings, and how these were learned.
#[derive(Clone, Copy, Debug)]
pub struct UnlabelledInput<'a> {
    /// The images: those of the training part.
    pub data: &'a Dataset,
    /// How the encoder was trained; nothing for one that was not trained here.
    pub training: Option<TrainingInput<'a>>,
    /// Embeddings of the training part.
    pub features: &'a Features,
    /// How often an image finds what was made of itself.
    pub consistency: &'a ConsistencyAnswer,
}

impl<'a> UnlabelledInput<'a> {
    /// What a page is made from, of a model that was looked at with these data.
    pub fn of(unjudged: &'a Unjudged, data: &'a Dataset) -> UnlabelledInput<'a> {
        UnlabelledInput {
            data,
            training: unjudged.training.as_ref().map(|t| TrainingInput {
                settings: &t.settings,
                checkpoint: &t.checkpoint,
                metrics: &t.metrics,
            }),
            features: &unjudged.features,
            consistency: &unjudged.consistency,
        }
    }

    fn seed(&self) -> u64 {
        self.training.map_or(0, |t| t.settings.seed)
    }
}

/// The images that the page shows, with all that figures share.
struct Looked<'a> {
    input: UnlabelledInput<'a>,
    /// The images' numbers in the training part.
    rows: Vec<usize>,
    features: Features,
    neighbours: Vec<Vec<Neighbour>>,
    clusters: KMeans,
}

impl<'a> Looked<'a> {
    fn new(input: UnlabelledInput<'a>) -> Looked<'a> {
        let rows = sample::some(input.data.train.identities.keys(), MOST, input.seed());
        let features = input.features.select(&rows);
        let v = Vectors::Features(&features);
        let k = LINKED.min(features.len().saturating_sub(1));
        let neighbours = nearest(&Exact::new(v), v, k, Exclude::Itself, |_, l| l.to_vec());
        // As many clusters as the map has colours, of few images fewer.
        let k = ((features.len() as f64 / 2.0).sqrt() as usize).clamp(1, CLASS_COLOURS);
        let clusters = k_means(&features, k, 4, input.seed());
        Looked { input, rows, features, neighbours, clusters }
    }

    fn split(&self) -> &'a Split {
        &self.input.data.train
    }

    fn name(&self, k: usize) -> String {
        let i = self.rows[k];
        let full = self.split().names.get(i).cloned().unwrap_or_else(|| format!("image {i}"));
        full.rsplit('/').next().unwrap_or(&full).to_owned()
    }

    fn shown(&self, k: usize) -> Shown<'a> {
        Shown::new(&self.split().images, self.rows[k], self.name(k), Tone::Plain)
    }

    /// Whether there is something to see in the pictures.
    fn has_pictures(&self) -> bool {
        !self.split().images.are_floats()
    }
}

impl Report {
    /// Draws the page of images without classes.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn without_classes(
        input: &UnlabelledInput<'_>,
        facts: &PageFacts,
        progress: &mut dyn Progress,
    ) -> Result<Report, FileError> {
        let looked = Looked::new(*input);
        let figures = draw(&looked, Wanted(None), progress)?;
        let html = document(page(&looked, &figures, facts)?);
        Ok(Report { figures, html })
    }

    /// Draws some figures of that page, by their names.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn some_without_classes(
        input: &UnlabelledInput<'_>,
        names: &[String],
        progress: &mut dyn Progress,
    ) -> Result<Vec<Figure>, FileError> {
        draw(&Looked::new(*input), Wanted(Some(names)), progress)
    }
}

fn draw(l: &Looked<'_>, wanted: Wanted<'_>, progress: &mut dyn Progress) -> Result<Vec<Figure>, FileError> {
    let all: Vec<Drawing<'_>> = vec![
        ("consistency", Box::new(|| Ok(Some(consistency(l.input.consistency, Baseline::of(l.input.data)))))),
        ("map", Box::new(|| Ok(Some(map(l))))),
        ("clusters", Box::new(|| clusters(l))),
        ("neighbours", Box::new(|| neighbours(l))),
        ("copies", Box::new(|| copies(l))),
        ("training", Box::new(|| Ok(l.input.training.as_ref().and_then(curves)))),
        ("architecture", Box::new(|| Ok(l.input.training.map(|t| architecture(&t.checkpoint.network))))),
    ];
    drawn(all, wanted, progress)
}

fn consistency(c: &ConsistencyAnswer, baseline: Baseline) -> Figure {
    let interval = |[low, high]: [f64; 2]| format!("learned [{:.2}, {:.2}]", 100.0 * low, 100.0 * high);
    let rows = [("two views", &c.views), ("mirrored", &c.mirror)].map(|(name, spaces)| Row {
        name,
        image: spaces.image.share,
        feature: spaces.feature.share,
        verdict: Some(interval(spaces.feature.interval)),
    });
    let mut numbers = Numbers::new(&["measure", "space", "share", "low", "high"]);
    for (name, spaces) in [("two views", &c.views), ("mirrored", &c.mirror)] {
        for (space, found) in [("image", spaces.image), ("feature", spaces.feature)] {
            let [low, high] = found.interval.map(exact);
            numbers.push([name.to_owned(), space.to_owned(), exact(found.share), low, high]);
        }
    }
    let caption = format!(
        "Without classes nothing is right or wrong, but an image can be asked to find what was made of itself, among what was made of {} \
         images. Two views: an image changed in two ways ({}). Mirror images: the image and its mirror image. In brackets 95 % intervals. \
         A high share is no proof of a good space: it says that the space does not mind these changes.",
        thousands(c.images),
        c.views_by,
    );
    Figure {
        name: "consistency",
        title: "Does an image find itself?".to_owned(),
        caption,
        numbers,
        panels: vec![chart("Share that is found", &rows, 1.0, baseline)],
        columns: 2,
    }
}

/// Dots in a plane, coloured by cluster.
fn map(l: &Looked<'_>) -> Figure {
    let v = Vectors::Features(&l.features);
    let pca = Pca::fit(v, 2);
    let plane: Vec<[f64; 2]> =
        pca.project(v).iter().map(|p| [0, 1].map(|k| p.get(k).copied().unwrap_or(0.0))).collect();
    let placed = umap(&l.neighbours, &plane, l.input.seed());
    let mut numbers = Numbers::new(&["image", "cluster", "pca_1", "pca_2", "umap_1", "umap_2"]);
    for (k, (p, u)) in plane.iter().zip(&placed).enumerate() {
        let [p1, p2, u1, u2] = [p[0], p[1], u[0], u[1]].map(exact);
        numbers.push([l.name(k), (l.clusters.assignment[k] + 1).to_string(), p1, p2, u1, u2]);
    }
    let share: f64 = pca.explained().iter().sum();
    let panels = vec![
        scatter(
            "Principal components",
            &format!("the first two components hold {} of the variance", percent(share)),
            &plane,
            l,
        ),
        scatter("UMAP", "neighbours stay together; gaps mean little", &placed, l),
    ];
    let caption = format!(
        "A dot is an image: {} of {}, where their embeddings lie. Colours are the clusters that follow, and a number stands where a cluster's dots have their median.",
        thousands(l.rows.len()),
        thousands(l.split().len()),
    );
    Figure { name: "map", title: "Where the images lie".to_owned(), caption, numbers, panels, columns: 2 }
}

fn scatter(title: &str, axis: &str, points: &[[f64; 2]], l: &Looked<'_>) -> Panel {
    let range = |k: usize| super::axes::range(points.iter().map(|p| p[k]), 0.0);
    let ((x0, x1), (y0, y1)) = (range(0), range(1));
    let unit = (WIDTH - 24.0) / (x1 - x0).max(y1 - y0).max(f64::MIN_POSITIVE);
    let height = ((y1 - y0) * unit + 24.0).max(WIDTH * 0.5);
    let place = |[x, y]: [f64; 2]| {
        (WIDTH / 2.0 + (x - (x0 + x1) / 2.0) * unit, height / 2.0 - (y - (y0 + y1) / 2.0) * unit)
    };
    let mut marks = String::new();
    for (k, point) in points.iter().enumerate() {
        let (cluster, (x, y)) = (l.clusters.assignment[k] as usize, place(*point));
        mark(&mut marks, k, cluster, &class_colour(cluster), x, y);
    }
    let mut placer = Placer::new([0.0, 0.0, WIDTH, height], points.iter().map(|p| place(*p)).collect());
    let numbers: Vec<(usize, (f64, f64))> = (0..l.clusters.centres.len())
        .filter_map(|c| {
            let own = points.iter().zip(&l.clusters.assignment).filter(|(_, of)| **of as usize == c);
            let at = median(own.map(|(p, _)| (p[0], p[1])).collect())?;
            let size = (width(&(c + 1).to_string(), SMALL, true) + 2.0, LINE);
            Some((c, placer.place(place([at.0, at.1]), size, RADIUS)?))
        })
        .collect();
    let body = html! {
        rect class="f-card" width=(N(WIDTH)) height=(N(height)) rx="8" {}
        (PreEscaped(marks))
        @for (cluster, (x, y)) in numbers {
            text class="s b f-ink" text-anchor="middle" x=(N(x)) y=(N(y + 4.0)) { (cluster + 1) }
        }
        (written("s f-ink", (WIDTH / 2.0, height + 15.0), Anchor::Middle, axis, WIDTH))
    };
    let says = format!(
        "{} images as dots, coloured by {} clusters; {axis}.",
        thousands(points.len()),
        l.clusters.centres.len()
    );
    Panel { title: title.to_owned(), says, height: height + 22.0, body }
}

fn clusters(l: &Looked<'_>) -> Result<Option<Figure>, FileError> {
    if !l.has_pictures() {
        return Ok(None);
    }
    let k = l.clusters.centres.len();
    let mut members: Vec<(usize, Vec<usize>)> = (0..k).map(|c| (c, Vec::new())).collect();
    l.clusters.assignment.iter().enumerate().for_each(|(i, c)| members[*c as usize].1.push(i));
    members.sort_by_key(|m| std::cmp::Reverse(m.1.len()));
    let row = |(c, of): &(usize, Vec<usize>)| PictureRow {
        lead: None,
        heading: format!("cluster {}: {}", c + 1, counted(of.len(), "image")),
        others: of.iter().take(EACH).map(|i| Shown { text: String::new(), ..l.shown(*i) }).collect(),
    };
    let rows: Vec<PictureRow<'_>> = members.iter().filter(|m| !m.1.is_empty()).map(row).collect();
    let caption = format!(
        "{} images in {} clusters by k-means in the learned space, some images of each drawn at random. How many clusters there are was \
         not found but set, by the number of images: alike cluster finds it.",
        thousands(l.rows.len()),
        rows.len(),
    );
    let half = rows.len().div_ceil(2);
    let mut panels = vec![("Clusters, the largest first", rows[..half].to_vec())];
    if half < rows.len() {
        panels.push(("Further clusters", rows[half..].to_vec()));
    }
    Ok(Some(picture_rows("clusters", "What lies together", caption, &panels)?))
}

fn neighbours(l: &Looked<'_>) -> Result<Option<Figure>, FileError> {
    if !l.has_pictures() || l.rows.len() < 2 {
        return Ok(None);
    }
    let n = ROWS.min(l.rows.len());
    let asked: Vec<usize> = (0..n).map(|i| i * l.rows.len() / n).collect();
    let row = |(k, near): (usize, &[Neighbour])| PictureRow {
        lead: Some(l.shown(k)),
        heading: String::new(),
        others: near
            .iter()
            .take(BESIDE)
            .map(|m| Shown { text: String::new(), ..l.shown(m.index) }.far(m.distance))
            .collect(),
    };
    let images = l.split().images.select(&l.rows);
    let queries = images.select(&asked);
    let own: Vec<u32> = asked.iter().map(|k| *k as u32).collect();
    let all: Vec<u32> = (0..l.rows.len() as u32).collect();
    let by_pixels = with_pixels([&images, &queries], |[gallery, queries]| {
        let exclude = Exclude::Group { queries: &own, gallery: &all };
        nearest(&Exact::new(gallery), queries, BESIDE, exclude, |_, list| list.to_vec())
    })?;
    let pixels = asked.iter().zip(&by_pixels).map(|(k, near)| row((*k, near))).collect();
    let learned = asked.iter().map(|k| row((*k, &l.neighbours[*k]))).collect();
    let caption = format!(
        "Each row begins with an image; then come the {BESIDE} that are nearest, with their distances. The rows are spread over all images.",
    );
    let baseline = Baseline::of(l.input.data);
    let by = format!("Nearest by {}", baseline.name());
    let panels = [(by.as_str(), pixels), ("Nearest in the learned space", learned)];
    Ok(Some(picture_rows("neighbours", "Who is near whom", caption, &panels)?))
}

/// Pairs of images that look the same at a glance, among those that are near each other in either space.
fn copies(l: &Looked<'_>) -> Result<Option<Figure>, FileError> {
    if !l.has_pictures() || l.rows.len() < 2 {
        return Ok(None);
    }
    let images = l.split().images.select(&l.rows);
    let by_pixels = with_pixels([&images], |[v]| {
        nearest(&Exact::new(v), v, BESIDE, Exclude::Itself, |_, list| list.to_vec())
    })?;
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for (i, lists) in l.neighbours.iter().zip(&by_pixels).enumerate() {
        for n in lists.0.iter().take(BESIDE).chain(lists.1) {
            let (a, b) = (i.min(n.index), i.max(n.index));
            if pairs.iter().all(|p| (p.1, p.2) != (a, b))
                && look_alike(images.image(a, &mut one)?, images.image(b, &mut other)?)
            {
                let distance =
                    crate::neighbours::squared_distance(l.features.row(a), l.features.row(b)).sqrt();
                pairs.push((distance, a, b));
            }
        }
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let shown = |(distance, a, b): &(f64, usize, usize)| PairShown {
        pair: [*a, *b].map(|k| Shown { text: String::new(), ..l.shown(k) }),
        note: format!("distance {distance:.3}"),
    };
    let mut numbers = Numbers::new(&["first", "second", "distance"]);
    for (distance, a, b) in &pairs {
        numbers.push([l.name(*a), l.name(*b), exact(*distance)]);
    }
    let caption = match pairs.len() {
        0 => format!("No two of {} images look the same at a glance.", thousands(l.rows.len())),
        n => format!(
            "{n} {} of {} images look the same at a glance: they differ by less than a fifth of what each differs from its own mean. \
             They may be copies, or photographs of one thing: alike data stats tells which.",
            if n == 1 { "pair" } else { "pairs" },
            thousands(l.rows.len())
        ),
    };
    let panels = if pairs.is_empty() {
        Vec::new()
    } else {
        vec![picture_pairs(
            "Near duplicates",
            &[("The nearest first", pairs.iter().take(PAIRS).map(shown).collect())],
        )?]
    };
    let title = "Near duplicates".to_owned();
    Ok(Some(Figure { name: "copies", title, caption, numbers, panels, columns: 2 }))
}

fn page(l: &Looked<'_>, figures: &[Figure], facts: &PageFacts) -> Result<Markup, FileError> {
    let input = &l.input;
    let what = format!("{}, without classes", input.data.title());
    let title = facts.title(&what, input.training.map(|t| t.settings));
    let c = input.consistency;
    let baseline = Baseline::of(input.data).name();
    let lead = html! {
        p.lead {
            @if let Some(t) = input.training {
                "A network of " (thousands(t.checkpoint.network.parameter_count())) " parameters learned from "
                (thousands(l.split().len())) " images without classes. "
            } @else {
                "An encoder that was not trained here makes embeddings of " (input.features.d()) " numbers. "
            }
            "Of " (thousands(c.images)) " images " (percent(c.views.feature.share)) " find their other view in the learned space, "
            (percent(c.views.image.share)) " by " (baseline) "; " (percent(c.mirror.feature.share)) " find their mirror image, "
            (percent(c.mirror.image.share)) " by " (baseline) "."
        }
    };
    let needs = html! {
        section #needs aria-labelledby="needs-title" {
            h2 #needs-title { "What needs classes" }
            p { "Accuracy, retrieval, confusion, verification, unseen classes, few-shot episodes and doubtful labels need images whose classes \
                are known: a folder a class, or a table. Accuracy of this model on such images: "
                code { "alike eval MODEL --data FOLDER" } "." }
        }
    };
    let labels = vec![0u32; l.rows.len()];
    let shell = Shell {
        title,
        lead,
        figures,
        classes: html! { p.hint { "Point at a dot, touch it, or go to a plot with Tab and from dot to dot with the arrow keys, to see its image." } },
        rest: vec![
            ("needs", "What needs classes", needs),
            ("made", "How this was made", provenance(input.training.as_ref(), None, facts)),
        ],
        hover: hover_facts(input.data.shape(), &labels, &["".to_owned()], || {
            sprite(&l.split().images, &l.rows, SPRITE_COLUMNS)
        })?,
    };
    Ok(shell.page(facts))
}
