//! Codes of 8 bits and queries in them.

use super::*;
use crate::{CODE_ROWS, CODE_RUN, Tier, code_at};

/// Numbers around a slice that must neither matter nor change.
const AROUND: usize = 64;

/// A slice within a longer one, filled with `around` beside it.
fn within<T: Copy>(inner: &[T], around: T) -> Vec<T> {
    let frame = [around; AROUND];
    [&frame[..], inner, &frame[..]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn products_of_any_codes(
        runs in size(0..12), odd in 0usize..40, groups in 0usize..4, m in 0usize..6, lacks in [short(), short(), short()],
    ) {
        let width = if odd == 0 { runs.saturating_add(1) } else { runs.saturating_mul(CODE_RUN) };
        let most = LONGEST / 4;
        let of = |n: usize, lacks: usize| n.min(most).saturating_sub(lacks);
        let codes: Vec<u8> = (0..of(width.saturating_mul(groups * CODE_ROWS), lacks[0])).map(|i| (i * 37 + i / 7) as u8).collect();
        let queries: Vec<i8> = (0..of(width.saturating_mul(m), lacks[1])).map(|i| (i * 91 + i / 5) as i8).collect();
        let out = vec![7; of(groups * CODE_ROWS * m, lacks[2])];
        for tier in Tier::available() {
            // On slices of exactly the length, and inside longer ones.
            let (mut exact, mut outer) = (out.clone(), within(&out, 7));
            let (x, q) = (within(&codes, 255), within(&queries, -128));
            let inside = AROUND..AROUND + out.len();
            let accepted = refused("code_dots", || tier.code_dots(&codes, width, &queries, &mut exact)).is_some();
            let again = refused("code_dots", || {
                let (x, q) = (&x[AROUND..][..codes.len()], &q[AROUND..][..queries.len()]);
                tier.code_dots(x, width, q, &mut outer[inside.clone()]);
            });
            prop_assert_eq!(accepted, again.is_some());
            prop_assert_eq!(&outer, &within(&exact, 7), "what lies around the result");
            if !accepted {
                prop_assert_eq!(&exact, &out, "a call that was refused had written");
                continue;
            }
            let rows = codes.len() / width;
            for (at, value) in exact.iter().enumerate() {
                let (query, row) = (&queries[at / rows * width..][..width], at % rows);
                let dot = |(i, q): (usize, &i8)| i32::from(codes[code_at(width, row, i)]) * i32::from(*q);
                prop_assert_eq!(*value, query.iter().enumerate().map(dot).sum::<i32>(), "{:?}", tier);
            }
        }
    }
}
