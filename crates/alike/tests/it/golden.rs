//! Numbers that a script under `fixtures/` made with a reference implementation.

use safetensors::SafeTensors;

pub(crate) struct Golden {
    pub(crate) bytes: Vec<u8>,
}

impl Golden {
    pub(crate) fn read(name: &str) -> Golden {
        let path = format!("{}/../../fixtures/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        Golden { bytes: std::fs::read(path).unwrap() }
    }

    pub(crate) fn note(&self, name: &str) -> String {
        SafeTensors::read_metadata(&self.bytes).unwrap().1.metadata().as_ref().unwrap()[name].clone()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).is_ok()
    }

    fn words<T>(&self, name: &str, read: fn([u8; 4]) -> T) -> Vec<T> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        view.data().chunks_exact(4).map(|b| read(b.try_into().unwrap())).collect()
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        self.words(name, f32::from_le_bytes)
    }

    pub(crate) fn integers(&self, name: &str) -> Vec<u32> {
        self.words(name, u32::from_le_bytes)
    }
}

pub(crate) fn norm(v: &[f32]) -> f64 {
    v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// The norm of the difference over the norm of the golden, or over `floor` where that is larger.
pub(crate) fn relative(ours: &[f32], golden: &[f32], floor: f64) -> f64 {
    assert_eq!(ours.len(), golden.len());
    let difference: Vec<f32> = ours.iter().zip(golden).map(|(a, b)| a - b).collect();
    norm(&difference) / norm(golden).max(floor)
}
