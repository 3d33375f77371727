//! The built-in data sets that consist of files: facts, pinned checksums and mirrors.

use super::cifar::CIFAR_IMAGE_BYTES;
use super::class_selection::ClassCounts;
use super::idx::header_length;
use crate::config::DatasetSpec;

/// A file of a data set.
#[derive(Clone, Copy, Debug)]
pub(super) struct PinnedFile {
    /// Official name, without `.gz`.
    pub(super) name: &'static str,
    /// SHA-256 of the decompressed bytes.
    pub(super) sha256: &'static str,
}

/// A tar archive with all files of a data set in one folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Archive {
    /// File name of the archive.
    pub(super) name: &'static str,
    /// Folder of the files in the archive.
    pub(super) folder: &'static str,
    /// SHA-256 of the archive as it is downloaded.
    pub(super) sha256: &'static str,
}

/// The Python version of CIFAR, which its authors also publish: each file is a pickle, with the name of the binary file
/// without its extension.
#[derive(Clone, Copy, Debug)]
pub(super) struct PythonFormat {
    /// File name of the archive of all files.
    pub(super) archive: &'static str,
    /// Folder of the files in the archive.
    pub(super) folder: &'static str,
}

/// The format of the files of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileFormat {
    /// Four IDX files: training images, training labels, test images, test labels.
    Idx,
    /// Binary files of CIFAR with `records` records each; the last file has the test images. A record begins with
    /// `label_bytes` labels of one byte each, of which the last is the class.
    Cifar { label_bytes: usize, records: u32 },
}

/// A built-in data set that consists of files.
#[derive(Debug)]
pub(super) struct BuiltinDataset {
    /// Name in the configuration; also the name of its folder.
    pub(super) name: &'static str,
    /// The format of its files.
    pub(super) format: FileFormat,
    /// Shape of an image: [channels, height, width].
    pub(super) shape: [usize; 3],
    /// Number of classes.
    pub(super) classes: usize,
    /// Number of images for training and validation together.
    pub(super) train_images: u32,
    /// Number of test images.
    pub(super) test_images: u32,
    /// Mean and standard deviation of the training pixels in [0, 1], per channel.
    pub(super) mean_std: &'static [(f64, f64)],
    /// The files, in the order of the images.
    pub(super) files: &'static [PinnedFile],
    /// The archive to download; `None` if the files are downloaded one by one.
    pub(super) archive: Option<Archive>,
    /// The Python version of the same records, which is read but not downloaded.
    pub(super) python: Option<PythonFormat>,
    /// Base URLs of the archive, or of the files with `.gz` appended to each name; tried in this order.
    pub(super) mirrors: &'static [&'static str],
    /// The folder where a package of Debian installs the files; `None` without a package.
    pub(super) debian_folder: Option<&'static str>,
    /// Numbers of training images and of test images of each class, by label; `None` if all classes have as many.
    pub(super) class_counts: Option<[&'static [u32]; 2]>,
    /// Names of the classes by label; empty for digits and for the 100 classes of CIFAR-100.
    pub(super) class_names: &'static [&'static str],
}

impl BuiltinDataset {
    /// Returns the numbers of images of each class in the training files and in the test files, by label.
    pub(super) fn class_counts(&self) -> ClassCounts {
        let balanced = |images: u32| vec![images / self.classes as u32; self.classes];
        let counts = |[train, test]: [&[u32]; 2]| [train.to_vec(), test.to_vec()];
        self.class_counts.map_or_else(|| [balanced(self.train_images), balanced(self.test_images)], counts)
    }
}

/// All built-in data sets that consist of files, in the order in which messages list them.
pub(super) const ALL: [&BuiltinDataset; 4] = [&MNIST, &FASHION_MNIST, &CIFAR10, &CIFAR100];

