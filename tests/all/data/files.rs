//! Data files on the real binary: training on custom data, and the errors for files that cannot be used.

use std::fs;
use std::path::Path;

use crate::support::*;

/// Returns an experiment that takes a second; `data` are the lines of `[data]`.
pub(super) fn experiment(data: &str) -> String {
    format!(
        r#"name = "own"
rounds = 1
[data]
{data}
[network]
architecture = {{ mlp = {{ hidden = [8] }} }}
[train]
iterations = 60
batch_size = 4
evaluate_every = 20
optimizer = "adam"
lr = 1e-2
[arms.winning_ticket]
mask = "iterative"
weights = "rewind"
"#
    )
}

pub(super) fn put(path: &Path, bytes: &[u8]) {
    lth::system::files::write(path, bytes).unwrap();
}

fn idx(sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(body);
    bytes
}

/// Returns image `n` of a class as `bytes` bytes. The class determines which of them are bright.
fn image(class: usize, n: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| if at % 3 == class { 200 + (n % 50) as u8 } else { (at + n) as u8 % 40 }).collect()
}

/// The names of the four IDX files.
pub(super) const IDX: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Writes IDX files with three classes of 5×3 images: 30 for training and 9 for testing.
pub(super) fn own_idx(folder: &Path) {
    for (files, count) in IDX.chunks_exact(2).zip([30, 9]) {
        let images: Vec<u8> = (0..count).flat_map(|n| image(n % 3, n, 15)).collect();
        let labels: Vec<u8> = (0..count).map(|n| (n % 3) as u8).collect();
        put(&folder.join(files[0]), &idx(&[count as u32, 5, 3], &images));
        put(&folder.join(files[1]), &idx(&[count as u32], &labels));
    }
}

fn png([height, width]: [u32; 2], colour: png::ColorType, depth: png::BitDepth, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

fn grey(pixels: &[u8]) -> Vec<u8> {
    png([5, 3], png::ColorType::Grayscale, png::BitDepth::Eight, pixels)
}

/// Writes PNG files with three classes of 5×3 colour images: 30 for training and 9 for testing.
fn own_images(folder: &Path) {
    for (part, count) in [("train", 30), ("test", 9)] {
        for n in 0..count {
            let class = n % 3;
            let pixels = png([5, 3], png::ColorType::Rgb, png::BitDepth::Eight, &image(class, n, 45));
            put(&folder.join(format!("{part}/{}/{n:02}.png", ["ant", "bee", "cow"][class])), &pixels);
        }
    }
}

/// Runs the binary in `folder`, with `data` in its configuration.
fn in_folder(folder: &Path, args: &[&str], data: &str) -> std::process::Output {
    config(folder, &experiment(data));
    lth().current_dir(folder).args(args).output().unwrap()
}

#[test]
fn custom_idx_files_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    own_idx(&folder.path().join("mine"));
    let data = "dataset = { idx = { dir = \"mine\", classes = 3 } }\nvalidation = 6";
    let output = in_folder(folder.path(), &["run", "config.toml"], data);
    assert!(output.status.success(), "{}", stderr(&output));
    let run_dir = run_dir(&folder.path().join("runs"));
    let rounds = rows(&run_dir, "rounds.csv");
    assert_eq!(rounds[0]["weights_total"], (15 * 8 + 8 * 3).to_string());
    assert_eq!(rounds[0]["final_test_accuracy"], "1.0", "the classes are easy to tell");

    // The same files in another folder are the same data: nothing is trained again.
    fs::rename(folder.path().join("mine"), folder.path().join("moved")).unwrap();
    let zipped = folder.path().join("moved").join(IDX[0]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &fs::read(&zipped).unwrap()).unwrap();
    put(&zipped.with_extension("gz"), &encoder.finish().unwrap());
    fs::remove_file(&zipped).unwrap();
    let again = in_folder(folder.path(), &["run", "config.toml"], &data.replace("mine", "moved"));
    assert_eq!((again.status.success(), finished_count(&again)), (true, 0), "{}", stderr(&again));

    // `resolved.toml` is the same experiment, and refuses other bytes.
    let resolved = fs::read_to_string(run_dir.join("resolved.toml")).unwrap();
    assert!(resolved.contains("  # computed from the files\n"), "{resolved}");
    put(&folder.path().join("resolved.toml"), resolved.as_bytes());
    let plan = lth().current_dir(folder.path()).args(["plan", "resolved.toml"]).output().unwrap();
    assert!(stdout(&plan).contains("training runs: 2, 2 of them in the store\n"), "{}{}", stdout(&plan), stderr(&plan));
    let labels = folder.path().join("moved").join(IDX[1]);
    let mut other = fs::read(&labels).unwrap();
    other[8] = 2;
    put(&labels, &other);
    let refused = lth().current_dir(folder.path()).args(["plan", "resolved.toml"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("holds other data than this"), "{}", stderr(&refused));
    let new = in_folder(folder.path(), &["plan", "config.toml"], &data.replace("mine", "moved"));
    assert!(stdout(&new).contains("training runs: 2\n"), "other bytes are other data: {}", stdout(&new));
}

#[test]
fn custom_images_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    own_images(&folder.path().join("mine"));
    let data = "dataset = { images = { dir = \"mine\" } }\nvalidation = 6";
    let output = in_folder(folder.path(), &["run", "config.toml", "--fresh"], data);
    assert!(output.status.success(), "{}", stderr(&output));
    let rounds = rows(&run_dir(&folder.path().join("runs")), "rounds.csv");
    assert_eq!(rounds[0]["weights_total"], (45 * 8 + 8 * 3).to_string());
    assert_eq!(rounds[0]["final_test_accuracy"], "1.0", "the classes are easy to tell");
    // Another class is another experiment.
    for part in ["train", "test"] {
        let part = folder.path().join("mine").join(part);
        fs::rename(part.join("cow"), part.join("dog")).unwrap();
    }
    let renamed = in_folder(folder.path(), &["plan", "config.toml"], data);
    assert!(stdout(&renamed).contains("training runs: 2\n"), "{}", stdout(&renamed));
}

