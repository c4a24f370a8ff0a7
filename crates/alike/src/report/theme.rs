//! Colours and text styles, named by what they mean; each has a light and a dark value.

use std::fmt::Write;

struct Colour {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
}

const fn colour(name: &'static str, light: &'static str, dark: &'static str) -> Colour {
    Colour { name, light, dark }
}

/// How many classes have a colour of their own.
pub(super) const CLASS_COLOURS: usize = 8;

const COLOURS: [Colour; 11 + CLASS_COLOURS] = [
    colour("paper", "#ffffff", "#15181c"),
    colour("card", "#f5f6f8", "#1e2329"),
    colour("ink", "#1c2126", "#e8eaed"),
    colour("faint", "#5a636e", "#a3adb8"),
    colour("line", "#d5d9de", "#3a424c"),
    colour("quiet", "#c9ced4", "#4b545e"),
    colour("bar", "#868e98", "#737d89"),
    colour("image", "#776849", "#c2ad84"),
    colour("feature", "#1f6fae", "#5ab0ee"),
    colour("right", "#0b7a75", "#41c4b8"),
    colour("wrong", "#b8430a", "#ff8a4c"),
    // Eight classes, found by search: any two differ by 15 or more (CIEDE2000) to people who see all colours, without red cones and
    // without green ones, and each stands out from paper and card by 3:1. A test holds both.
    colour("c0", "#003efe", "#7c58fe"),
    colour("c1", "#fe3680", "#fd60a4"),
    colour("c2", "#048d74", "#238f55"),
    colour("c3", "#9c8f00", "#93f300"),
    colour("c4", "#a1420e", "#ebb898"),
    colour("c5", "#0b96d7", "#4eb5ff"),
    colour("c6", "#7a0053", "#f40805"),
    colour("c7", "#3d402f", "#14fce7"),
];

/// The colour's name of class `class`: names repeat, which the mark's shape tells apart.
pub(super) fn class_colour(class: usize) -> String {
    format!("c{}", class % CLASS_COLOURS)
}

/// Rules that colour what has the class `f-NAME` (filled) or `s-NAME` (outlined), and set text.
fn rules(value: impl Fn(&Colour) -> String) -> String {
    let mut css = String::from(
        "text{font-family:'DejaVu Sans',Verdana,sans-serif;font-size:12px}\
         .t{font-size:14px;font-weight:bold}.s{font-size:11px}.b{font-weight:bold}",
    );
    // Text that lines pass behind.
    let card = COLOURS.iter().find(|c| c.name == "card").map(&value).unwrap_or_default();
    let _ = write!(css, ".o{{paint-order:stroke;stroke:{card};stroke-width:4px;stroke-linejoin:round}}");
    for c in &COLOURS {
        let _ = write!(css, ".f-{0}{{fill:{1}}}.s-{0}{{stroke:{1};fill:none}}", c.name, value(c));
    }
    css
}

/// For a file that stands alone: light colours, written out, because not every viewer knows CSS variables.
pub(super) fn for_file() -> String {
    rules(|c| c.light.to_owned())
}

