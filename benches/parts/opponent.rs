//! `PyTorch`, which measures when it is asked.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use lth::data::Dataset;

/// A process that answers a line with numbers.
pub(crate) struct Opponent {
    process: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

impl Opponent {
    /// Starts `script`, which lies beside the benchmarks, on the training images of `dataset`: it is given a file of their
    /// bytes, one of their labels, and `more`.
    pub(crate) fn new(python: &str, script: &str, dataset: &Dataset, more: &[String]) -> Self {
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
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let ask = process.stdin.take().expect("a pipe");
        let answer = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, ask, answer, _folder: folder }
    }

    /// What it measures when it is asked for `what`.
    pub(crate) fn measure(&mut self, what: &str) -> Vec<f64> {
        writeln!(self.ask, "{what}").expect("python listens");
        let mut line = String::new();
        self.answer.read_line(&mut line).expect("python answers");
        line.split_whitespace().filter_map(|x| x.parse().ok()).collect()
    }

    pub(crate) fn end(mut self) {
        drop(self.ask);
        self.process.wait().expect("python ends");
    }
}
