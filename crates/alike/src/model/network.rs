//! A specification fitted to an input: every shape known, every parameter placed.

use super::layer::{Fitting, Taken, values};
use super::{Layer, Spec};
use crate::images::Shape;

/// What a parameter does, which decides how it is initialised and whether weight decay applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// A convolution's weights, `out channels x channels x kernel x kernel`.
    Weight,
    /// A convolution's bias.
    Bias,
    /// A normalisation's scale.
    Scale,
    /// A normalisation's shift.
    Shift,
}

/// One parameter tensor, as PyTorch would shape it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterInfo {
    /// `layers.N.weight` or `layers.N.bias`, where `N` counts the specification's layers from 0.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Where its values begin in the flat list of all parameters.
    pub offset: usize,
    /// What it does.
    pub kind: ParameterKind,
    /// Inputs that each output of its layer sums over.
    pub fan_in: usize,
}

impl ParameterInfo {
    /// How many values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where its values lie in the flat list of all parameters.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// One layer with its shapes and cost.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerInfo {
    /// What it is.
    pub layer: Layer,
    /// What it reads.
    pub input: Shape,
    /// What it writes.
    pub output: Shape,
    /// Its parameters: weight then bias, or none.
    pub parameters: Vec<ParameterInfo>,
    /// Floating-point operations for one image, forward, a multiplication and an addition counting two.
    pub flop: u64,
}

/// A network for images of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    spec: Spec,
    input: Shape,
    layers: Vec<LayerInfo>,
    parameters: usize,
}

/// A specification does not fit the images.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {number} of the network, {layer}, cannot take an input of {input}: {why}")]
pub struct NetworkError {
    /// Counted from 1.
    pub number: usize,
    /// The layer as the specification prints it.
    pub layer: String,
    /// The shape that arrives.
    pub input: Shape,
    /// Why it does not fit, and what to do.
    pub why: String,
}

impl Network {
    /// Fits `spec` to images of shape `input`.
    ///
    /// # Errors
    ///
    /// If it does not fit, or takes more memory than [`Limit::Model`](crate::limits::Limit::Model): a value of four bytes for every parameter, and for all that
    /// comes out of a layer.
    pub fn new(spec: Spec, input: Shape) -> Result<Network, NetworkError> {
        let refused =
            |why: &str| NetworkError { number: 1, layer: spec.to_string(), input, why: why.to_owned() };
        let last = spec.layers.len().checked_sub(1).ok_or_else(|| refused("it has no layers"))?;
        if input.is_empty() {
            return Err(refused("these images have no pixels"));
        }
        let mut layers: Vec<LayerInfo> = Vec::new();
        let mut open_units = Vec::new();
        let mut taken = Taken { values: values(input), parameters: 0 };
        let mut shape = input;
        for (i, &layer) in spec.layers.iter().enumerate() {
            let fitted = Fitting::new((i, i == last), shape, &mut open_units, &mut taken).layer(layer);
            let info = fitted.map_err(|why| NetworkError {
                number: i + 1,
                layer: layer.title(),
                input: shape,
                why,
            })?;
            shape = info.output;
            layers.push(info);
        }
        if !open_units.is_empty() {
            return Err(refused("a residual unit has no end"));
        }
        if shape.h * shape.w != 1 {
            let why =
                format!("the embedding would be {shape} rather than one pixel; end the network with gap");
            let layer = spec.layers[last].to_string();
            return Err(NetworkError { number: last + 1, layer, input: layers[last].input, why });
        }
        Ok(Network { spec, input, layers, parameters: taken.parameters })
    }

    /// The specification.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The images' shape.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Layers in order, with shapes and cost.
    pub fn layers(&self) -> &[LayerInfo] {
        &self.layers
    }

    /// Floats of an embedding.
    pub fn embedding(&self) -> usize {
        self.layers.last().map_or(0, |l| l.output.c)
    }

    /// How many learned values.
    pub fn parameter_count(&self) -> usize {
        self.parameters
    }

    /// Every parameter tensor, in the order of the flat list.
    pub fn parameters(&self) -> impl Iterator<Item = &ParameterInfo> {
        self.layers.iter().flat_map(|l| &l.parameters)
    }

