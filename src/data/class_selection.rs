//! A part of the classes of a data set, as a data set of its own.

use serde_json::json;

use super::info::{DatasetInfo, RawImages};
use crate::config::Diagnostic;

/// The classes that are kept of a data set, and the number of its images before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassSelection {
    /// The labels that are kept, in the order of their new labels from 0.
    classes: Vec<u8>,
    /// Number of images in all training files.
    pub(super) whole_train_images: u32,
    /// Number of images in all test files.
    pub(super) whole_test_images: u32,
}

/// The numbers of images of each class in the training files and in the test files, by label.
pub(super) type ClassCounts = [Vec<u32>; 2];

/// Returns the numbers of images of each class. `train_images`: number of images in the training files, which come
/// first.
pub(super) fn count_classes(labels: &[u8], train_images: u32, classes: usize) -> ClassCounts {
    let (train, test) = labels.split_at(labels.len().min(train_images as usize));
    [train, test].map(|labels| {
        let mut counts = vec![0; classes];
        for &label in labels {
            counts[usize::from(label)] += 1;
        }
        counts
    })
}

impl DatasetInfo {
    /// Returns the facts about the part of the data set that has these classes. `counts`: the images of each class in the
    /// training files and in the test files.
    ///
    /// # Errors
    /// Returns a diagnostic if there are fewer than two classes, one is named twice, or the data set has no such class.
    pub(super) fn select(self, classes: &[u32], counts: &ClassCounts) -> Result<Self, Diagnostic> {
        let refuse = |key: String, message: String| {
            let last = self.classes.saturating_sub(1);
            let hint = format!("the classes of `{}` are 0 to {last}; such as `classes = [0, 1, 2]`", self.name);
            Err(Diagnostic::new(key, message).hint(hint))
        };
        if classes.len() < 2 {
            let message = format!("`data.classes` names {} of the classes, and at least 2 are needed", classes.len());
            return refuse("data.classes".to_owned(), message);
        }
        for (index, class) in classes.iter().enumerate() {
            let key = format!("data.classes[{index}]");
            if *class as usize >= self.classes {
                return refuse(key, format!("there is no class {class} in `{}`", self.name));
            }
            if classes[..index].contains(class) {
                return refuse(key, format!("`data.classes` names class {class} twice"));
            }
        }
        let sum = |counts: &[u32]| classes.iter().map(|&class| counts[class as usize]).sum::<u32>();
        let [train_images, test_images] = [&counts[0], &counts[1]].map(|counts| sum(counts));
        let class_name = |&class: &u32| self.class_names.get(class as usize).cloned();
        let mut identity = self.identity.clone();
        identity["only_classes"] = json!(classes);
        Ok(Self {
            classes: classes.len(),
            class_names: classes.iter().filter_map(class_name).collect(),
            train_images,
            test_images,
            // As many as the same classes have in the whole test set, as far as it is known.
            whole_test_images: if self.whole_test_images == self.test_images {
                test_images
            } else {
                (u64::from(self.whole_test_images) * classes.len() as u64 / self.classes as u64) as u32
            },
            identity,
            selection: Some(ClassSelection {
                classes: classes.iter().map(|&class| class as u8).collect(),
                whole_train_images: self.train_images,
                whole_test_images: self.test_images,
            }),
            ..self
        })
    }
}

impl ClassSelection {
    /// Returns the images of the kept classes, in their order, with their new labels.
    pub(super) fn filter(&self, raw: RawImages, image_bytes: usize) -> RawImages {
        let mut kept = RawImages { images: Vec::new(), labels: Vec::new() };
        for (image, label) in raw.images.chunks_exact(image_bytes).zip(raw.labels) {
            if let Some(new_label) = self.classes.iter().position(|&class| class == label) {
                kept.images.extend_from_slice(image);
                kept.labels.push(new_label as u8);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DataConfig;
    use crate::data::{inspect, load};

    fn data(classes: &[u32]) -> DataConfig {
        let value = json!({
            "dataset": "strokes", "train_images": 300, "test_images": 60, "validation": 20, "classes": classes,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn selected_classes_are_a_data_set_of_their_own() {
        let whole = load(&DataConfig { classes: None, ..data(&[]) }, None, 1).unwrap();
        let part = load(&data(&[7, 2]), None, 1).unwrap();
        assert_eq!((part.classes, part.shape), (2, whole.shape));
        let expected: Vec<(&[u8], u8)> = (0..whole.labels.len() as u32)
            .filter_map(|index| match whole.labels[index as usize] {
                7 => Some((whole.image(index), 0)),
                2 => Some((whole.image(index), 1)),
                _ => None,
            })
            .collect();
        let found: Vec<(&[u8], u8)> =
            (0..part.labels.len() as u32).map(|index| (part.image(index), part.labels[index as usize])).collect();
        assert_eq!(found, expected);
        let (info, _) = inspect(&data(&[7, 2])).unwrap();
        assert_eq!(info.train_images as usize, part.train.len() + part.validation.len());
        assert_eq!(info.test_images as usize, part.test.len());
        assert_eq!(info.identity["only_classes"], json!([7, 2]));
    }

    #[test]
    fn class_lists_that_are_empty_repeated_or_out_of_range_are_refused() {
        let mistake = |classes: &[u32]| inspect(&data(classes)).err().map(|mistake| (mistake.key, mistake.message));
        let text = |key: &str, message: &str| Some((key.to_owned(), message.to_owned()));
        let few = "`data.classes` names 0 of the classes, and at least 2 are needed";
        assert_eq!(mistake(&[]), text("data.classes", few));
        assert_eq!(mistake(&[1, 10]), text("data.classes[1]", "there is no class 10 in `strokes`"));
        assert_eq!(mistake(&[1, 3, 1]), text("data.classes[2]", "`data.classes` names class 1 twice"));
    }
}
