//! How training went.

use crate::report::axes::{Frame, Unit, range};
use crate::report::figure::{Figure, N, Panel};
use crate::report::input::{TrainingInput, counted};
use crate::report::numbers::{Numbers, exact};
use crate::report::text::{SMALL, width};
use crate::train::Metric;
use maud::html;

const HEIGHT: f64 = 210.0;
/// Epochs that are marked by lines; more would be hatching.
const MARKED: usize = 12;

struct Curve {
    name: &'static str,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

type Value = fn(&Metric) -> Option<f64>;

/// A plot's title, its unit, the name of its axis, and its curves.
type Plot = (&'static str, Unit, &'static str, Vec<Curve>);

fn plots(metrics: &[Metric]) -> Vec<Plot> {
    let series = |name, colour, value: Value| Curve {
        name,
        colour,
        points: metrics
            .iter()
            .filter_map(|m| Some((m.step() as f64, value(m)?)))
            .filter(|p| p.1.is_finite())
            .collect(),
    };
    let loss =
        series("loss", "feature", |m| if let Metric::Step { loss, .. } = m { Some(*loss) } else { None });
    let active =
        series(
            "active",
            "feature",
            |m| if let Metric::Step { active, .. } = m { Some(*active) } else { None },
        );
    let d_ap =
        series("d(a,p)", "right", |m| if let Metric::Step { d_ap, .. } = m { Some(*d_ap) } else { None });
    let d_an =
        series("d(a,n)", "wrong", |m| if let Metric::Step { d_an, .. } = m { Some(*d_an) } else { None });
    let validation = series("1-NN", "feature", |m| {
        if let Metric::Epoch { report, .. } = m { report.validation } else { None }
    });
    let mut all = vec![
        ("Loss", Unit::Plain, "loss", vec![loss]),
        ("Share of active elements", Unit::Percent, "loss above zero", vec![active]),
        ("Mean distances", Unit::Plain, "distance", vec![d_an, d_ap]),
    ];
    if !validation.points.is_empty() {
        all.push(("Validation accuracy", Unit::Percent, "1-NN accuracy", vec![validation]));
    }
    all
}

pub(in crate::report) fn curves(training: &TrainingInput<'_>) -> Option<Figure> {
    let TrainingInput { settings: s, metrics, .. } = *training;
    let plots = plots(metrics);
    if plots[0].3[0].points.is_empty() {
        return None;
    }
    let ends: Vec<f64> =
        metrics.iter().filter(|m| matches!(m, Metric::Epoch { .. })).map(|m| m.step() as f64).collect();
    let mut numbers = Numbers::new(&["plot", "curve", "step", "value"]);
    for (title, _, _, curves) in &plots {
        for curve in curves {
            for (step, value) in &curve.points {
                numbers.push([(*title).to_owned(), curve.name.to_owned(), exact(*step), exact(*value)]);
            }
        }
    }
    let panels: Vec<Panel> = plots.into_iter().map(|p| plot(p, &ends)).collect();
    let seconds = metrics.iter().rev().find_map(|m| match m {
        Metric::Epoch { seconds, .. } => Some(*seconds),
        Metric::Step { .. } => None,
    });
    let epochs = ends.len();
    let steps = metrics.iter().filter(|m| matches!(m, Metric::Step { .. })).count();
    let caption = format!(
        "{} of {} of {} each, loss {}, {} with step size {}, seed {}{}.{}{}{}",
        counted(epochs, "epoch"),
        counted(ends.first().copied().unwrap_or_default() as usize, "step"),
        counted(s.sampler.images(s.batch_size), "image"),
        s.loss,
        crate::text::write(&s.optimizer),
        s.learning_rate,
        s.seed,
        seconds.map_or(String::new(), |t| match t.round() as u64 {
            0 => "; less than a second".to_owned(),
            t => format!("; {}", counted(t as usize, "second")),
        }),
        if (1..=MARKED).contains(&epochs) { " Vertical lines end an epoch." } else { "" },
        if steps > 1 { " Each point is the mean of up to 25 steps." } else { "" },
        if s.validate > 0.0 {
            format!(
                " Validation: 1-NN of {:.0} % of each class held out from training, against the rest.",
                100.0 * s.validate
            )
        } else {
            String::new()
        }
    );
    let columns = if panels.len() == 4 { 2 } else { 3 };
    Some(Figure { name: "training", title: "Training".to_owned(), caption, numbers, panels, columns })
}

fn plot((title, unit, y_name, curves): Plot, ends: &[f64]) -> Panel {
    let last = curves.iter().flat_map(|c| c.points.last()).map(|p| p.0).fold(1.0, f64::max);
    let (lo, hi) = range(curves.iter().flat_map(|c| c.points.iter().map(|p| p.1)), 0.06);
    // Losses, shares and distances begin at zero; only an accuracy is looked at closely.
    let lo = if title.starts_with("Validation") { lo.max(0.0) } else { lo.min(0.0) };
    let hi = if unit == Unit::Percent { hi.min(1.0) } else { hi };
    let frame = Frame::new(HEIGHT, (0.0, last), (lo, hi.max(lo + 1e-9))).below(18.0);
    let written =
        |y: f64| if unit == Unit::Percent { format!("{:.1} %", 100.0 * y) } else { format!("{y:.3}") };
    let named: Vec<String> = curves
        .iter()
        .map(|c| c.points.last().map_or(String::new(), |p| format!("{}: {} at last", c.name, written(p.1))))
        .collect();
    // Keys stand above the plot, one after the other.
    let mut from = 52.0;
    let keys: Vec<f64> = named
        .iter()
        .map(|name| {
            let at = from;
            from += 28.0 + width(name, SMALL, false) + 10.0;
            at
        })
        .collect();
    let body = html! {
        (frame.axes(("step", Unit::Count), (y_name, unit)))
        @if ends.len() <= MARKED {
            @for end in ends {
                line class="s-quiet" stroke-dasharray="2 3" x1=(N(frame.x.at(*end))) x2=(N(frame.x.at(*end)))
                    y1=(N(frame.y.to.0)) y2=(N(frame.y.to.1)) {}
            }
        }
        @for (i, curve) in curves.iter().enumerate() {
            @let dashes = if i == 0 { "none" } else { "6 3" };
            path class=(format!("s-{}", curve.colour)) stroke-width="2" stroke-linejoin="round"
                stroke-dasharray=(dashes) d=(frame.path(&curve.points)) {}
            @if let Some((x, y)) = curve.points.last() {
                circle class=(format!("f-{}", curve.colour)) cx=(N(frame.x.at(*x))) cy=(N(frame.y.at(*y))) r="3" {}
            }
            line class=(format!("s-{}", curve.colour)) stroke-width="2" stroke-dasharray=(dashes) x1=(N(keys[i])) x2=(N(keys[i] + 20.0)) y1="10" y2="10" {}
            text class="s f-ink" x=(N(keys[i] + 24.0)) y="14" { (named[i]) }
        }
    };
    let says = curves.iter().zip(&named).map(|(c, last)| match c.points.first() {
        Some((_, first)) => format!("{last}, {} at first.", written(*first)),
        None => String::new(),
    });
    let says = says.collect::<Vec<_>>().join(" ");
    Panel { title: title.to_owned(), says, height: HEIGHT, body }
}
