//! Where names stand beside what they name: off each other, off dots, inside the panel, or nowhere.

use super::text::LINE;

/// A box: left, top, width and height.
pub(super) type Rect = [f64; 4];

/// Directions that are tried at each distance.
const DIRECTIONS: usize = 16;
/// Distances that are tried, in steps of a line.
const STEPS: usize = 26;
/// What stays free between a name and whatever is beside it.
const CLEAR: f64 = 2.0;

/// Dots, and the names that have a place.
pub(super) struct Placer {
    bounds: Rect,
    dots: Vec<(f64, f64)>,
    taken: Vec<Rect>,
    /// What names lead to.
    ends: Vec<(f64, f64)>,
    /// From names that have a place to what they name.
    lines: Vec<Line>,
}

/// From a name's middle to what it names.
type Line = [(f64, f64); 2];

fn overlap(a: Rect, b: Rect) -> bool {
    a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3]
}

/// Whether a box covers some of a dot of this radius.
fn covers([x, y, w, h]: Rect, (px, py): (f64, f64), radius: f64) -> bool {
    px > x - radius && px < x + w + radius && py > y - radius && py < y + h + radius
}

/// Whether a line has a part inside a box: what is left of it between the box's sides, one pair after the other (Liang and Barsky 1984).
fn crosses([x, y, w, h]: Rect, [from, to]: Line) -> bool {
    let (mut enters, mut leaves) = (0.0f64, 1.0f64);
    for (start, way, low, high) in [(from.0, to.0 - from.0, x, x + w), (from.1, to.1 - from.1, y, y + h)] {
        if way == 0.0 {
            if start <= low || start >= high {
                return false;
            }
            continue;
        }
        let (a, b) = ((low - start) / way, (high - start) / way);
        enters = enters.max(a.min(b));
        leaves = leaves.min(a.max(b));
    }
    enters < leaves
}

impl Placer {
    /// For names within `bounds` that hide none of `dots`.
    pub(super) fn new(bounds: Rect, dots: Vec<(f64, f64)>) -> Placer {
        Placer { bounds, dots, taken: Vec::new(), ends: Vec::new(), lines: Vec::new() }
    }

    /// For names that stand off what others name, and off the lines that lead there, where there is room for that.
    pub(super) fn leading_to(self, ends: Vec<(f64, f64)>) -> Placer {
        Placer { ends, ..self }
    }

    /// Whether a name covers nothing that another names and no line, and its own line runs under no name.
    fn is_off_lines(&self, rect: Rect, line: Line) -> bool {
        !self.ends.iter().any(|end| *end != line[1] && covers(rect, *end, 0.0))
            && !self.lines.iter().any(|l| crosses(rect, *l))
            && !self.taken.iter().any(|t| crosses(*t, line))
    }

    fn is_free(&self, [x, y, w, h]: Rect, radius: f64) -> bool {
        let [left, top, width, height] = self.bounds;
        let inside = x >= left + CLEAR
            && y >= top + CLEAR
            && x + w <= left + width - CLEAR
            && y + h <= top + height - CLEAR;
        let wide = [x - CLEAR, y - CLEAR, w + 2.0 * CLEAR, h + 2.0 * CLEAR];
        inside
            && !self.taken.iter().any(|t| overlap(wide, *t))
            && !self.dots.iter().any(|dot| covers([x, y, w, h], *dot, radius))
    }

    /// The centre of a free box of this size that is near `at`: 16 directions at each of 26 distances are tried, the nearest first.
    /// Nothing where none is free. Places off all lines come first.
    pub(super) fn place(&mut self, at: (f64, f64), size: (f64, f64), radius: f64) -> Option<(f64, f64)> {
        let candidates = (0..STEPS).flat_map(move |step| {
            let far = step as f64 * LINE * 0.75;
            let directions = if step == 0 { 1 } else { DIRECTIONS };
            (0..directions).map(move |d| {
                let turn = std::f64::consts::TAU * d as f64 / DIRECTIONS as f64 - std::f64::consts::FRAC_PI_2;
                // A wide name stands farther to the sides than above.
                let (dx, dy) = (turn.cos(), turn.sin());
                let aside = if step == 0 { 0.0 } else { size.0 / 2.0 };
                (at.0 + dx * (far + aside), at.1 + dy * far)
            })
        });
        let rect = |(x, y): (f64, f64)| [x - size.0 / 2.0, y - size.1 / 2.0, size.0, size.1];
        let mut free = candidates.filter(|c| self.is_free(rect(*c), radius));
        let nearest = free.clone().next()?;
        let found = free.find(|c| self.is_off_lines(rect(*c), [*c, at])).unwrap_or(nearest);
        self.taken.push(rect(found));
        self.lines.push([found, at]);
        Some(found)
    }
}

