//! The loader in the README, run by a real `PyTorch`: its logits are ours.
//!
//! `LTH_TEST_PYTHON`: a Python with the packages `torch`, `safetensors` and `numpy`; `python3` by default.

use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use lth::artifacts::Ticket;
use lth::config::{ConfigDocument, read};
use lth::engine::torch::DenseInference;
use lth::system::env;

use super::*;

/// Number of images whose logits are compared.
const IMAGES: usize = 64;

/// What follows the loader: reads images as bytes, and writes the logits of a ticket in float32.
const COMPARE: &str = r#"
import sys, numpy
net, info = load(sys.argv[1])
images = torch.from_numpy(numpy.fromfile(sys.argv[2], dtype=numpy.uint8)).view(-1, *info["network"]["input"]).float()
scale, offset = (torch.tensor(info["inputs"]["affine"][key]).view(-1, 1, 1) for key in ("scale", "offset"))
with torch.no_grad():
    net((images * scale + offset).float()).numpy().astype("<f4").tofile(sys.argv[3])
"#;

/// Returns the Python that has `PyTorch`; `None`, after a line that says so, if there is none.
fn python() -> Option<OsString> {
    let python = env::value("LTH_TEST_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let imports = Command::new(&python).args(["-c", "import torch, safetensors, numpy"]).output();
    if imports.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("skipped: {} has no PyTorch with safetensors and numpy (LTH_TEST_PYTHON)", python.display());
    None
}

/// Returns the loader in the README.
fn loader() -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let block = readme.split("```python").find(|block| block.contains("class Net")).expect("a loader in the README");
    block.split("```").next().unwrap().to_owned()
}

/// Returns the logits of the first test images by `PyTorch`.
fn logits_of_pytorch(python: &OsString, script: &Path, ticket: &Path, images: &Path) -> Vec<f32> {
    let logits = ticket.with_extension("logits");
    let output = Command::new(python).args([script, ticket, images, &logits]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = fs::read(&logits).unwrap();
    bytes.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect()
}

#[test]
fn loader_of_the_readme_has_at_most_20_lines() {
    let code = loader();
    let lines = code.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    assert!(lines.count() <= 20, "{code}");
}

#[test]
fn pytorch_has_the_same_logits_for_every_kind_of_network() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let script = runs.join("compare.py");
    lth::system::files::write(&script, (loader() + COMPARE).as_bytes()).unwrap();
    let data_dir = env::value("LTH_DATA_DIR");
    if data_dir.is_none() {
        println!("generated images in place of real ones: LTH_DATA_DIR is not set");
    }
    for (architecture, real) in [("lenet_300_100", "mnist"), ("conv2", "cifar10"), ("resnet20", "cifar10")] {
        let data = match &data_dir {
            Some(dir) => format!("dataset = \"{real}\"\ndir = \"{}\"\ntrain_limit = 200", dir.display()),
            None => "dataset = \"strokes\"\ntrain_images = 400\ntest_images = 100".to_owned(),
        };
        let text = format!(
            "name = \"{architecture}\"\nrounds = 1\n[data]\n{data}\ntest_limit = 100\nvalidation = 100\n\
             [network]\narchitecture = \"{architecture}\"\n\
             [train]\niterations = 6\nbatch_size = 20\noptimizer = \"adam\"\nlr = 1e-3\n\
             [prune]\nscope = \"global\"\nrate = {{ all = 0.9 }}\n\
             [arms.ticket]\nmask = \"iterative\"\nweights = \"rewind\"\n"
        );
        run_ok(&config(runs, &text), runs, &[]);
        let file = runs.join(format!("{architecture}.safetensors"));
        let small = runs.join(format!("{architecture}_small.safetensors"));
        let [file_name, small_name] = [file.to_str().unwrap(), small.to_str().unwrap()];
        ticket_ok(runs, &["export", architecture, "--arm", "ticket", "-o", file_name]);
        ticket_ok(runs, &["compact", file_name, "-o", small_name]);

        let experiment = read(&ConfigDocument::parse("experiment.toml", &text, &[]).unwrap()).unwrap();
        let dataset = Arc::new(lth::data::load(&experiment.data, None, experiment.seed).unwrap());
        let chosen = &dataset.test[..IMAGES];
        let bytes: Vec<u8> = chosen.iter().flat_map(|&image| dataset.image(image).to_vec()).collect();
        let images = runs.join("images");
        lth::system::files::write(&images, &bytes).unwrap();
        for path in [&file, &small] {
            let ticket = Ticket::from_bytes(&fs::read(path).unwrap()).unwrap();
            let ours = DenseInference::new(&ticket.network, &ticket.trained, &dataset).unwrap().logits(chosen).unwrap();
            let theirs = logits_of_pytorch(&python, &script, path, &images);
            assert_eq!(ours.len(), theirs.len());
            let largest = ours.iter().fold(0.0_f32, |largest, logit| largest.max(logit.abs()));
            let distance = ours.iter().zip(&theirs).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(distance < 1e-4 * largest.max(1.0), "{}: off by {distance} of {largest}", path.display());
        }
    }
}
