//! The nearest right name for a wrong one.

/// `"; did you mean 'x'?"` for the option nearest to `wrong`, or nothing when none is near.
pub fn did_you_mean<'a>(wrong: &str, options: impl IntoIterator<Item = &'a str>) -> String {
    options
        .into_iter()
        .map(|option| (strsim::jaro_winkler(wrong, option), option))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, option)| format!("; did you mean '{option}'?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        assert_eq!(did_you_mean("covn", ["conv", "norm"]), "; did you mean 'conv'?");
        assert_eq!(did_you_mean("zzz", ["conv", "norm"]), "");
    }
}
