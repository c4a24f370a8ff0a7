//! How training went.

use crate::report::axes::{Frame, Unit, range};
use crate::report::figure::{Figure, N, Panel};
use crate::report::input::{ReportInput, TrainingInput};
use crate::train::Metric;
use maud::html;

const HEIGHT: f64 = 200.0;

struct Curve {
    name: &'static str,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

pub(in crate::report) fn curves(e: &ReportInput<'_>) -> Option<Figure> {
    let TrainingInput { settings: s, metrics, .. } = e.training?;
    type Value = fn(&Metric) -> Option<f64>;
    let series = |name, colour, value: Value| Curve {
        name,
        colour,
        points: metrics.iter().filter_map(|m| Some((m.step() as f64, value(m)?))).collect(),
    };
    let loss = series("", "feature", |m| if let Metric::Step { loss, .. } = m { Some(*loss) } else { None });
    let active =
        series("", "feature", |m| if let Metric::Step { active, .. } = m { Some(*active) } else { None });
    let d_ap =
        series("d(a,p)", "right", |m| if let Metric::Step { d_ap, .. } = m { Some(*d_ap) } else { None });
    let d_an =
        series("d(a,n)", "wrong", |m| if let Metric::Step { d_an, .. } = m { Some(*d_an) } else { None });
    let validation =
        series(
            "",
            "feature",
            |m| if let Metric::Epoch { report, .. } = m { report.validation } else { None },
        );
    if loss.points.is_empty() {
        return None;
    }
    let ends: Vec<f64> =
        metrics.iter().filter(|m| matches!(m, Metric::Epoch { .. })).map(|m| m.step() as f64).collect();
    let mut panels = vec![
        plot("Loss", Unit::Plain, "mean of 25 steps", vec![loss], &ends),
        plot("Share of active elements", Unit::Percent, "loss above zero", vec![active], &ends),
        plot("Mean distances", Unit::Plain, "distance", vec![d_an, d_ap], &ends),
    ];
    if !validation.points.is_empty() {
        panels.push(plot("Validation accuracy", Unit::Percent, "1-NN", vec![validation], &ends));
    }
    let seconds = metrics.iter().rev().find_map(|m| match m {
        Metric::Epoch { seconds, .. } => Some(*seconds),
        Metric::Step { .. } => None,
    });
    let caption = format!(
        "{} epochs of {} steps of {} images each, loss {}, {} with step size {}, seed {}{}. Vertical lines end an epoch; each \
         point is the mean of up to 25 steps.{}",
        ends.len(),
        ends.first().copied().unwrap_or_default(),
        s.sampler.images(s.batch_size),
        s.loss,
        crate::text::write(&s.optimizer),
        s.learning_rate,
        s.seed,
        seconds.map_or(String::new(), |t| format!("; {t:.0} seconds")),
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
    Some(Figure { name: "training", title: "Training".to_owned(), caption, panels, columns })
}

fn plot(title: &str, unit: Unit, y_name: &str, curves: Vec<Curve>, ends: &[f64]) -> Panel {
    let last = curves.iter().flat_map(|c| c.points.last()).map(|p| p.0).fold(1.0, f64::max);
    let (lo, hi) = range(curves.iter().flat_map(|c| c.points.iter().map(|p| p.1)), 0.06);
    // Losses, shares and distances begin at zero; only an accuracy is looked at closely.
    let lo = if title.starts_with("Validation") { lo.max(0.0) } else { 0.0 };
    let hi = if unit == Unit::Percent { hi.min(1.0) } else { hi };
    let frame = Frame::new(HEIGHT, (0.0, last), (lo, hi.max(lo + 1e-9)));
    let body = html! {
        (frame.axes(("step", Unit::Plain), (y_name, unit)))
        @for end in ends {
            line class="s-quiet" stroke-dasharray="2 3" x1=(N(frame.x.at(*end))) x2=(N(frame.x.at(*end)))
                y1=(N(frame.y.to.0)) y2=(N(frame.y.to.1)) {}
        }
        @for (i, curve) in curves.iter().enumerate() {
            path class=(format!("s-{}", curve.colour)) stroke-width="2" stroke-linejoin="round"
                stroke-dasharray=(if i == 0 { "none" } else { "6 3" }) d=(frame.path(&curve.points)) {}
            @if let Some((x, y)) = curve.points.last() {
                circle class=(format!("f-{}", curve.colour)) cx=(N(frame.x.at(*x))) cy=(N(frame.y.at(*y))) r="3" {}
                text class="b f-ink" text-anchor="end" x=(N(frame.x.at(*x) - 4.0)) y=(N((frame.y.at(*y) - 7.0).max(12.0))) {
                    @if !curve.name.is_empty() { (curve.name) " " }
                    (if unit == Unit::Percent { format!("{:.1} %", 100.0 * y) } else { format!("{y:.3}") })
                }
            }
        }
    };
    Panel { title: title.to_owned(), height: HEIGHT, body }
}
