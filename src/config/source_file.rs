//! Files that masks and weights are taken from: exported tickets, or state dicts of `PyTorch` saved as safetensors.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::checker::Checker;
use crate::base::placeholders::unknown_placeholder;

/// A file that masks or weights are taken from. Written as its path, or as a table if there is more to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path, in which `{replicate}` and `{round}` stand for those of the training run. A relative path starts at the
    /// folder of the configuration file, or else at the working directory.
    pub path: PathBuf,
    /// The names that the file has for tensors or layers of the network, by their names in the network.
    pub names: BTreeMap<String, String>,
    /// Whether the first convolution may have another number of input channels in the file.
    pub adapt_input: bool,
    /// Whether the output layer is drawn anew although the file has one that fits.
    pub new_output: bool,
}

/// A file that masks or weights are taken from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SourceFile")]
struct SourceFileKeys {
    /// The file: a ticket exported by `lth ticket export`, or a state dict of `PyTorch` saved as safetensors. `{replicate}`
    /// and `{round}` stand for those of the training run. A relative path starts at the folder of the configuration file,
    /// or else at the working directory.
    path: PathBuf,
    /// The names that the file has for layers or tensors, by their names in the network, such as `linear1 = "fc1"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    names: BTreeMap<String, String>,
    /// Adapt the first convolution to another number of input channels (false): from 1 to n channels, each gets 1/n of
    /// the weights; from n to 1, their sum.
    #[serde(default, skip_serializing_if = "is_false")]
    adapt_input: bool,
    /// Draw the output layer anew although the file has one that fits (false). It is always drawn where the numbers of
    /// classes differ.
    #[serde(default, skip_serializing_if = "is_false")]
    new_output: bool,
}

/// Weights in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FileWeights")]
pub struct FileWeights {
    /// The file.
    pub file: SourceFile,
    /// Which of the weights in the file.
    pub which: FileTensors,
}

/// Which of the weights in an exported ticket. A state dict of `PyTorch` has one set of weights, which both name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileTensors {
    /// The weights that training started from. Untrained: the evaluation at the start is never the early stop.
    Start,
    /// The weights after training.
    Trained,
}

impl FileTensors {
    /// Returns the name in configurations and in ticket files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Trained => "trained",
        }
    }
}

impl SourceFile {
    /// The part of a path that stands for the replicate.
    const REPLICATE: &str = "{replicate}";
    /// The part of a path that stands for the round.
    const ROUND: &str = "{round}";

    /// Returns the path for a replicate and a round.
    pub fn path_for(&self, replicate: u32, round: u32) -> PathBuf {
        let path = self.path.to_string_lossy();
        let path = path.replace(Self::REPLICATE, &replicate.to_string());
        PathBuf::from(path.replace(Self::ROUND, &round.to_string()))
    }

    /// Returns whether each round has a file of its own.
    pub fn has_rounds(&self) -> bool {
        self.path.to_string_lossy().contains(Self::ROUND)
    }

    /// Checks the path and the names. `key` is the path of the file's key.
    pub(super) fn check(&self, key: &str, checker: &mut Checker) {
        checker.require(key, !self.path.as_os_str().is_empty(), "is the path of a file");
        let path = self.path.to_string_lossy();
        if let Some(unknown) = unknown_placeholder(&path, &[Self::REPLICATE, Self::ROUND]) {
            let message = format!("has `{unknown}`, which stands for nothing; `{{replicate}}` and `{{round}}` do");
            checker.require(key, false, &message);
        }
        let are_names = self.names.iter().all(|(own, other)| !own.is_empty() && !other.is_empty());
        checker.require(&format!("{key}.names"), are_names, "must not have empty names");
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_false(option: &bool) -> bool {
    !*option
}

impl From<SourceFileKeys> for SourceFile {
    fn from(keys: SourceFileKeys) -> Self {
        let SourceFileKeys { path, names, adapt_input, new_output } = keys;
        Self { path, names, adapt_input, new_output }
    }
}

impl Serialize for SourceFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { path, names, adapt_input, new_output } = self.clone();
        if names.is_empty() && !adapt_input && !new_output {
            return path.serialize(serializer);
        }
        SourceFileKeys { path, names, adapt_input, new_output }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SourceFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceFileVisitor)
    }
}

/// Reads a path, or a table with one.
struct SourceFileVisitor;

