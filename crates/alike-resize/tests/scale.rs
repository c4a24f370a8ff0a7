//! Scaling, against what the definition gives. Not beside the code: a test there would compile it again.

use alike_resize::{Kernel, Pixels, scale};

#[test]
fn halves_are_means_and_a_short_picture_is_refused() {
    // The triangle of the left pixel weighs the columns 3/4, 3/4, 1/4 and 0: 200 * (1/4) / (7/4) = 28.6.
    let bytes = [0, 0, 200, 200, 0, 0, 200, 200];
    let picture = Pixels { size: [2, 4], channels: 1, bytes: &bytes };
    let mut out = [0; 2];
    scale(picture, [0.0, 0.0, 4.0, 2.0], [1, 2], Kernel::Bilinear, &mut out).unwrap();
    assert_eq!(out, [29, 171]);
    scale(picture, [2.0, 0.0, 2.0, 2.0], [1, 2], Kernel::CatmullRom, &mut out).unwrap();
    assert_eq!(out, [200, 200]);
    assert!(scale(picture, [2.0, 0.0, 3.0, 2.0], [1, 2], Kernel::Bilinear, &mut out).is_err());
    let short = Pixels { bytes: &bytes[1..], ..picture };
    assert!(scale(short, [0.0, 0.0, 4.0, 2.0], [1, 2], Kernel::Bilinear, &mut out).is_err());
}
