//! Which instruction set the kernels use.

/// A set of vector instructions that the running machine has.
///
/// A value can only be had from detection, so holding one is the proof that its kernels may run.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tier(Level);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A tier was asked for that is unknown, or that this machine does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("ALIKE_SIMD is '{asked}', but this machine offers {offered}: set it to one of these or unset it")]
pub struct TierError {
    asked: String,
    offered: String,
}

impl Tier {
    /// The tier that every machine has.
    pub const PORTABLE: Tier = Tier(Level::Portable);

    /// Every tier of this machine, the fastest first. `portable` is always the last.
    pub fn available() -> Vec<Tier> {
        let mut tiers = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            // Each tier's kernels are compiled with all that is asked for here, and nothing else.
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                tiers.push(Tier(Level::Avx512));
            }
            if avx2 {
                tiers.push(Tier(Level::Avx2));
            }
        }
        tiers.push(Tier::PORTABLE);
        tiers
    }

    /// The fastest tier of this machine, or the one that the environment variable `ALIKE_SIMD` names.
    ///
    /// # Errors
    ///
    /// If the variable names none of this machine's.
    pub fn from_env() -> Result<Tier, TierError> {
        match std::env::var("ALIKE_SIMD") {
            Ok(name) if !name.is_empty() => Tier::named(&name),
            _ => Ok(Tier::available()[0]),
        }
    }

    /// The same for whoever cannot fail: the fastest where `ALIKE_SIMD` names no tier of this machine.
    pub fn found() -> Tier {
        Tier::from_env().unwrap_or_else(|_| Tier::available()[0])
    }

    /// The tier called `avx512`, `avx2` or `portable`.
    ///
    /// # Errors
    ///
    /// If this machine does not have it.
    pub fn named(name: &str) -> Result<Tier, TierError> {
        let tiers = Tier::available();
        tiers.iter().copied().find(|tier| tier.name() == name).ok_or_else(|| TierError {
            asked: name.to_owned(),
            offered: tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(", "),
        })
    }

    /// `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    pub(crate) fn level(self) -> Level {
        self.0
    }
}

impl std::fmt::Debug for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_the_portable_tier_and_lists_it_last() {
        assert_eq!(Tier::available().last().map(|tier| tier.name()), Some("portable"));
    }

    #[test]
    fn an_unknown_tier_is_refused_with_those_that_exist() {
        let message = Tier::named("sse9").unwrap_err().to_string();
        assert!(message.contains("sse9") && message.contains("portable"), "{message}");
    }
}
