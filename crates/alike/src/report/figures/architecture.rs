//! The network, drawn from its specification.

use crate::images::Shape;
use crate::model::{Layer, LayerInfo, Network, ParameterInfo};
use crate::report::figure::{Figure, N, Panel, WIDTH};
use crate::report::input::thousands;
use crate::report::numbers::Numbers;
use crate::report::text::{Anchor, written};
use maud::{Markup, html};

const ROW: f64 = 54.0;
const THIN: f64 = 24.0;
/// A panel ends after a layer that makes images smaller, or after so many layers.
const MOST_ROWS: usize = 8;

pub(in crate::report) fn architecture(network: &Network) -> Figure {
    let mut stages: Vec<Vec<&LayerInfo>> = vec![Vec::new()];
    for layer in network.layers() {
        let last = stages.len() - 1;
        stages[last].push(layer);
        let smaller = matches!(layer.layer, Layer::MaxPool { .. } | Layer::Gap | Layer::Gmp);
        if smaller || stages[last].len() == MOST_ROWS {
            stages.push(Vec::new());
        }
    }
    // A trailing normalisation belongs to the stage before it.
    if let Some(rest) = stages.pop()
        && !rest.is_empty()
    {
        match stages.last_mut() {
            Some(stage) if rest.len() == 1 => stage.extend(rest),
            _ => stages.push(rest),
        }
    }
    let whole = network.input();
    let panels = stages.iter().enumerate().map(|(i, layers)| stage(i, layers, whole)).collect();
    let caption = format!(
        "Drawn from this run's specification. A slab's face shows the height and width of what a layer passes on, its \
         thickness the number of channels. In all {} parameters and {:.2} MFLOP for one image of {} (a multiplication \
         and an addition count as two); an image becomes {} numbers.",
        thousands(network.parameter_count()),
        network.flop() as f64 / 1e6,
        whole,
        network.embedding(),
    );
    let mut numbers = Numbers::new(&["layer", "height", "width", "channels", "parameters"]);
    for l in network.layers() {
        let parameters: usize = l.parameters.iter().map(ParameterInfo::len).sum();
        let [h, w, c, parameters] = [l.output.h, l.output.w, l.output.c, parameters].map(|n| n.to_string());
        numbers.push([l.layer.title(), h, w, c, parameters]);
    }
    Figure { name: "architecture", title: "The network".to_owned(), caption, numbers, panels, columns: 3 }
}

fn stage(number: usize, layers: &[&LayerInfo], whole: Shape) -> Panel {
    let mut y = 0.0;
    let mut rows = html! {};
    if let Some(first) = layers.first() {
        let what = if number == 0 { "image" } else { "from the stage before" };
        rows.0.push_str(&row(y, first.input, what, first.input.to_string(), whole).0);
        y += ROW;
    }
    for l in layers {
        let parameters: usize = l.parameters.iter().map(ParameterInfo::len).sum();
        let mut facts = Vec::new();
        if parameters > 0 {
            facts.push(format!("{} parameters", thousands(parameters)));
        }
        if l.input == l.output && !matches!(l.layer, Layer::Conv { .. }) {
            rows.0.push_str(&thin(y, &l.layer.title(), &facts.join(" · ")).0);
            y += THIN;
        } else {
            facts.insert(0, l.output.to_string());
            rows.0.push_str(&row(y, l.output, &l.layer.title(), facts.join(" · "), whole).0);
            y += ROW;
        }
    }
    let body = html! {
        rect class="f-card" width=(N(WIDTH)) height=(N(y + 8.0)) rx="8" {}
        line class="s-quiet" stroke-width="2" x1="70" x2="70" y1="20" y2=(N(y - 16.0)) {}
        (rows)
    };
    let says =
        layers.iter().map(|l| format!("{} to {}", l.layer.title(), l.output)).collect::<Vec<_>>().join(", ")
            + ".";
    Panel { title: format!("Stage {}", number + 1), says, height: y + 8.0, body }
}

/// A layer that changes no shape.
fn thin(y: f64, name: &str, facts: &str) -> Markup {
    html! {
        rect class="f-quiet" x="34" y=(N(y + 3.0)) width="72" height="17" rx="8.5" {}
        (written("s f-ink", (122.0, y + 15.0), Anchor::Start, &format!("{name}  {facts}"), WIDTH - 126.0))
    }
}

/// A layer's output as a slab.
fn row(y: f64, s: Shape, name: &str, facts: String, whole: Shape) -> Markup {
    // The square root keeps small maps visible; the slab leans by its thickness.
    let side = |n: usize, of: usize| 34.0 * (n as f64 / of as f64).sqrt();
    let longest = whole.h.max(whole.w);
    let (w, h) = (side(s.w, longest).max(5.0), side(s.h, longest).max(5.0));
    let thick = (s.c as f64).sqrt() * 3.2;
    let (dx, dy) = (thick * 0.8, thick * 0.35);
    let (x0, y0) = (70.0 - (w + dx) / 2.0, y + ROW / 2.0 - (h - dy) / 2.0);
    let points = |list: &[(f64, f64)]| -> String {
        list.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
    };
    html! {
        polygon class="f-quiet" points=(points(&[(x0, y0), (x0 + dx, y0 - dy), (x0 + w + dx, y0 - dy), (x0 + w, y0)])) {}
        polygon class="f-faint" points=(points(&[(x0 + w, y0), (x0 + w + dx, y0 - dy), (x0 + w + dx, y0 + h - dy), (x0 + w, y0 + h)])) {}
        rect class="f-feature" x=(N(x0)) y=(N(y0)) width=(N(w)) height=(N(h)) {}
        (written("b f-ink", (122.0, y + ROW / 2.0 - 2.0), Anchor::Start, name, WIDTH - 126.0))
        (written("s f-faint", (122.0, y + ROW / 2.0 + 12.0), Anchor::Start, &facts, WIDTH - 126.0))
    }
}
