//! The eight ways in which a rectangle can lie: turned by quarters, mirrored or not.

use crate::data::Picture;
use serde::Serialize;

/// How a picture was turned: first mirrored (left and right exchanged), if at all, then counter-clockwise by so many quarters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Turn {
    /// Left and right are exchanged.
    pub mirrored: bool,
    /// Quarters of a circle, counter-clockwise: 0 to 3.
    pub quarters: u8,
}

impl Turn {
    /// All eight, the upright one first.
    pub fn all() -> impl Iterator<Item = Turn> {
        [false, true].into_iter().flat_map(|mirrored| (0..4).map(move |quarters| Turn { mirrored, quarters }))
    }

    /// Whether nothing is turned.
    pub fn is_none(self) -> bool {
        self == Turn::default()
    }

    /// What turns the result back.
    pub fn inverse(self) -> Turn {
        // A mirrored turn is its own inverse.
        if self.mirrored { self } else { Turn { quarters: (4 - self.quarters) % 4, ..self } }
    }

    /// In words: what was done to a picture.
    pub fn words(self) -> String {
        let degrees = 90 * u32::from(self.quarters);
        match (self.mirrored, self.quarters) {
            (false, 0) => "not turned".to_owned(),
            (false, _) => format!("rotated by {degrees} degrees"),
            (true, 0) => "mirrored".to_owned(),
            (true, 2) => "mirrored upside down".to_owned(),
            (true, _) => format!("mirrored and rotated by {degrees} degrees"),
        }
    }

    /// A picture, turned.
    pub(crate) fn of(self, picture: Picture) -> Picture {
        let mut picture = picture;
        if self.mirrored {
            let (w, c) = (picture.shape.w, picture.shape.c);
            for row in picture.pixels.chunks_exact_mut(w * c) {
                for x in 0..w / 2 {
                    (0..c).for_each(|i| row.swap(x * c + i, (w - 1 - x) * c + i));
                }
            }
        }
        picture.turned(self.quarters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::Shape;

    #[test]
    fn turns_are_those_of_the_image_library_and_have_inverses() {
        let image = image::GrayImage::from_fn(3, 2, |x, y| image::Luma([(y * 3 + x) as u8]));
        let picture = Picture { shape: Shape { h: 2, w: 3, c: 1 }, pixels: image.as_raw().clone() };
        for turn in Turn::all() {
            let mut want = image.clone();
            if turn.mirrored {
                want = image::imageops::flip_horizontal(&want);
            }
            // The library turns clockwise.
            want = match turn.quarters {
                0 => want,
                1 => image::imageops::rotate270(&want),
                2 => image::imageops::rotate180(&want),
                _ => image::imageops::rotate90(&want),
            };
            let turned = turn.of(picture.clone());
            assert_eq!(turned.pixels, *want.as_raw(), "{turn:?}");
            assert_eq!(turn.inverse().of(turned), picture, "{turn:?}");
        }
        assert_eq!(Turn::all().count(), 8);
    }
}
