//! Whole networks against PyTorch: `fixtures/engine.py` made the numbers.

use crate::golden::{Golden, norm, relative};
use alike::distance::Distance;
use alike::engine::{Engine, Plan, Rewrites};
use alike::images::Images;
use alike::loss::{TripletMargin, mean_triplet_loss};
use alike::model::Network;
use alike_kernels::Tier;
use safetensors::SafeTensors;

fn parameters(golden: &Golden, network: &Network) -> Vec<f32> {
    network.parameters().flat_map(|p| golden.floats(&p.name)).collect()
}

/// All, none, each alone, and all but each.
fn rewrites() -> Vec<Rewrites> {
    let mut list = vec![Rewrites::ALL, Rewrites::NONE];
    for (base, on) in [(Rewrites::NONE, true), (Rewrites::ALL, false)] {
        list.push(Rewrites { norm_relu: on, ..base });
        list.push(Rewrites { conv_pool: on, ..base });
        list.push(Rewrites { conv_gap: on, ..base });
        list.push(Rewrites { fold_norm: on, ..base });
        list.push(Rewrites { renorm: on, ..base });
        list.push(Rewrites { winograd: on, ..base });
    }
    list
}

#[track_caller]
fn check(name: &str) {
    let golden = Golden::read(&format!("engine_{name}"));
    let input: alike::images::Shape = golden.note("input").parse().unwrap();
    let network = Network::new(golden.note("spec").parse().unwrap(), input).unwrap();
    let parameters = parameters(&golden, &network);
    let tensors = SafeTensors::deserialize(&golden.bytes).unwrap();
    let images = Images::new(input, tensors.tensor("images").unwrap().data().to_vec());
    let distance: Distance = serde_json::from_value(golden.note("distance").into()).unwrap();
    let margin = golden.note("margin").parse().unwrap();
    let d = network.embedding();
    let plans = rewrites().into_iter().flat_map(|r| Tier::available().into_iter().map(move |t| (r, t)));
    for (rewrites, tier) in plans {
        let mut engine = Engine::with_plan(Plan::with(&network, rewrites), tier);
        let name = format!("{name} with {rewrites:?}");
        let indices: Vec<usize> = (0..images.len()).collect();
        let embeddings = engine.forward(&parameters, &images, &indices).unwrap().to_vec();
        let error = relative(&embeddings, &golden.floats("embeddings"), 0.0);
        assert!(error < 1e-5, "{name}, {tier:?}: embeddings are off by {error:.1e}");
        assert_eq!(
            engine.embed(&parameters, &images).unwrap().data(),
            embeddings,
            "{tier:?}: both ways embed alike"
        );

        let mut embedding_gradients = vec![0.0; embeddings.len()];
        let report = mean_triplet_loss(
            &TripletMargin { margin, ..TripletMargin::default() },
            distance,
            &embeddings,
            d,
            &mut embedding_gradients,
        );
        let expected: f64 = golden.note("loss").parse().unwrap();
        assert!(
            expected > 0.0 && (report.loss - expected).abs() < 1e-5 * expected,
            "{name}: loss {}",
            report.loss
        );
        let mut gradient = vec![f32::NAN; network.parameter_count()];
        engine.backward(&images, &embedding_gradients, &mut gradient).unwrap();
        // A shift of all embeddings changes no distance, so the last bias has no gradient but rounding: what is truly
        // zero is measured against the gradient as a whole.
        let floor = 1e-3 * norm(&gradient);
        for p in network.parameters() {
            let expected = golden.floats(&format!("gradient.{}", p.name));
            let error = relative(&gradient[p.range()], &expected, floor);
            assert!(error < 1e-4, "{name}, {tier:?}: the gradient of {} is off by {error:.1e}", p.name);
        }
    }
}

#[test]
fn the_seeds_network_agrees_with_pytorch() {
    check("seed");
}

#[test]
fn odd_kernels_pads_groups_and_a_normalised_embedding_agree_with_pytorch() {
    check("odd");
}

#[test]
fn residual_units_within_residual_units_and_linear_layers_agree_with_pytorch() {
    check("residual");
}

#[test]
fn strides_wide_pads_and_two_channels_agree_with_pytorch() {
    check("strided");
}

#[test]
fn the_largest_of_each_channel_agrees_with_pytorch() {
    check("largest");
}

#[test]
fn convolutions_with_fewer_multiplications_agree_with_pytorch_both_ways() {
    check("wide");
}

#[test]
fn colour_images_and_more_maps_than_vectors_agree_with_pytorch() {
    check("colour");
}

#[test]
fn embeddings_and_gradients_are_the_same_bits_at_any_number_of_threads_and_in_any_memory() {
    let golden = Golden::read("engine_seed");
    let input = golden.note("input").parse().unwrap();
    let network = Network::new(golden.note("spec").parse().unwrap(), input).unwrap();
    let parameters = parameters(&golden, &network);
    let tensors = SafeTensors::deserialize(&golden.bytes).unwrap();
    let images = Images::new(input, tensors.tensor("images").unwrap().data().to_vec());
    let run = |threads: usize, memory: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let mut engine = Engine::new(&network).unwrap();
            engine.set_activation_memory(memory);
            let indices: Vec<usize> = (0..50).map(|i| i * 5 % 12).collect();
            let embeddings = engine.forward(&parameters, &images, &indices).unwrap().to_vec();
            let mut gradient = vec![0.0; parameters.len()];
            engine.backward(&images, &embeddings, &mut gradient).unwrap();
            let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            (bits(&embeddings), bits(&gradient))
        })
    };
    let one = run(1, usize::MAX);
    for threads in [1, 2, 3, 8] {
        assert!(run(threads, usize::MAX) == one, "{threads} threads");
        assert!(run(threads, 0) == one, "{threads} threads, activations computed twice");
    }
}