#[test]
fn cifar10_trains_mlp_and_run_notes_partial_test_set() {
    let Some(real) = lth::system::user_path::env_folder_or_literal(lth::system::env::DATA) else {
        println!("skipped: LTH_DATA_DIR is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let text = "dataset = \"cifar10\"\ntrain_limit = 3000\ntest_limit = 500";
    config(folder.path(), &experiment(text).replace("iterations = 60", "iterations = 600").replace("1e-2", "1e-3"));
    let mut command = lth();
    command.current_dir(folder.path()).args(["run", "config.toml", "--data-dir"]).arg(real.canonicalize().unwrap());
    let output = command.args(["--set", "train.batch_size=60"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("note: `") && stderr(&output).contains("of the 10000 test images"));
    let run_dir = run_dir(&folder.path().join("runs"));
    let accuracy: f64 = rows(&run_dir, "rounds.csv")[0]["final_test_accuracy"].parse().unwrap();
    assert!(accuracy > 0.2, "guessing gives 0.1: {accuracy}");
    assert!(fs::read_to_string(run_dir.join("run.json")).unwrap().contains("of the 10000 test images"));
    let page = fs::read_to_string(run_dir.join("report/report.md")).unwrap();
    assert!(page.contains("Test accuracy on 500 of 10,000 test images."), "{page}");
}

/// Returns the checksum by `lth check` of custom data that `change` has changed.
fn sum_of(data: &str, change: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    own_idx(&folder.path().join("digits"));
    own_images(&folder.path().join("animals"));
    change(folder.path());
    let output = in_folder(folder.path(), &["check", "config.toml"], data);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    text.lines().find(|line| line.starts_with("sha256 = ")).unwrap().to_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

const DIGITS: &str = "dataset = { idx = { dir = \"digits\", classes = 3 } }\nvalidation = 6";
const ANIMALS: &str = "dataset = { images = { dir = \"animals\" } }\nvalidation = 6";

/// Replaces the file number `n` of custom IDX files by one of `name` with the bytes that `change` makes of it.
fn replace(folder: &Path, n: usize, name: &str, change: impl Fn(&[u8]) -> Vec<u8>) {
    let path = folder.join("digits").join(IDX[n]);
    let bytes = change(&fs::read(&path).unwrap());
    fs::remove_file(path).unwrap();
    put(&folder.join("digits").join(name), &bytes);
}

#[test]
fn idx_files_of_other_tools_are_the_same_data() {
    let whole = sum_of(DIGITS, |_| {});
    let zipped = format!("{}.gz", IDX[0]);
    let same = |name: &str, change: &dyn Fn(&[u8]) -> Vec<u8>| {
        assert_eq!(sum_of(DIGITS, |at| replace(at, 0, name, change)), whole, "{name}");
    };
    same(&zipped, &|bytes| [gzip(bytes), vec![0; 70_000]].concat());
    same(&zipped, &|bytes| [gzip(&bytes[..9]), vec![0; 512], gzip(&bytes[9..])].concat());
    same(&zipped, &<[u8]>::to_vec);
    same("train-images.idx3-ubyte", &<[u8]>::to_vec);
    same("train-images.idx3-ubyte.gz", &gzip);
    same("train-images-idx3-ubyte/train-images.idx3-ubyte", &<[u8]>::to_vec);
    let emnist = sum_of(DIGITS, |at| {
        for (n, name) in IDX.iter().enumerate() {
            replace(at, n, &format!("my-letters-{}", name.replace("t10k", "test")), <[u8]>::to_vec);
        }
    });
    assert_eq!(emnist, whole);
}

#[test]
fn idx_container_errors_do_not_mention_idx() {
    let zipped = format!("{}.gz", IDX[0]);
    let message = |change: &dyn Fn(&[u8]) -> Vec<u8>| error_message(DIGITS, |at| replace(at, 0, &zipped, change));
    let trailing = message(&|bytes| [gzip(bytes), b"twelve bytes".to_vec()].concat());
    assert!(trailing.contains("12 bytes that are no gzip data follow the end of the compressed data, from byte"));
    let cut = message(&|bytes| gzip(bytes)[..40].to_vec());
    assert!(cut.contains("cut short or damaged"), "{cut}");
    let twice = message(&|bytes| gzip(&gzip(bytes)));
    assert!(twice.contains("it is compressed twice with gzip"), "{twice}");
    for message in [trailing, cut, twice] {
        assert!(message.contains("hint: the fault is in the compressed file, not in its content"), "{message}");
    }
}

#[test]
fn idx_files_under_other_names_are_named() {
    let near = error_message(DIGITS, |at| replace(at, 0, "Train_Images.idx", <[u8]>::to_vec));
    assert!(
        near.contains("neither `train-images-idx3-ubyte` nor `train-images.idx3-ubyte` found in `digits`"),
        "{near}"
    );
    assert!(near.contains("; there is `digits/Train_Images.idx`: rename it to `train-images-idx3-ubyte`"), "{near}");
    let prefixed = |at: &Path| {
        let bytes = fs::read(at.join("digits").join(IDX[0])).unwrap();
        replace(at, 0, "b-train-images-idx3-ubyte", <[u8]>::to_vec);
        put(&at.join("digits/a-train-images-idx3-ubyte"), &bytes);
    };
    let many = error_message(DIGITS, prefixed);
    assert!(
        many.contains("have several prefixes: `a`, `b`") && many.contains("hint: choose one, such as `prefix = \"a\"`")
    );
    let chosen = error_message(&DIGITS.replace("classes", "prefix = \"c\", classes"), prefixed);
    assert!(chosen.contains("hint: the files there have one of the prefixes `a`, `b`"), "{chosen}");
}

#[test]
fn idx_labels_of_qmnist_and_emnist_are_read() {
    let integers = |columns: u32| {
        move |bytes: &[u8]| {
            let labels = &bytes[8..];
            let sizes = [labels.len() as u32, columns];
            let row = |&label: &u8| std::iter::once(u32::from(label)).chain(vec![9; columns as usize - 1]);
            let body: Vec<u8> = labels.iter().flat_map(row).flat_map(u32::to_be_bytes).collect();
            let mut file = idx(if columns == 1 { &sizes[..1] } else { &sizes }, &body);
            file[2] = 0x0C;
            file
        }
    };
    let sums = [1, 8].map(|columns| sum_of(DIGITS, |at| replace(at, 1, IDX[1], integers(columns))));
    assert_ne!(sums[0], sums[1]);
    let three = error_message(DIGITS, |at| replace(at, 1, IDX[1], integers(3)));
    assert!(three.contains("it has 3 columns of labels; 1 and QMNIST's 8 are read"), "{three}");

    let from_one = |at: &Path| {
        for n in [1, 3] {
            let later =
                |bytes: &[u8]| [&bytes[..8], &bytes[8..].iter().map(|label| label + 1).collect::<Vec<_>>()].concat();
            replace(at, n, IDX[n], later);
        }
    };
    let message = error_message(DIGITS, from_one);
    assert!(message.contains("label 3 of image 2 is not below 3"), "{message}");
    assert!(message.contains("hint: the labels of this file are from 1 to 3: set `first_label = 1`"), "{message}");
    let letters = DIGITS.replace("classes = 3", "classes = 3, first_label = 1");
    assert_eq!(sum_of(&letters, from_one), sum_of(&DIGITS.replace("classes = 3", "classes = 4"), from_one));
}

#[test]
fn idx_options_are_in_keys_only_if_not_default() {
    let folder = tempfile::tempdir().unwrap();
    own_idx(&folder.path().join("digits"));
    let id = |options: &str| {
        let data = DIGITS.replace("classes = 3", &format!("classes = 4{options}"));
        let output = in_folder(folder.path(), &["plan", "config.toml", "--json"], &data);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let plain = id("");
    assert_eq!(id(", first_label = 0, transpose = false"), plain);
    assert_ne!(id(", transpose = true"), plain);
    let data = DIGITS.replace("classes = 3", "classes = 3, first_label = 0, transpose = false");
    let checked = in_folder(folder.path(), &["check", "config.toml"], &data);
    assert!(!stdout(&checked).contains("first_label") && !stdout(&checked).contains("transpose"));
}

#[test]
fn images_with_junk_beside_them_are_the_same_data() {
    let whole = sum_of(ANIMALS, |_| {});
    let junk = sum_of(ANIMALS, |at| {
        for name in [
            "train/ant/Thumbs.db",
            "train/desktop.ini",
            "test/__MACOSX/bee/._1.png",
            "train/@eaDir/SYNO",
            "test/ant/.x",
        ] {
            put(&at.join("animals").join(name), b"junk");
        }
    });
    assert_eq!(junk, whole);
}

#[test]
fn images_grey_among_coloured_are_read_as_colour() {
    let pixels: Vec<u8> = image(0, 5, 15);
    let wide: Vec<u8> = pixels.iter().flat_map(|&pixel| [pixel; 3]).collect();
    let grey_one = sum_of(ANIMALS, |at| put(&at.join("animals/train/ant/05.png"), &grey(&pixels)));
    let colour = png([5, 3], png::ColorType::Rgb, png::BitDepth::Eight, &wide);
    assert_eq!(grey_one, sum_of(ANIMALS, |at| put(&at.join("animals/train/ant/05.png"), &colour)));
}

/// Returns the message of `lth check` about custom data that `spoil` has damaged; the exit code is that of a usage
/// error.
fn error_message(data: &str, spoil: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    own_idx(&folder.path().join("digits"));
    own_images(&folder.path().join("animals"));
    spoil(folder.path());
    let output = in_folder(folder.path(), &["check", "config.toml"], data);
    assert_eq!(output.status.code(), Some(2), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).is_empty());
    stderr(&output)
}

#[test]
fn custom_idx_files_with_mistakes_are_refused() {
    let data = "dataset = { idx = { dir = \"digits\", classes = 3 } }\nvalidation = 6";
    let file = |n: usize| format!("digits/{}", IDX[n]);
    let all = [
        error_message(&data.replace("digits", "nowhere"), |_| {}),
        error_message(data, |at| fs::remove_file(at.join(file(2))).unwrap()),
        error_message(data, |at| put(&at.join(file(0)), b"")),
        error_message(data, |at| put(&at.join(file(0)), &idx(&[30, 5, 3], &[0; 449]))),
        error_message(data, |at| put(&at.join(file(0)), b"these are no images")),
        error_message(data, |at| put(&at.join(file(1)), &idx(&[29], &[0; 29]))),
        error_message(data, |at| put(&at.join(file(2)), &idx(&[9, 3, 5], &[0; 135]))),
        error_message(data, |at| put(&at.join(file(0)), &idx(&[30, 5, 3], &[7; 450]))),
        error_message(data, |at| put(&at.join(file(1)), &[&[0x1F, 0x8B][..], &[8; 30]].concat())),
        error_message(&data.replace("classes = 3", "classes = 2"), |_| {}),
        error_message(&data.replace("classes = 3", "classes = 1"), |_| {}),
        error_message(&data.replace("classes = 3", "classes = 3, sha256 = \"12ab\""), |_| {}),
        error_message(&data.replace("validation = 6", ""), |_| {}),
        error_message(&format!("{data}\ndir = \"data\""), |_| {}),
    ];
    assert_golden!(all.join("\n---\n"));
}

#[test]
fn custom_images_with_mistakes_are_refused() {
    let data = "dataset = { images = { dir = \"animals\" } }\nvalidation = 6";
    let all = [
        error_message(data, |at| fs::remove_dir_all(at.join("animals/test")).unwrap()),
        error_message(data, |at| {
            let small = png([1, 2], png::ColorType::Rgb, png::BitDepth::Eight, &[0; 6]);
            put(&at.join("animals/test/bee/big.png"), &small);
        }),
        error_message(data, |at| {
            put(&at.join("animals/test/emu/1.png"), &fs::read(at.join("animals/test/ant/00.png")).unwrap());
        }),
        error_message(data, |at| put(&at.join("animals/train/emu/Thumbs.db"), b"junk")),
        error_message(data, |at| put(&at.join("animals/train/ant/photo.jpg"), b"jpeg")),
        error_message(data, |at| put(&at.join("animals/train/labels.csv"), b"1,2")),
        error_message(data, |at| put(&at.join("animals/train/ant/photo.png"), b"jpeg")),
        error_message(data, |at| {
            let whole = fs::read(at.join("animals/train/ant/00.png")).unwrap();
            put(&at.join("animals/train/ant/00.png"), &whole[..whole.len() - 30]);
        }),
        error_message(data, |at| {
            let deep = png([5, 3], png::ColorType::Grayscale, png::BitDepth::Sixteen, &[0; 30]);
            put(&at.join("animals/train/ant/deep.png"), &deep);
        }),
        error_message(data, |at| {
            let clear = png([5, 3], png::ColorType::Rgba, png::BitDepth::Eight, &[0; 60]);
            put(&at.join("animals/train/ant/clear.png"), &clear);
        }),
        error_message(data, |at| {
            for class in ["bee", "cow"] {
                fs::remove_dir_all(at.join("animals/train").join(class)).unwrap();
            }
        }),
        error_message(&data.replace("validation = 6", "train_limit = 40\nvalidation = 6"), |_| {}),
        error_message(&data.replace("images = {", "images = { classes = 3,"), |_| {}),
        error_message("dataset = { idx = { dir = \"digits\", classes = 3 }, images = { dir = \"animals\" } }", |_| {}),
        error_message("dataset = {}", |_| {}),
        error_message("dataset = \"images\"", |_| {}),
        error_message("dataset = { idx = {} }", |_| {}),
    ];
    assert_golden!(all.join("\n---\n"));
}
