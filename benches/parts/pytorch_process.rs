//! The `PyTorch` side of a comparison: a Python script that takes a measurement for each line that it reads.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use lth::data::Dataset;

/// A running script. It reads a line, takes a measurement, and answers with a line of numbers.
pub(crate) struct PytorchProcess {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The folder of the data that the script reads.
    _folder: tempfile::TempDir,
}

impl PytorchProcess {
    /// Starts `benches/<script>` with these arguments: a file of the bytes of the training images of `dataset`, a file
    /// of their labels, then `more_arguments`.
    pub(crate) fn new(python: &str, script: &str, dataset: &Dataset, more_arguments: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
        let train = &dataset.train;
        let bytes: Vec<u8> = train.iter().flat_map(|&i| dataset.image(i)).copied().collect();
        lth::system::files::write(&images, &bytes).expect("images");
        let bytes: Vec<u8> = train.iter().map(|&i| dataset.labels[i as usize]).collect();
        lth::system::files::write(&labels, &bytes).expect("labels");
        let mut process = Command::new(python)
            .arg(format!("{}/benches/{script}", env!("CARGO_MANIFEST_DIR")))
            .args([&images, &labels])
            .args(more_arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let requests = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, requests, answers, _folder: folder }
    }

    /// Asks for a measurement and returns its numbers.
    pub(crate) fn measure(&mut self) -> Vec<f64> {
        writeln!(self.requests, "go").expect("python listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("python answers");
        line.split_whitespace().filter_map(|x| x.parse().ok()).collect()
    }

    /// Ends the script, by ending its input, and waits for it.
    pub(crate) fn end(mut self) {
        drop(self.requests);
        self.process.wait().expect("python ends");
    }
}