pub(super) static MNIST: BuiltinDataset = BuiltinDataset {
    name: "mnist",
    format: FileFormat::Idx,
    shape: [1, 28, 28],
    classes: 10,
    train_images: 60_000,
    test_images: 10_000,
    mean_std: &[(0.1307, 0.3081)],
    files: &[
        pinned("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        pinned("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        pinned("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        pinned("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ],
    archive: None,
    python: None,
    mirrors: &["https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"],
    debian_folder: None,
    class_counts: Some([
        &[5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        &[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ]),
    class_names: &[],
};

pub(super) static FASHION_MNIST: BuiltinDataset = BuiltinDataset {
    name: "fashion_mnist",
    format: FileFormat::Idx,
    shape: [1, 28, 28],
    classes: 10,
    train_images: 60_000,
    test_images: 10_000,
    mean_std: &[(0.2860, 0.3530)],
    files: &[
        pinned("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        pinned("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        pinned("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        pinned("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ],
    archive: None,
    python: None,
    // The first has no HTTPS. The pinned checksums detect bytes that were changed on the way.
    mirrors: &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ],
    debian_folder: Some("/usr/share/datasets/fashion-mnist"),
    class_counts: None,
    class_names: &[
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ],
};

pub(super) static CIFAR10: BuiltinDataset = BuiltinDataset {
    name: "cifar10",
    format: FileFormat::Cifar { label_bytes: 1, records: 10_000 },
    shape: [3, 32, 32],
    classes: 10,
    train_images: 50_000,
    test_images: 10_000,
    mean_std: &[(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)],
    files: &[
        pinned("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        pinned("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        pinned("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        pinned("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        pinned("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        pinned("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    ],
    archive: Some(Archive {
        name: "cifar-10-binary.tar.gz",
        folder: "cifar-10-batches-bin",
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    }),
    python: Some(PythonFormat { archive: "cifar-10-python.tar.gz", folder: "cifar-10-batches-py" }),
    mirrors: &["https://www.cs.toronto.edu/~kriz/"],
    debian_folder: None,
    class_counts: None,
    class_names: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
};

pub(super) static CIFAR100: BuiltinDataset = BuiltinDataset {
    name: "cifar100",
    format: FileFormat::Cifar { label_bytes: 2, records: 50_000 },
    shape: [3, 32, 32],
    classes: 100,
    train_images: 50_000,
    test_images: 10_000,
    mean_std: &[(0.5071, 0.2673), (0.4865, 0.2564), (0.4409, 0.2762)],
    files: &[
        pinned("train.bin", "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
        pinned("test.bin", "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
    ],
    archive: Some(Archive {
        name: "cifar-100-binary.tar.gz",
        folder: "cifar-100-binary",
        sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    }),
    python: Some(PythonFormat { archive: "cifar-100-python.tar.gz", folder: "cifar-100-python" }),
    mirrors: &["https://www.cs.toronto.edu/~kriz/"],
    debian_folder: None,
    class_counts: None,
    class_names: &[],
};

const fn pinned(name: &'static str, sha256: &'static str) -> PinnedFile {
    PinnedFile { name, sha256 }
}

/// Returns the built-in data set that `dataset` names; `None` for `strokes` and custom data, which have no files of known
/// contents.
pub(super) fn of(dataset: &DatasetSpec) -> Option<&'static BuiltinDataset> {
    match dataset {
        DatasetSpec::Mnist => Some(&MNIST),
        DatasetSpec::FashionMnist => Some(&FASHION_MNIST),
        DatasetSpec::Cifar10 => Some(&CIFAR10),
        DatasetSpec::Cifar100 => Some(&CIFAR100),
        DatasetSpec::Strokes | DatasetSpec::Idx { .. } | DatasetSpec::Images { .. } => None,
    }
}

/// Returns the name of a file in the Python version of CIFAR, such as `data_batch_1` for `data_batch_1.bin`.
pub(super) fn python_name(binary: &str) -> &str {
    binary.strip_suffix(".bin").unwrap_or(binary)
}

impl BuiltinDataset {
    /// Returns the number of bytes of file `index`, decompressed.
    pub(super) fn file_bytes(&self, index: usize) -> u64 {
        let bytes = match self.format {
            FileFormat::Idx => {
                let count = if index < 2 { self.train_images } else { self.test_images } as usize;
                if index.is_multiple_of(2) {
                    header_length(3) + count * self.shape.iter().product::<usize>()
                } else {
                    header_length(1) + count
                }
            }
            FileFormat::Cifar { label_bytes, records } => {
                let count = if index + 1 == self.files.len() { self.test_images } else { records };
                count as usize * (label_bytes + CIFAR_IMAGE_BYTES)
            }
        };
        bytes as u64
    }

    /// Returns the number of bytes of all files, decompressed.
    pub(super) fn all_bytes(&self) -> u64 {
        (0..self.files.len()).map(|index| self.file_bytes(index)).sum()
    }

    /// Returns the last file, which has the test images (with [`FileFormat::Idx`] only their labels).
    pub(super) fn last_file(&self) -> PinnedFile {
        self.files[self.files.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_bytes_are_those_of_the_official_files() {
        let bytes = |builtin: &BuiltinDataset| -> Vec<u64> {
            (0..builtin.files.len()).map(|index| builtin.file_bytes(index)).collect()
        };
        assert_eq!(bytes(&MNIST), [47_040_016, 60_008, 7_840_016, 10_008]);
        assert_eq!(bytes(&CIFAR10), [30_730_000; 6]);
        assert_eq!((bytes(&CIFAR100), CIFAR100.all_bytes()), (vec![153_700_000, 30_740_000], 184_440_000));
    }
}