    /// Floating-point operations of one image, forward.
    pub fn flop(&self) -> u64 {
        self.layers.iter().map(|l| l.flop).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SEED_SPEC;

    fn fit(spec: &str, input: &str) -> Result<Network, NetworkError> {
        Network::new(spec.parse().unwrap(), input.parse().unwrap())
    }

    #[test]
    fn the_seeds_network_has_18946_parameters_and_32_numbers_an_image() {
        let network = fit(SEED_SPEC, "28x28x1").unwrap();
        assert_eq!((network.parameter_count(), network.embedding()), (18_946, 32));
        let sizes: Vec<String> = network.layers().iter().map(|l| l.output.to_string()).collect();
        assert_eq!(sizes[3], "13x13x32");
        assert_eq!(sizes[7], "6x6x32");
    }

    #[test]
    fn a_misfit_names_the_layer_and_what_arrives() {
        let message = |spec, input| fit(spec, input).unwrap_err().to_string();
        assert!(message("norm(3) conv(8) gap", "9x9x1").contains("3 groups do not divide 1 channels"));
        assert!(message("conv(8) maxpool(9) gap", "8x9x1").contains("layer 2"));
        assert!(message("conv(8)", "8x9x1").contains("8x9x8 rather than one pixel"));
        assert!(message("gap l2 norm", "8x9x1").contains("last layer"));
        assert!(message("conv(8, kernel=5, pad=0) gap", "4x9x1").contains("smaller than the kernel"));
    }

    #[test]
    fn a_network_built_by_hand_is_checked_as_one_that_was_read() {
        let shape = |text: &str| text.parse::<Shape>().unwrap();
        let conv = |out_channels, kernel, stride| Layer::Conv { out_channels, kernel, pad: 0, stride };
        for layers in [
            vec![],
            vec![conv(0, 1, 1), Layer::Gap],
            vec![conv(4, 0, 1), Layer::Gap],
            vec![conv(4, 3, 0), Layer::Gap],
            vec![Layer::Norm { groups: 0, eps: 1e-5 }, Layer::Gap],
            vec![Layer::Norm { groups: 1, eps: f32::NAN }, Layer::Gap],
            vec![Layer::MaxPool { size: 0, stride: 1 }, Layer::Gap],
            vec![Layer::AvgPool { size: 2, stride: 0 }, Layer::Gap],
            vec![Layer::Linear { width: 0 }],
            vec![Layer::Fork, Layer::Gap],
            vec![Layer::Add, Layer::Gap],
        ] {
            let error = Network::new(Spec { layers: layers.clone() }, shape("8x8x1"));
            assert!(error.is_err(), "{layers:?}");
        }
        for wide in [0, 4097] {
            let spec = "conv(8) gap".parse::<Spec>().unwrap().with_embedding(wide);
            let error = Network::new(spec, shape("8x8x1")).unwrap_err().to_string();
            assert!(error.contains("from 1 to 4096"), "{error}");
        }
        let spec: Spec = SEED_SPEC.parse().unwrap();
        assert!(Network::new(spec.clone(), Shape { h: 0, w: 28, c: 1 }).is_err());
        assert!(Network::new(spec, shape("28x28x1")).is_ok());
    }

    #[test]
    fn a_network_that_takes_too_much_memory_is_refused_before_it_takes_any() {
        let message = |spec: &str, input| fit(spec, input).unwrap_err().to_string();
        // 7e16 bytes of weights.
        let vast = message("linear(4096) l2", "16384x16384x16384");
        assert!(vast.contains("--limit model="), "{vast}");
        // No layer of these is large, but each is larger than the last.
        let growing = message(&"conv(64, kernel=1, pad=64) ".repeat(5000), "28x28x1");
        assert!(growing.contains("--limit model=") && growing.contains("layer "), "{growing}");
        assert!(message(&"conv(4096, kernel=15) ".repeat(9), "16x16x4096").contains("--limit model="));
        let spec = "conv(8) gap linear(8)".parse::<Spec>().unwrap().with_embedding(usize::MAX);
        let wide = Network::new(spec, "9x9x1".parse().unwrap()).unwrap_err().to_string();
        assert!(wide.contains("--limit model="), "{wide}");
        // What the field uses is far from it.
        for side in [224, 512] {
            let shape = Shape { h: side, w: side, c: 3 };
            let spec = crate::model::named_network("residual-large", shape).unwrap();
            assert!(Network::new(spec.parse().unwrap(), shape).is_ok());
        }
    }
}
