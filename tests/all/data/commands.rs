//! `lth data` on the real binary: `check`, `show`, and `fetch` from servers on this machine.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;

fn data(folder: &Path, args: &[&str]) -> Output {
    lth().current_dir(folder).arg("data").args(args).output().unwrap()
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    lth::system::files::write(&folder.join(name), bytes).unwrap();
}

/// Returns the folder of the real files; prints a note and returns `None` if there is none.
fn real() -> Option<PathBuf> {
    let real = lth::system::user_path::env_folder_or_literal(lth::system::env::DATA)
        .map(|folder| folder.canonicalize().unwrap());
    if real.is_none() {
        println!("skipped: LTH_DATA_DIR is not set");
    }
    real
}

#[test]
fn data_check_shows_state_of_files() {
    if Path::new("/usr/share/datasets/fashion-mnist").exists() {
        println!("skipped: this machine has Debian's package dataset-fashion-mnist, which `lth data check` finds");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let nothing = data(folder.path(), &["check"]);
    assert!(nothing.status.success(), "nobody needs all data sets");
    assert!(stdout(&nothing).contains("mnist: not found in data/mnist; `lth data fetch mnist` downloads it\n"));
    assert_eq!(data(folder.path(), &["check", "mnist"]).status.code(), Some(1));

    put(folder.path(), "data/mnist/train-labels-idx1-ubyte", b"");
    put(folder.path(), "data/mnist/t10k-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0x27, 0x10, 3]);
    put(folder.path(), "data/cifar10/data_batch_1.bin", &[1; 3073 + 100]);
    put(folder.path(), "data/cifar10/data_batch_2.bin", &[1; 3073]);
    put(folder.path(), "data/cifar10/data_batch_3.bin", &[200; 3073]);
    put(folder.path(), "data/cifar10/test_batch.bin", &[1; 2 * 3073]);
    put(folder.path(), "data/cifar100/cifar-100-binary.tar.gz", &[0x1F, 0x8B, 8, 0]);
    let damaged = data(folder.path(), &["check"]);
    assert_eq!(damaged.status.code(), Some(1));
    assert_golden!(stdout(&damaged));
    let json: serde_json::Value =
        serde_json::from_slice(&data(folder.path(), &["check", "cifar10", "--json"]).stdout).unwrap();
    assert_eq!(
        (json[0]["state"].as_str(), json[0]["files"][5]["condition"]["short"].as_u64()),
        (Some("damaged"), Some(2))
    );

    let Some(real) = real() else { return };
    let real = data(&real, &["check", "mnist", "--data-dir", "."]);
    assert!(real.status.success() && stdout(&real).matches("  verified\n").count() == 4, "{}", stdout(&real));
}

#[test]
fn data_show_counts_images_and_writes_sheet() {
    let folder = tempfile::tempdir().unwrap();
    let strokes = data(folder.path(), &["show", "strokes"]);
    assert!(strokes.status.success(), "{}", stderr(&strokes));
    assert_golden!(stdout(&strokes));
    assert!(fs::read(folder.path().join("strokes-sheet.png")).unwrap().starts_with(b"\x89PNG"));

    let args = ["show", SMOKE, "--set", "data.train_limit=600", "--json", "--out", "deep/er.png"];
    let smoke = data(folder.path(), &args);
    assert!(smoke.status.success() && folder.path().join("deep/er.png").exists(), "{}", stderr(&smoke));
    let json: serde_json::Value = serde_json::from_slice(&smoke.stdout).unwrap();
    let sizes: Vec<u64> = (0..3).map(|part| json["parts"][part]["images"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [600, 300, 300], "as the experiment splits them");
    assert_eq!(json["images"]["train_accuracy_on"], 300);
    assert_eq!((json["parts"][0]["by_class"][3].as_u64(), json["sheet"].as_str()), (Some(60), Some("deep/er.png")));
}

#[test]
fn data_show_replaces_only_its_own_sheets() {
    let folder = tempfile::tempdir().unwrap();
    let show = |out: &str| {
        data(folder.path(), &["show", SMOKE, "--set", "data.train_limit=600", "--out", out]).status.code().unwrap()
    };
    assert_eq!((show("sheet.png"), show("sheet.png")), (0, 0));
    let mut photo = Vec::new();
    png::Encoder::new(&mut photo, 1, 1).write_header().unwrap().write_image_data(&[7]).unwrap();
    put(folder.path(), "photo.png", &photo);
    put(folder.path(), "rounds.csv", b"arm,round\n");
    assert_eq!((show("photo.png"), show("rounds.csv")), (2, 2));
    assert_eq!(fs::read(folder.path().join("photo.png")).unwrap(), photo);
    assert_eq!(fs::read(folder.path().join("rounds.csv")).unwrap(), b"arm,round\n");
}

#[test]
fn data_check_shows_python_version_of_cifar() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "data/cifar-10-batches-py/data_batch_1", b"cos\nsystem\n(S'touch executed'\ntR.");
    put(folder.path(), "data/cifar-10-batches-py/data_batch_2", b"}.");
    put(folder.path(), "data/cifar10/notes.txt", b"mine");
    let check = stdout(&data(folder.path(), &["check", "cifar10"]));
    assert!(check.starts_with("cifar10: damaged in data; "), "{check}");
    assert!(
        check.contains("data_batch_1` is not usable: opcode 0x63 (`c`) at byte 0: it names `os system`"),
        "{check}"
    );
    assert!(check.contains("data_batch_2` is not usable: it has no `data`, but nothing\n"), "{check}");
    assert!(check.contains("\n  data_batch_3           not found\n"), "{check}");
    assert!(!folder.path().join("executed").exists());
}

#[cfg(unix)]
#[test]
fn data_show_escapes_class_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut png = Vec::new();
    png::Encoder::new(&mut png, 1, 1).write_header().unwrap().write_image_data(&[7]).unwrap();
    for class in ["ant\n\u{1b}[2J", "bee"] {
        for part in ["train", "test"] {
            put(folder.path(), &format!("mine/{part}/{class}/1.png"), &png);
        }
    }
    let smoke = fs::read_to_string(SMOKE).unwrap();
    put(folder.path(), "smoke.toml", smoke.as_bytes());
    let sets = ["data={dataset={images={dir='mine'}},validation=1,normalize='none'}"];
    let output = data(folder.path(), &["show", "smoke.toml", "--set", sets[0]]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("\nant\\n\\u{1b}[2J"), "{}", stdout(&output));
}