/// For the page: variables, light or dark as the reader's system says or as the reader chooses; paper is always light.
pub(super) fn for_page() -> String {
    let variables = |of: fn(&Colour) -> &str| -> String {
        COLOURS.iter().map(|c| format!("--{}:{};", c.name, of(c))).collect()
    };
    let (light, dark) = (variables(|c| c.light), variables(|c| c.dark));
    format!(
        ":root{{color-scheme:light;{light}}}\
         @media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\
         @media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}{}",
        rules(|c| format!("var(--{})", c.name))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rgb = [f64; 3];

    fn linear(hex: &str) -> Rgb {
        [1, 3, 5].map(|at| {
            let v = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn times(m: &[Rgb; 3], v: Rgb) -> Rgb {
        m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
    }

    const XYZ: [Rgb; 3] = [
        [0.412_456_4, 0.357_576_1, 0.180_437_5],
        [0.212_672_9, 0.715_152_2, 0.072_175_0],
        [0.019_333_9, 0.119_192_0, 0.950_304_1],
    ];
    /// Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency", severity 1.
    const PROTAN: [Rgb; 3] = [
        [0.152_286, 1.052_583, -0.204_868],
        [0.114_503, 0.786_281, 0.099_216],
        [-0.003_882, -0.048_116, 1.051_998],
    ];
    const DEUTAN: [Rgb; 3] = [
        [0.367_322, 0.860_646, -0.227_968],
        [0.280_085, 0.672_501, 0.047_413],
        [-0.011_820, 0.042_940, 0.968_881],
    ];

    fn lab(rgb: Rgb) -> Rgb {
        let white = [0.950_47, 1.0, 1.088_83];
        let xyz = times(&XYZ, rgb.map(|v| v.clamp(0.0, 1.0)));
        let f = |k: usize| {
            let t = xyz[k] / white[k];
            if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 }
        };
        [116.0 * f(1) - 16.0, 500.0 * (f(0) - f(1)), 200.0 * (f(1) - f(2))]
    }

    /// Sharma, Wu and Dalal 2005, "The CIEDE2000 color-difference formula".
    fn ciede2000([l1, a1, b1]: Rgb, [l2, a2, b2]: Rgb) -> f64 {
        let mean = (a1.hypot(b1) + a2.hypot(b2)) / 2.0;
        let far = |c: f64| (c.powi(7) / (c.powi(7) + 25f64.powi(7))).sqrt();
        let g = 1.5 - 0.5 * far(mean);
        let (a1, a2) = (a1 * g, a2 * g);
        let (c1, c2) = (a1.hypot(b1), a2.hypot(b2));
        let angle = |a: f64, b: f64| b.atan2(a).to_degrees().rem_euclid(360.0);
        let (h1, h2) = (angle(a1, b1), angle(a2, b2));
        let grey = c1 * c2 == 0.0;
        let turn = if grey { 0.0 } else { (h2 - h1 + 180.0).rem_euclid(360.0) - 180.0 };
        let (dl, dc) = (l2 - l1, c2 - c1);
        let dh = 2.0 * (c1 * c2).sqrt() * (turn / 2.0).to_radians().sin();
        let (l, c) = ((l1 + l2) / 2.0, (c1 + c2) / 2.0);
        let h = match (grey, (h1 - h2).abs() <= 180.0) {
            (true, _) => h1 + h2,
            (_, true) => (h1 + h2) / 2.0,
            (_, false) if h1 + h2 < 360.0 => (h1 + h2 + 360.0) / 2.0,
            _ => (h1 + h2 - 360.0) / 2.0,
        };
        let cos = |d: f64| d.to_radians().cos();
        let t = 1.0 - 0.17 * cos(h - 30.0) + 0.24 * cos(2.0 * h) + 0.32 * cos(3.0 * h + 6.0)
            - 0.2 * cos(4.0 * h - 63.0);
        let sl = 1.0 + 0.015 * (l - 50.0).powi(2) / (20.0 + (l - 50.0).powi(2)).sqrt();
        let (sc, sh) = (1.0 + 0.045 * c, 1.0 + 0.015 * c * t);
        let rt = -2.0 * far(c) * (60.0 * (-((h - 275.0) / 25.0).powi(2)).exp()).to_radians().sin();
        let (x, y, z) = (dl / sl, dc / sc, dh / sh);
        (x * x + y * y + z * z + rt * y * z).sqrt()
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |hex| times(&XYZ, linear(hex))[1];
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn named(name: &str) -> &'static Colour {
        COLOURS.iter().find(|c| c.name == name).unwrap()
    }

    #[test]
    fn the_formula_gives_its_authors_numbers() {
        // Of the table of Sharma, Wu and Dalal: pairs 1, 7, 17, 25 and 34.
        let cases = [
            ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
            ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
            ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
            ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
            ([2.0776, 0.0795, -1.1350], [0.9033, -0.0636, -0.5514], 0.9082),
        ];
        for (a, b, expected) in cases {
            assert!((ciede2000(a, b) - expected).abs() < 1e-4, "{a:?} {b:?}: {}", ciede2000(a, b));
        }
    }

    #[test]
    fn classes_differ_in_light_and_dark_to_all_eyes() {
        let same = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        for (theme, of) in [("light", (|c| c.light) as fn(&Colour) -> &str), ("dark", |c| c.dark)] {
            for (eyes, matrix) in [("all colours", same), ("protanopia", PROTAN), ("deuteranopia", DEUTAN)] {
                let seen: Vec<Rgb> = (0..CLASS_COLOURS)
                    .map(|k| lab(times(&matrix, linear(of(named(&class_colour(k)))))))
                    .collect();
                for i in 0..CLASS_COLOURS {
                    for j in 0..i {
                        let far = ciede2000(seen[i], seen[j]);
                        assert!(far >= 15.0, "{theme}, {eyes}: c{j} and c{i} differ by {far:.1}");
                    }
                }
            }
        }
    }

    #[test]
    fn dots_and_text_stand_out() {
        for of in [(|c| c.light) as fn(&Colour) -> &'static str, |c| c.dark] {
            for ground in ["paper", "card"].map(|g| of(named(g))) {
                let dots = (0..CLASS_COLOURS).map(class_colour);
                let others = ["image", "feature", "right", "wrong", "bar"].map(str::to_owned);
                for name in dots.chain(others) {
                    let value = contrast(of(named(&name)), ground);
                    assert!(value >= 3.0, "{name} on {ground}: {value:.2}");
                }
                for name in ["ink", "faint", "right", "wrong", "feature"] {
                    let value = contrast(of(named(name)), ground);
                    assert!(value >= 4.5, "text {name} on {ground}: {value:.2}");
                }
            }
            // Words within bars.
            for bar in ["image", "feature"] {
                let value = contrast(of(named("paper")), of(named(bar)));
                assert!(value >= 4.5, "paper on {bar}: {value:.2}");
            }
        }
    }
}
