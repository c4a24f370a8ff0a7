//! A quadtree, by which far points are put together.

/// How wide a square may look from a point to be taken as one: its side by its distance.
const WIDE: f64 = 0.5;
/// Points that need no squares of their own.
const FEW: usize = 8;
/// Points that this many halvings do not part lie together.
const DEEP: usize = 40;

/// A square: the mean of its points and how many they are.
struct Cell {
    mean: [f64; 2],
    side: f64,
    /// Its points, in the tree's order.
    points: std::ops::Range<usize>,
    /// The first square that is not within this one; squares lie in the order of a walk.
    next: usize,
    leaf: bool,
}

/// Points of the plane, in squares.
pub(super) struct Tree<'a> {
    at: &'a [[f64; 2]],
    cells: Vec<Cell>,
    /// Points square by square.
    order: Vec<usize>,
    /// Their places, in that order.
    places: Vec<[f64; 2]>,
}

impl Tree<'_> {
    pub(super) fn new(at: &[[f64; 2]]) -> Tree<'_> {
        let range = |k: usize| {
            at.iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p[k]), high.max(p[k])))
        };
        let ((x0, x1), (y0, y1)) = (range(0), range(1));
        let middle = [(x0 + x1) / 2.0, (y0 + y1) / 2.0];
        let mut tree = Tree { at, cells: Vec::new(), order: (0..at.len()).collect(), places: Vec::new() };
        tree.divide(0..at.len(), middle, (x1 - x0).max(y1 - y0), 0);
        tree.places = tree.order.iter().map(|i| at[*i]).collect();
        tree
    }

    fn divide(&mut self, points: std::ops::Range<usize>, middle: [f64; 2], side: f64, depth: usize) {
        let (at, order) = (self.at, &mut self.order[points.clone()]);
        let count = order.len() as f64;
        let mean = [0, 1].map(|k| order.iter().map(|i| at[*i][k]).sum::<f64>() / count);
        let leaf = order.len() <= FEW || depth == DEEP;
        let own = self.cells.len();
        self.cells.push(Cell { mean, side, points: points.clone(), next: 0, leaf });
        if !leaf {
            let quadrant = |i: &usize| [0, 1].map(|k| at[*i][k] >= middle[k]);
            order.sort_by_key(quadrant);
            let mut first = points.start;
            for which in [[false, false], [false, true], [true, false], [true, true]] {
                let many = self.order[first..points.end].iter().take_while(|i| quadrant(i) == which).count();
                if many > 0 {
                    let at = [0, 1].map(|k| middle[k] + if which[k] { side / 4.0 } else { -side / 4.0 });
                    self.divide(first..first + many, at, side / 2.0, depth + 1);
                }
                first += many;
            }
        }
        self.cells[own].next = self.cells.len();
    }

    /// What all other points repel point `i` by, and its part of the sum over all pairs.
    pub(super) fn repulsion(&self, i: usize) -> ([f64; 2], f64) {
        let [x, y] = self.at[i];
        // The point itself is met too, without any force, and counts one.
        let (mut fx, mut fy, mut sum) = (0.0, 0.0, -1.0);
        let mut k = 0;
        while let Some(cell) = self.cells.get(k) {
            let (dx, dy) = (x - cell.mean[0], y - cell.mean[1]);
            let far = dx * dx + dy * dy;
            // Never true of a square that the point is in.
            if cell.side * cell.side < WIDE * WIDE * far {
                let near = 1.0 / (1.0 + far);
                let all = cell.points.len() as f64 * near;
                sum += all;
                fx += all * near * dx;
                fy += all * near * dy;
            } else if cell.leaf {
                for place in &self.places[cell.points.clone()] {
                    let (dx, dy) = (x - place[0], y - place[1]);
                    let near = 1.0 / (1.0 + dx * dx + dy * dy);
                    sum += near;
                    fx += near * near * dx;
                    fy += near * near * dy;
                }
            } else {
                k += 1;
                continue;
            }
            k = cell.next;
        }
        ([fx, fy], sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_points_repel_together_as_they_do_one_by_one() {
        let place = |i: usize| (i as f64 * 0.754_877_666).fract().powi(3) * 40.0;
        let mut at: Vec<[f64; 2]> = (0..700).map(|i| [place(i), place(3 * i + 1)]).collect();
        // Points on one spot are parted by no square.
        (0..30).for_each(|i| at[i] = [7.0, 7.0]);
        let tree = Tree::new(&at);
        let (mut all, mut exact) = (0.0, 0.0);
        let (mut off, mut size) = (0.0, 0.0);
        for i in 0..at.len() {
            let (force, sum) = tree.repulsion(i);
            let mut plain = ([0.0; 2], 0.0);
            for j in (0..at.len()).filter(|j| *j != i) {
                let (dx, dy) = (at[i][0] - at[j][0], at[i][1] - at[j][1]);
                let near = 1.0 / (1.0 + dx * dx + dy * dy);
                plain.1 += near;
                plain.0[0] += near * near * dx;
                plain.0[1] += near * near * dy;
            }
            off += (force[0] - plain.0[0]).powi(2) + (force[1] - plain.0[1]).powi(2);
            size += plain.0[0].powi(2) + plain.0[1].powi(2);
            (all, exact) = (all + sum, exact + plain.1);
        }
        assert!((all - exact).abs() < 0.01 * exact, "{all} {exact}");
        assert!(off.sqrt() < 0.05 * size.sqrt(), "{off} {size}");
    }
}