#[test]
fn data_commands_refuse_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let message = |code: i32, args: &[&str]| {
        let output = data(folder.path(), args);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        stderr(&output)
    };
    let refused = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let all = [
        message(2, &["show", "mnits"]),
        message(2, &["show", "nowhere.toml"]),
        message(2, &["show", SMOKE, "--set", "data.validation=1500"]),
        message(2, &["show", "strokes", "--set", "data.train_images=10"]),
        message(1, &["show", "mnist"]),
        message(1, &["show", "cifar10"]),
        message(1, &["show", "strokes", "--out", "/dev/null/sheet.png"]),
        message(2, &["check", "minst"]),
        message(2, &["fetch", "strokes"]),
        message(2, &["fetch", "mnist", "--mirror", "ftp://example.org"]),
        message(2, &["fetch", "mnist", "--only-mirrors"]),
        message(2, &["fetch", "mnist", "--stall-seconds", "-1"]),
        message(1, &["fetch", "mnist", "--only-mirrors", "--quiet", "--mirror", &refused]),
        message(1, &["fetch", "mnist", "--only-mirrors", "--mirror", &refused, "--data-dir", "/dev/null"]),
    ];
    assert_golden!(all.join("\n---\n").replace(&format!("{refused}/"), "http://REFUSED/"));
    assert!(!folder.path().join("data").exists(), "a fetch that fails leaves no folder");
}

/// Starts a server of the files of a folder, which sends a limited number of bytes of each and then nothing; returns
/// its address and the requested ranges.
fn serve(folder: PathBuf, most: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
            let name = head[0].split([' ', '/']).nth(2).unwrap_or_default().to_owned();
            let range = head.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-'));
            let from: usize = range.map_or(0, |range| range.parse().unwrap());
            log.lock().unwrap().push(format!("{name} {from}"));
            let file = fs::read(folder.join(name)).unwrap_or_default();
            let (status, end) = if from > 0 { ("206 Part", file.len() - 1) } else { ("200 OK", 0) };
            let range = format!("Content-Range: bytes {from}-{end}/{}", file.len());
            let left = &file[from..];
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range}\r\nConnection: close\r\n\r\n", left.len());
            stream.write_all(head.as_bytes()).unwrap();
            let _ = stream.write_all(&left[..most.min(left.len())]);
            if most < left.len() {
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_mins(1));
                    drop(stream);
                });
            }
        }
    });
    (url, asked)
}

#[test]
fn data_fetch_resumes_after_interrupt() {
    let Some(real) = real().filter(|_| !ignores_signal(2)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let fetch = |url: &str| {
        let mut command = lth();
        command.current_dir(folder.path()).args(["data", "fetch", "mnist", "--only-mirrors", "--mirror", url]);
        command
    };
    let (slow, _) = serve(real.join("mnist"), 1_000_000);
    let mut child = fetch(&slow).stderr(std::process::Stdio::null()).spawn().unwrap();
    let part = folder.path().join("data/mnist/train-images-idx3-ubyte.gz.part");
    while part.metadata().map_or(0, |metadata| metadata.len()) < 1_000_000 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(!child.wait().unwrap().success());

    let (good, asked) = serve(real.join("mnist"), usize::MAX);
    let output = fetch(&good).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "mnist is complete in data/mnist\n");
    assert!(stderr(&output).contains("resumed after 1.0 MB"), "{}", stderr(&output));
    assert_eq!(asked.lock().unwrap()[0], "train-images-idx3-ubyte.gz 1000000");
    assert_eq!(asked.lock().unwrap().len(), 4);
    let again = fetch(&good).output().unwrap();
    assert_eq!(stdout(&again), "mnist is there already, complete and verified in data/mnist\n");
    assert_eq!(asked.lock().unwrap().len(), 4, "and nobody was asked");
    assert!(data(folder.path(), &["check", "mnist"]).status.success());
}