impl<'de> Visitor<'de> for SourceFileVisitor {
    type Value = SourceFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a file, or a table with `path`")
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<SourceFile, E> {
        let names = BTreeMap::new();
        Ok(SourceFile { path: path.into(), names, adapt_input: false, new_output: false })
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<SourceFile, M::Error> {
        SourceFileKeys::deserialize(MapAccessDeserializer::new(map)).map(SourceFile::from)
    }
}

impl JsonSchema for SourceFile {
    fn schema_name() -> Cow<'static, str> {
        "SourceFileOrPath".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<SourceFileKeys>();
        json_schema!({
            "description": "A file that masks or weights are taken from: its path, or a table.",
            "anyOf": [{ "type": "string", "description": "The path." }, table]
        })
    }
}

/// A named source of weights, or weights in a file: the values of the key `weights` of an arm. `K`: the names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NamedOrFile<K> {
    /// A source by name.
    Named(K),
    /// Weights in a file.
    File(FileWeights),
}

impl<K: Serialize> Serialize for NamedOrFile<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(name) => name.serialize(serializer),
            Self::File(FileWeights { file, which }) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("file", file)?;
                map.serialize_entry("which", which)?;
                map.end()
            }
        }
    }
}

impl<'de, K: Deserialize<'de>> Deserialize<'de> for NamedOrFile<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamedOrFileVisitor(std::marker::PhantomData))
    }
}

/// Reads a name, or a table with a file.
struct NamedOrFileVisitor<K>(std::marker::PhantomData<K>);

impl<'de, K: Deserialize<'de>> Visitor<'de> for NamedOrFileVisitor<K> {
    type Value = NamedOrFile<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a table with `file` and `which`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        K::deserialize(serde::de::value::StrDeserializer::new(name)).map(NamedOrFile::Named)
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
        FileWeights::deserialize(MapAccessDeserializer::new(map)).map(NamedOrFile::File)
    }
}

impl<K: JsonSchema> JsonSchema for NamedOrFile<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NamedOrFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<K>();
        let file = generator.subschema_for::<FileWeights>();
        json_schema!({ "anyOf": [name, file] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support::{experiment, usage_error};
    use crate::config::{MaskSource, WeightSource};

    #[test]
    fn file_of_an_arm_is_a_path_or_a_table() {
        let arm = |keys: &str| experiment(&[&format!("arms={{a={{{keys}}}}}")]).arms.0.remove(0).1;
        let plain = arm("mask={file='t.safetensors'},weights={file='t.safetensors',which='start'}");
        let MaskSource::File(file) = &plain.mask else { panic!("{plain:?}") };
        assert_eq!((file.path.as_path(), file.has_rounds()), (std::path::Path::new("t.safetensors"), false));
        assert_eq!(plain.weights, WeightSource::File(FileWeights { file: file.clone(), which: FileTensors::Start }));
        let written =
            r#"{"mask":{"file":"t.safetensors"},"weights":{"file":"t.safetensors","which":"start"},"repeats":1}"#;
        assert_eq!(serde_json::to_string(&plain).unwrap(), written);
        let table =
            arm("mask={file={path='t{replicate}_{round}',names={linear1='fc1'},new_output=true}},weights='reinit'");
        let MaskSource::File(file) = table.mask else { panic!() };
        assert_eq!((file.path_for(2, 7), file.names["linear1"].as_str()), ("t2_7".into(), "fc1"));
        assert!(file.has_rounds() && file.new_output && !file.adapt_input);
    }

    #[test]
    fn mistakes_in_a_file_of_an_arm_are_located() {
        let error = |weights: &str| usage_error(&[&format!("arms={{a={{mask='dense',weights={weights}}}}}")]);
        assert!(error("'rewnd'").contains("unknown value `rewnd` for `arms.a.weights`"), "{}", error("'rewnd'"));
        let missing = error("{file='t'}");
        assert!(missing.contains("`arms.a.weights.which` is missing"), "{missing}");
        let unknown = error("{file={path='t',nmes={}},which='start'}");
        assert!(unknown.contains("unknown key `nmes`") && unknown.contains("did you mean `names`"), "{unknown}");
        assert!(error("{file='t',which='end'}").contains("unknown value `end`"));
        assert!(error("{file='',which='start'}").contains("is the path of a file"));
        let unknown = error("{file='t_{replicat}',which='start'}");
        assert!(unknown.contains("has `{replicat}`, which stands for nothing"), "{unknown}");
    }
}
