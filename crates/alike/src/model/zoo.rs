//! Networks by name, each a text that fits the images' size.

use super::SEED_SPEC;
use crate::images::Shape;

/// Names of networks, and what each is for.
pub const NETWORKS: [(&str, &str); 11] = [
    ("seed", "the project's first page: three convolutions of 32 channels"),
    ("plain", "five convolutions, two pools, 128 numbers: small grey images, many of them"),
    (
        "conv4",
        "the few-shot papers' four blocks of 64 channels (Vinyals et al. 2016), with group normalisation",
    ),
    ("residual-small", "a residual unit a scale, from 32 channels on: 32 to 128 pixels, few images"),
    (
        "aligned",
        "the same, but it knows where in the picture things are: faces and parts that always lie alike",
    ),
    ("residual", "as residual-small, from 64 channels on: thousands of images"),
    (
        "resnet9",
        "two convolutions at full size, residual units at a half and an eighth: thousands of small photos (Page 2018)",
    ),
    ("residual-large", "two units a scale, wider: many images, and time"),
    (
        "shallow",
        "one convolution, pooled to a coarse grid, and a linear layer: for --start whitened, where images always lie alike",
    ),
    ("head", "a linear layer over ready-made features"),
    ("deep-head", "two layers over ready-made features"),
];

/// The specification of the network called `name` for images of a shape; nothing if there is no such name.
pub fn named_network(name: &str, shape: Shape) -> Option<String> {
    Some(match name {
        "seed" => SEED_SPEC.replace('\n', " "),
        "plain" => "norm relu conv(32) maxpool(2) norm(4) relu conv(64) norm(8) relu conv(64) maxpool(2) norm(8) relu \
                    conv(128) norm(8) relu conv(128) gap l2"
            .to_owned(),
        "conv4" => conv4(shape),
        "residual-small" => residual(shape, &[32, 48, 64, 96], 1, 64),
        "aligned" => {
            let text = residual(shape, &[32, 48, 64, 96], 1, 64);
            text.replace(" conv(64) gap l2", " avgpool(2) linear(128) l2")
        }
        "residual" => residual(shape, &[64, 96, 128, 192], 1, 128),
        "resnet9" => resnet9(shape),
        "residual-large" => residual(shape, &[64, 128, 192, 256], 2, 128),
        "shallow" => shallow(shape),
        "head" => "norm linear(64) l2".to_owned(),
        "deep-head" => "norm linear(256) relu linear(64) l2".to_owned(),
        _ => return None,
    })
}

/// Pools that leave about four to seven pixels along the shorter side.
fn pools(shape: Shape) -> usize {
    let side = shape.h.min(shape.w);
    (0..4).take_while(|p| side >> (p + 1) >= 4).count()
}

fn conv4(shape: Shape) -> String {
    let fitting = {
        let side = shape.h.min(shape.w);
        (0..4).take_while(|p| side >> (p + 1) >= 1).count()
    };
    let block = |pool: bool| format!("conv(64) norm(8) relu {}", if pool { "maxpool(2) " } else { "" });
    let blocks: String = (0..4).map(|i| block(i < fitting)).collect();
    format!("{blocks}gap l2")
}

/// A first convolution that is pooled at once, for full size costs most and sees least; then units at every scale, then the
/// embedding. Large images are halved by the first convolution too.
fn residual(shape: Shape, widths: &[usize], units: usize, embedding: usize) -> String {
    let norm = |channels: usize| format!("norm({}) relu", channels / 8);
    let width = |scale: usize| widths[scale.min(widths.len() - 1)];
    let large = shape.h.min(shape.w) >= 96;
    let first = if large { format!("{}, kernel=5, stride=2", width(0)) } else { width(0).to_string() };
    let scales = pools(shape).saturating_sub(usize::from(large)).max(1);
    let mut text = format!("norm conv({first}) maxpool(2)");
    for scale in 0..scales {
        if scale > 0 {
            text.push_str(&format!(" {} conv({}) maxpool(2)", norm(width(scale - 1)), width(scale)));
        }
        let half = format!("{} conv({})", norm(width(scale)), width(scale));
        (0..units).for_each(|_| text.push_str(&format!(" residual({half} {half})")));
    }
    format!("{text} {} conv({embedding}) gap l2", norm(width(scales - 1)))
}

/// Page's network for CIFAR-10 (2018, <https://myrtle.ai/learn/how-to-train-your-resnet/>), narrower. Groups are normalised after a pool,
/// where there is a quarter of the pixels. It ends at an eighth of the size, with the largest of each channel.
fn resnet9(shape: Shape) -> String {
    let norm = |channels: usize| format!("norm({}) relu", channels / 8);
    let unit = |channels: usize| {
        let half = format!("conv({channels}) {}", norm(channels));
        format!("residual({half} {half})")
    };
    let mut fits = pools(Shape { h: shape.h * 2, w: shape.w * 2, ..shape });
    let mut halved = |channels: usize| {
        let pool = if fits > 0 { " maxpool(2)" } else { "" };
        fits = fits.saturating_sub(1);
        format!("conv({channels}){pool} {}", norm(channels))
    };
    let (second, third, fourth) = (halved(48), halved(96), halved(192));
    format!("norm conv(24) {} {second} {} {third} {fourth} {} gmp l2", norm(24), unit(48), unit(192))
}

/// A convolution over at most 64 pixels along the shorter side, averaged over about 4 x 4 fields, all of which the last layer
/// sees: as many numbers as can be whitened, at most. Of features, that layer alone.
fn shallow(shape: Shape) -> String {
    const NUMBERS: usize = 2048;
    if shape.h * shape.w == 1 {
        return format!("linear({}) l2", shape.c);
    }
    let stride = shape.h.min(shape.w).div_ceil(64).max(1);
    let (h, w) = (shape.h.div_ceil(stride), shape.w.div_ceil(stride));
    let pool = (h.min(w) / 4).clamp(1, 16);
    let pixels = (h / pool).max(1) * (w / pool).max(1);
    let out_channels = (NUMBERS / pixels).clamp(1, 64);
    let strided = if stride > 1 { format!(", stride={stride}") } else { String::new() };
    let pooled = if pool > 1 { format!(" avgpool({pool})") } else { String::new() };
    format!("norm conv({out_channels}, kernel=5{strided}) relu{pooled} linear({}) l2", out_channels * pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Network;

    #[test]
    fn every_network_fits_every_size_that_it_is_for() {
        for (name, _) in NETWORKS.iter().filter(|n| !n.0.ends_with("head")) {
            for side in [28, 32, 35, 46, 56, 64, 65, 96, 105, 128, 224] {
                for c in [1, 3] {
                    let shape = Shape { h: side, w: side, c };
                    let spec = named_network(name, shape).unwrap();
                    let network = Network::new(spec.parse().unwrap(), shape);
                    assert!(network.is_ok(), "{name} for {shape}: {spec}: {network:?}");
                }
            }
        }
        for side in 8..28 {
            let shape = Shape { h: side, w: side, c: 3 };
            for name in ["plain", "conv4", "residual-small", "aligned", "shallow"] {
                let spec = named_network(name, shape).unwrap();
                assert!(Network::new(spec.parse().unwrap(), shape).is_ok(), "{name} for {shape}: {spec}");
            }
        }
        assert_eq!(named_network("resnet", Shape { h: 28, w: 28, c: 1 }), None);
    }
}
