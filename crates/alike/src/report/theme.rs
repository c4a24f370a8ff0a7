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

const COLOURS: [Colour; 20] = [
    colour("paper", "#ffffff", "#15181c"),
    colour("card", "#f5f6f8", "#1e2329"),
    colour("ink", "#1c2126", "#e8eaed"),
    colour("faint", "#5a636e", "#a3adb8"),
    colour("line", "#d5d9de", "#3a424c"),
    colour("quiet", "#c9ced4", "#4b545e"),
    colour("image", "#8a7a5c", "#c2ad84"),
    colour("feature", "#1f77b4", "#5ab0ee"),
    colour("right", "#0b7a75", "#41c4b8"),
    colour("wrong", "#c4480c", "#ff8a4c"),
    // Ten classes: Petroff 2021, "Accessible color sequences for data visualization", arXiv 2107.02270, ten colours.
    colour("c0", "#3f90da", "#3f90da"),
    colour("c1", "#ffa90e", "#ffa90e"),
    colour("c2", "#bd1f01", "#e4543a"),
    colour("c3", "#94a4a2", "#94a4a2"),
    colour("c4", "#832db6", "#b06fdc"),
    colour("c5", "#a96b59", "#c08573"),
    colour("c6", "#e76300", "#e76300"),
    colour("c7", "#b9ac70", "#b9ac70"),
    colour("c8", "#717581", "#8d92a0"),
    colour("c9", "#92dadd", "#92dadd"),
];

/// How many classes have a colour of their own.
const CLASS_COLOURS: usize = 10;

/// The colour's name of class `class`: names repeat, which the mark's shape tells apart.
pub(super) fn class_colour(class: usize) -> String {
    format!("c{}", class % CLASS_COLOURS)
}

/// Rules that colour what has the class `f-NAME` (filled) or `s-NAME` (outlined), and set text.
fn rules(value: impl Fn(&Colour) -> String) -> String {
    let mut css = String::from(
        "text{font-family:'DejaVu Sans',Verdana,sans-serif;font-size:11px}\
         .t{font-size:13px;font-weight:bold}.s{font-size:9.5px}.b{font-weight:bold}",
    );
    for c in &COLOURS {
        let _ = write!(css, ".f-{0}{{fill:{1}}}.s-{0}{{stroke:{1};fill:none}}", c.name, value(c));
    }
    css
}

/// For a file that stands alone: light colours, written out, because not every viewer knows CSS variables.
pub(super) fn for_file() -> String {
    rules(|c| c.light.to_owned())
}

/// For the page: variables, light or dark as the reader's system says or as the reader chooses.
pub(super) fn for_page() -> String {
    let variables = |of: fn(&Colour) -> &str| -> String {
        COLOURS.iter().map(|c| format!("--{}:{};", c.name, of(c))).collect()
    };
    let (light, dark) = (variables(|c| c.light), variables(|c| c.dark));
    format!(
        ":root{{color-scheme:light;{light}}}\
         @media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}{}",
        rules(|c| format!("var(--{})", c.name))
    )
}
