//! Arguments that nobody should give: whatever they are, a call is refused with its own message, or does what the plain
//! loops do, and touches no float outside its slices.
//!
//! Everything here runs on every tier. Each call is made twice: on vectors of exactly the length, at whose ends the address
//! sanitizer stands guard, and inside longer ones, whose surroundings must neither be changed nor matter.

mod codes;
mod images;
mod named;
mod products;

use proptest::prelude::*;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is one that is waited for, of which there are too many to print.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// What a call returns, or the message of its panic.
fn attempt<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if !EXPECTED.get() {
                print(panic);
            }
        }));
    });
    EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    EXPECTED.set(false);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// What a call returns, or none if it was refused: by a message that begins with one of these names, between bars. An
/// overflow, or an index out of range, would be a check that was forgotten.
#[track_caller]
fn refused<R>(names: &str, call: impl FnOnce() -> R) -> Option<R> {
    let result = attempt(call);
    if let Err(text) = &result {
        let documented = names.split('|').any(|name| text.contains(&format!("{name}: ")));
        assert!(documented, "{names} panicked otherwise: {text}");
    }
    result.ok()
}

/// Floats around a slice. No sum that has one in it is a number.
const FRAME: usize = 64;

fn framed(inner: &[f32]) -> Vec<f32> {
    let mut outer = vec![f32::NAN; inner.len() + 2 * FRAME];
    outer[FRAME..][..inner.len()].copy_from_slice(inner);
    outer
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|v| v.to_bits()).collect()
}

/// The output of a call that begins as `output`, or none if the call was refused; then nothing has been written.
#[track_caller]
fn judged(
    name: &str,
    inputs: &[&[f32]],
    output: &[f32],
    call: impl Fn(&[&[f32]], &mut [f32]),
) -> Option<Vec<f32>> {
    let owned: Vec<Vec<f32>> = inputs.iter().map(|input| input.to_vec()).collect();
    let slices: Vec<&[f32]> = owned.iter().map(Vec::as_slice).collect();
    let mut exact = output.to_vec();
    let accepted = refused(name, || call(&slices, &mut exact)).is_some();

    let wide: Vec<Vec<f32>> = inputs.iter().map(|input| framed(input)).collect();
    let slices: Vec<&[f32]> = wide.iter().zip(inputs).map(|(wide, x)| &wide[FRAME..][..x.len()]).collect();
    let mut outer = framed(output);
    let again = refused(name, || call(&slices, &mut outer[FRAME..][..output.len()])).is_some();
    assert_eq!(accepted, again, "{name}: the same arguments");
    if !accepted {
        assert_eq!(bits(&exact), bits(output), "{name}: a call that was refused had written");
    }
    // Floats around it are as they were, and did not matter.
    assert_eq!(bits(&outer), bits(&framed(&exact)), "{name}: what lies around the output");
    accepted.then_some(exact)
}

/// Small whole numbers: every order of summation gives the same floats.
fn whole(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7 + seed * 3 + i * i) % 9) as f32 - 4.0).collect()
}

/// The most floats that a buffer has here. What needs more has to be refused.
const LONGEST: usize = 1 << 14;

/// A buffer that holds what is needed, or lacks some floats.
fn buffer(needed: usize, short: usize, seed: usize) -> Vec<f32> {
    whole(needed.min(LONGEST).saturating_sub(short), seed)
}

/// Mostly a number of these, at times one whose products and sums overflow.
fn size(ordinary: std::ops::Range<usize>) -> impl Strategy<Value = usize> + Clone {
    let large: Vec<usize> = [1, 2, 3, 4, 8, 16, 144, 256, 1 << 32]
        .into_iter()
        .flat_map(|part| {
            let most = usize::MAX / part;
            [most, most.saturating_add(1), most / 2]
        })
        .collect();
    prop_oneof![30 => ordinary, 1 => prop::sample::select(large)]
}

/// How many floats a buffer lacks.
fn short() -> impl Strategy<Value = usize> + Clone {
    prop_oneof![12 => Just(0usize), 1 => 1usize..4, 1 => 16usize..17]
}

/// Whether so many steps are few enough to wait for: strides of zero make large matrices of short buffers.
fn quick(rows: usize, columns: usize) -> bool {
    rows.saturating_mul(columns.max(1)) <= 1 << 16
}