/// The median of points, by each coordinate; nothing without points.
pub(super) fn median(mut of: Vec<(f64, f64)>) -> Option<(f64, f64)> {
    let (low, high) = (of.len().checked_sub(1)? / 2, of.len() / 2);
    of.sort_by(|a, b| a.0.total_cmp(&b.0));
    let x = (of[low].0 + of[high].0) / 2.0;
    of.sort_by(|a, b| a.1.total_cmp(&b.1));
    Some((x, (of[low].1 + of[high].1) / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_between_the_two_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![(1.0, 2.0)]), Some((1.0, 2.0)));
        assert_eq!(median(vec![(9.0, 0.0), (1.0, 4.0), (3.0, 2.0), (0.0, 8.0)]), Some((2.0, 3.0)));
    }

    #[test]
    fn lines_cross_boxes_where_they_have_a_part_inside() {
        let a = [10.0, 10.0, 20.0, 10.0];
        for (line, inside) in [
            ([(0.0, 15.0), (40.0, 15.0)], true),
            ([(0.0, 0.0), (40.0, 30.0)], true),
            ([(12.0, 12.0), (13.0, 12.0)], true),
            ([(0.0, 15.0), (9.0, 15.0)], false),
            ([(0.0, 25.0), (40.0, 25.0)], false),
            ([(0.0, 30.0), (15.0, 21.0)], false),
            ([(20.0, 0.0), (20.0, 9.0)], false),
            ([(20.0, 0.0), (20.0, 12.0)], true),
        ] {
            assert_eq!(crosses(a, line), inside, "{line:?}");
        }
    }

    #[test]
    fn names_stand_off_what_others_name_and_off_their_lines() {
        let ends = vec![(100.0, 100.0), (110.0, 100.0), (100.0, 106.0), (92.0, 103.0)];
        let mut placer = Placer::new([0.0, 0.0, 200.0, 200.0], Vec::new()).leading_to(ends.clone());
        let size = (40.0, 12.0);
        let places: Vec<_> = ends.iter().map(|at| placer.place(*at, size, 2.0).unwrap()).collect();
        for (i, centre) in places.iter().enumerate() {
            let own = [centre.0 - size.0 / 2.0, centre.1 - size.1 / 2.0, size.0, size.1];
            for (j, at) in ends.iter().enumerate().filter(|(j, _)| *j != i) {
                assert!(!crosses(own, [places[j], *at]), "the line of {j} crosses {i}");
            }
        }
    }

    #[test]
    fn names_find_places_off_each_other_and_off_dots_and_say_where_there_is_none() {
        let bounds = [0.0, 0.0, 200.0, 200.0];
        let dots: Vec<(f64, f64)> =
            (0..400).map(|i| (60.0 + (i % 20) as f64 * 4.0, 60.0 + (i / 20) as f64 * 4.0)).collect();
        let mut placer = Placer::new(bounds, dots.clone());
        let size = (30.0, 12.0);
        let places: Vec<_> =
            (0..8).map(|_| placer.place((100.0, 100.0), size, 2.0).expect("there is room")).collect();
        for (i, a) in places.iter().enumerate() {
            for b in &places[..i] {
                assert!((a.0 - b.0).abs() >= size.0 || (a.1 - b.1).abs() >= size.1, "{a:?} {b:?}");
            }
            let hidden = dots.iter().filter(|d| (d.0 - a.0).abs() < 15.0 && (d.1 - a.1).abs() < 6.0).count();
            assert_eq!(hidden, 0, "{a:?}");
            assert!(a.0 >= 15.0 && a.0 <= 185.0 && a.1 >= 6.0 && a.1 <= 194.0);
        }
        let full: Vec<(f64, f64)> =
            (0..10_000).map(|i| ((i % 100) as f64 * 2.0, (i / 100) as f64 * 2.0)).collect();
        assert_eq!(Placer::new(bounds, full).place((100.0, 100.0), size, 2.0), None);
    }
}
