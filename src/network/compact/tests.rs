//! Tests of units without effect, by hand.

use super::super::build;
use super::*;
use crate::config::{LayerSpec, NetworkConfig};

fn linear(out: u32) -> LayerSpec {
    LayerSpec::Linear { out }
}

fn network(layers: Vec<LayerSpec>) -> Network {
    build(&NetworkConfig::from(layers), [1, 1, 2], 2).unwrap()
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
    NamedTensor { name: name.into(), shape: shape.to_vec(), values: values.to_vec() }
}

/// Returns the mask that prunes the weights that are 0.
fn mask(network: &Network, tensors: &TensorMap) -> Mask {
    let layer = |name: &str| {
        let NamedTensor { name, shape, values } = tensors.get(name).unwrap().clone();
        LayerMask { name, shape, kept: values.iter().map(|value| *value != 0.0).collect() }
    };
    Mask(network.weights().iter().map(|weight| layer(&weight.parameter.name)).collect())
}

#[test]
fn units_that_nothing_reads_or_that_are_constant_are_removed() {
    let network = network(vec![linear(4), LayerSpec::Relu, linear(2)]);
    // Unit 0 is not read, unit 1 has no input and is 0 after the ReLU, unit 2 has no input and is 3, unit 3 is used.
    let tensors = TensorMap(vec![
        tensor("linear1.weight", &[4, 2], &[1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0]),
        tensor("linear1.bias", &[4], &[9.0, -1.0, 3.0, 0.5]),
        tensor("output.weight", &[2, 4], &[0.0, 7.0, 2.0, 0.0, 0.0, 0.0, 0.0, 6.0]),
        tensor("output.bias", &[2], &[0.25, 0.5]),
    ]);
    let small = compact(&network, &mask(&network, &tensors), &tensors);
    assert_eq!(small.units, [LayerUnits { layer: "linear1".into(), units: 4, removed: 3 }]);
    assert_eq!(dead_units(&network, &mask(&network, &tensors)), 3);
    let expected = TensorMap(vec![
        tensor("linear1.weight", &[1, 2], &[5.0, 0.0]),
        tensor("linear1.bias", &[1], &[0.5]),
        tensor("output.weight", &[2, 1], &[0.0, 6.0]),
        tensor("output.bias", &[2], &[6.25, 0.5]),
    ]);
    assert_eq!(small.tensors, expected);
    assert_eq!(small.mask, mask(&small.network, &expected));
}

#[test]
fn removed_units_leave_the_units_before_them_without_effect() {
    let network = network(vec![linear(2), LayerSpec::Relu, linear(2), LayerSpec::Relu, linear(2)]);
    // Unit 1 of the second layer is not read, and it alone reads unit 1 of the first.
    let tensors = TensorMap(vec![
        tensor("linear1.weight", &[2, 2], &[1.0, 1.0, 1.0, 1.0]),
        tensor("linear1.bias", &[2], &[0.0, 0.0]),
        tensor("linear2.weight", &[2, 2], &[1.0, 0.0, 0.0, 1.0]),
        tensor("linear2.bias", &[2], &[0.0, 0.0]),
        tensor("output.weight", &[2, 2], &[1.0, 0.0, 1.0, 0.0]),
        tensor("output.bias", &[2], &[0.0, 0.0]),
    ]);
    let small = compact(&network, &mask(&network, &tensors), &tensors);
    let removed: Vec<usize> = small.units.iter().map(|units| units.removed).collect();
    assert_eq!(removed, [1, 1]);
}

#[test]
fn channels_that_are_constant_before_a_padded_convolution_stay() {
    let conv = |padding| LayerSpec::Conv { out: 2, kernel: Some(1), stride: None, padding: Some(padding), bias: None };
    let removed = |padding: u32, bias: f32| {
        let network = network(vec![conv(0), LayerSpec::Relu, conv(padding), LayerSpec::Relu, linear(2)]);
        let tensors: Vec<NamedTensor> = network
            .parameters()
            .iter()
            .map(|spec| NamedTensor {
                name: spec.name.clone(),
                shape: spec.shape.clone(),
                values: vec![1.0; spec.len()],
            })
            .collect();
        let mut tensors = TensorMap(tensors);
        // Channel 1 of the first convolution has no input.
        tensors.0[0].values[1] = 0.0;
        tensors.0[1].values[1] = bias;
        let small = compact(&network, &mask(&network, &tensors), &tensors);
        small.units[0].removed
    };
    assert_eq!((removed(0, 3.0), removed(1, 3.0), removed(1, -3.0)), (1, 0, 1), "padding would not have its value");
}

#[test]
fn one_unit_of_a_layer_always_stays() {
    let network = network(vec![linear(2), LayerSpec::Relu, linear(2)]);
    let zeros = |name: &str, shape: &[usize]| tensor(name, shape, &vec![0.0; shape.iter().product()]);
    let tensors = TensorMap(vec![
        zeros("linear1.weight", &[2, 2]),
        zeros("linear1.bias", &[2]),
        zeros("output.weight", &[2, 2]),
        zeros("output.bias", &[2]),
    ]);
    assert_eq!(compact(&network, &mask(&network, &tensors), &tensors).network.weights()[0].parameter.shape, [1, 2]);
}
