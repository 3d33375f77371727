//! Values of categorical CSV columns: an enum, plus a variant for words that other versions of the program wrote.

use std::borrow::Cow;
use std::cmp::Ordering;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An enum of which each value has a word in CSV and JSON files.
pub trait Categorical: Copy + PartialEq + 'static {
    /// Every value.
    const ALL: &'static [Self];

    /// Returns the word of the value in files.
    fn as_str(self) -> &'static str;
}

/// A value of a categorical column: one of the values of `T`, or a word that another version of the program has
/// written. Such a word is stored as it is, so that a file of another version can be read and written unchanged.
#[derive(Clone, Debug)]
pub enum Category<T> {
    /// A value of this version.
    Known(T),
    /// The word of a value that this version does not have.
    Unknown(String),
}

impl<T: Categorical> Category<T> {
    /// Returns the category of a word.
    pub fn from_word(word: &str) -> Self {
        let known = T::ALL.iter().copied().find(|value| value.as_str() == word);
        known.map_or_else(|| Self::Unknown(word.to_owned()), Self::Known)
    }

    /// Returns the word of the category in files.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(value) => value.as_str(),
            Self::Unknown(word) => word,
        }
    }

    /// Returns whether the category is `value`.
    pub fn is(&self, value: T) -> bool {
        matches!(self, Self::Known(known) if *known == value)
    }
}

impl<T: Categorical> From<T> for Category<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

/// The empty word, which is that of no value: it exists only so that types of rows with a category can derive
/// `Default`.
impl<T> Default for Category<T> {
    fn default() -> Self {
        Self::Unknown(String::new())
    }
}

impl<T: Categorical> PartialEq for Category<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl<T: Categorical> Eq for Category<T> {}

/// Categories are ordered by their words, so that maps of them have the order of maps of words.
impl<T: Categorical> Ord for Category<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl<T: Categorical> PartialOrd for Category<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Categorical> Serialize for Category<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A text; the words of this version are examples, because other versions may write others.
impl<T: Categorical> JsonSchema for Category<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Category".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = T::ALL.iter().map(|value| value.as_str()).collect();
        json_schema!({ "type": "string", "examples": words })
    }
}

impl<'de, T: Categorical> Deserialize<'de> for Category<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::from_word(&word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fruit {
        Plum,
        Apple,
    }

    impl Categorical for Fruit {
        const ALL: &'static [Self] = &[Self::Plum, Self::Apple];

        fn as_str(self) -> &'static str {
            match self {
                Self::Plum => "plum",
                Self::Apple => "apple",
            }
        }
    }

    #[test]
    fn category_reads_and_writes_known_and_unknown_words() {
        let fruits: Vec<Category<Fruit>> = serde_json::from_str(r#"["plum","quince","apple"]"#).unwrap();
        assert!(fruits[0].is(Fruit::Plum) && !fruits[0].is(Fruit::Apple));
        assert!(matches!(&fruits[1], Category::Unknown(word) if word == "quince"));
        assert_eq!(serde_json::to_string(&fruits).unwrap(), r#"["plum","quince","apple"]"#);
        assert_eq!(Category::from(Fruit::Apple), fruits[2]);
    }

    #[test]
    fn categories_are_ordered_by_their_words() {
        let mut fruits = ["quince", "plum", "apple"].map(Category::<Fruit>::from_word);
        fruits.sort();
        assert_eq!(fruits.map(|fruit| fruit.as_str().to_owned()), ["apple", "plum", "quince"]);
    }
}