#[test]
fn an_empty_batch_has_no_gradient() {
    let network = Network::new("norm conv(4) gap".parse().unwrap(), "5x5x1".parse().unwrap()).unwrap();
    let images = Images::new(network.input(), vec![1; 25]);
    let parameters = alike::model::initial(&network, 0);
    let mut engine = Engine::new(&network).unwrap();
    assert!(engine.forward(&parameters, &images, &[]).unwrap().is_empty());
    let mut gradient = vec![1.0; parameters.len()];
    engine.backward(&images, &[], &mut gradient).unwrap();
    assert!(gradient.iter().all(|g| *g == 0.0));
}

/// Memory is taken when an engine meets a larger batch, and never again: what a step asks for does not grow with its
/// images.
#[test]
fn no_image_allocates() {
    let golden = Golden::read("engine_residual");
    let input = golden.note("input").parse().unwrap();
    for spec in [golden.note("spec"), alike::model::SEED_SPEC.to_owned()] {
        let input = if spec == alike::model::SEED_SPEC { "28x28x1".parse().unwrap() } else { input };
        let network = Network::new(spec.parse().unwrap(), input).unwrap();
        let parameters = alike::model::initial(&network, 0);
        let images = Images::new(input, (0..64 * input.len()).map(|i| (i % 251) as u8).collect());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        for memory in [usize::MAX, 0] {
            pool.install(|| {
                let mut engine = Engine::new(&network).unwrap();
                engine.set_activation_memory(memory);
                let mut gradient = vec![0.0; parameters.len()];
                let mut step = |n: usize| {
                    let indices: Vec<usize> = (0..n).collect();
                    let mut count = 0;
                    let mut embedding_gradients = Vec::new();
                    count += allocation_counter::measure(|| {
                        embedding_gradients
                            .extend_from_slice(engine.forward(&parameters, &images, &indices).unwrap());
                    })
                    .count_total;
                    count += allocation_counter::measure(|| {
                        engine.backward(&images, &embedding_gradients, &mut gradient).unwrap();
                    })
                    .count_total;
                    count
                };
                step(64);
                // A few for the whole step: what the loss's caller and the unpacking take.
                let (few, many) = (step(16), step(64));
                assert_eq!(few, many, "{spec}, budget {memory}");
            });
        }
    }
}

/// What comes in odd numbers comes out as numbers, and what is not a number does not hide.
#[test]
fn single_images_denormals_and_nans_are_taken_as_they_come() {
    let golden = Golden::read("engine_seed");
    let network = Network::new(golden.note("spec").parse().unwrap(), "28x28x1".parse().unwrap()).unwrap();
    let parameters = parameters(&golden, &network);
    let tensors = SafeTensors::deserialize(&golden.bytes).unwrap();
    let images = Images::new(network.input(), tensors.tensor("images").unwrap().data().to_vec());
    for tier in Tier::available() {
        let mut engine = Engine::with_tier(&network, tier);
        let d = network.embedding();
        let many = engine.forward(&parameters, &images, &[3, 5]).unwrap().to_vec();
        let one = engine.forward(&parameters, &images, &[5]).unwrap().to_vec();
        assert_eq!(one, many[d..], "{tier:?}: an image alone is embedded as among others");

        let tiny: Vec<f32> = parameters.iter().map(|p| p * 1e-40).collect();
        let embedding = engine.forward(&tiny, &images, &[0]).unwrap().to_vec();
        let mut gradient = vec![f32::NAN; tiny.len()];
        engine.backward(&images, &embedding, &mut gradient).unwrap();
        assert!(embedding.iter().chain(&gradient).all(|v| v.is_finite()), "{tier:?}, denormal weights");

        let mut broken = parameters.clone();
        broken[2] = f32::NAN;
        assert!(
            engine.forward(&broken, &images, &[0]).unwrap().iter().any(|v| v.is_nan()),
            "{tier:?}: a NaN was lost"
        );
    }
}

/// An image of one colour has no variance; its normalisation divides by the epsilon alone.
#[test]
fn blank_images_are_embedded() {
    let network = Network::new(
        "norm relu conv(8) maxpool(2) norm relu conv(4) gap".parse().unwrap(),
        "7x9x1".parse().unwrap(),
    )
    .unwrap();
    let parameters = alike::model::initial(&network, 0);
    let images = Images::new(network.input(), [0, 255].into_iter().flat_map(|v| vec![v; 63]).collect());
    let mut engine = Engine::new(&network).unwrap();
    let embeddings = engine.forward(&parameters, &images, &[0, 1]).unwrap().to_vec();
    let mut gradient = vec![f32::NAN; parameters.len()];
    engine.backward(&images, &embeddings, &mut gradient).unwrap();
    assert!(embeddings.iter().chain(&gradient).all(|v| v.is_finite()));
}
