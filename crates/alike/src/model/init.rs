//! Initial weights as PyTorch 2 gives them.

use super::{Network, ParameterKind};
use crate::rng::{Purpose, RngExt, stream};

/// Initial values for every parameter, in the order of the network's flat list.
///
/// Convolutions draw weights and biases from `U(-1/sqrt(fan_in), 1/sqrt(fan_in))`: `kaiming_uniform_(a=sqrt(5))` of
/// `torch.nn.Conv2d.reset_parameters`. Normalisations begin as the identity.
pub fn initial(network: &Network, seed: u64) -> Vec<f32> {
    let mut values = vec![0.0; network.parameter_count()];
    for (number, p) in network.parameters().enumerate() {
        let values = &mut values[p.range()];
        match p.kind {
            ParameterKind::Scale => values.fill(1.0),
            ParameterKind::Shift => values.fill(0.0),
            ParameterKind::Weight | ParameterKind::Bias => {
                let bound = 1.0 / (p.fan_in as f32).sqrt();
                let mut rng = stream(seed, Purpose::Weights, number as u64, 0);
                values.iter_mut().for_each(|v| *v = rng.random_range(-bound..bound));
            }
        }
    }
    values
}
