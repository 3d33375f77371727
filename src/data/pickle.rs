//! Pickles of Python with a dictionary of numbers, texts and `NumPy` arrays of bytes. Nothing in them is executed: the
//! opcodes and functions that such pickles need are interpreted here, and anything else is an error. No length in a
//! pickle leads to an allocation larger than its bytes. Independent of data sets.

use std::borrow::Cow;

use anyhow::{Context, Result, bail, ensure};

mod call;
mod machine;

/// Index of a value in [`Pickle::nodes`].
type Id = u32;

/// A value. Texts and bytes are decoded only when they are read, so that a text used many times is stored once.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    Bytes(&'a [u8]),
    /// The text between the quotes of a string literal of Python 2.
    Literal(&'a [u8]),
    Utf8(&'a [u8]),
    /// Text in Latin-1 with `\uXXXX` for other characters, as in protocol 0.
    RawUnicode(&'a [u8]),
    /// The Latin-1 bytes of a text.
    Latin1(Id),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(GlobalName),
    /// A type of array elements, by the value with its name.
    Dtype(Id),
    /// An array; `None` before its state is set.
    Array(Option<ArrayParts>),
}

/// A function or class that a pickle may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GlobalName {
    /// `numpy.core.multiarray._reconstruct`: returns an array without a state.
    Reconstruct,
    /// `numpy.core.numeric._frombuffer`: returns an array of protocol 5.
    FromBuffer,
    /// `numpy.ndarray`, an argument of `_reconstruct`.
    Ndarray,
    /// `numpy.dtype`.
    Dtype,
    /// `_codecs.encode`: returns bytes, as Python 3 writes them for Python 2.
    Encode,
}

/// The state of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ArrayParts {
    shape: Id,
    dtype: Id,
    /// Whether the order is that of Fortran: the first index varies fastest.
    is_fortran: bool,
    bytes: Id,
}

/// A pickled dictionary.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    /// Key and value of each entry.
    entries: Vec<(Id, Id)>,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle of protocol 0 to 5.
    ///
    /// # Errors
    /// Fails if an opcode, function or argument is not supported (the error has its name and byte), and if the pickle
    /// is cut short or is not a dictionary.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let (nodes, root) = machine::run(bytes)?;
        let Node::Dict(entries) = nodes[root as usize].clone() else { bail!("it holds no dictionary") };
        Ok(Self { nodes, entries })
    }

    /// Returns the shape of the array `key` and its unsigned bytes in C order.
    ///
    /// # Errors
    /// Fails if there is no such array, or if it has another type or order.
    pub(super) fn array(&self, key: &str) -> Result<(Vec<i64>, Cow<'a, [u8]>)> {
        let Node::Array(Some(array)) = self.get(key)? else { bail!("its `{key}` is no array") };
        let Node::Dtype(dtype) = self.node(array.dtype) else { bail!("the array `{key}` has no type") };
        let dtype = short_text(&self.nodes, *dtype).unwrap_or_default();
        let is_bytes = [&b"u1"[..], b"|u1", b"uint8", b"B"].contains(&&*dtype);
        let name = String::from_utf8_lossy(&dtype);
        ensure!(is_bytes, "the array `{key}` is of type `{}` instead of `u1`, unsigned bytes", name.escape_debug());
        ensure!(!array.is_fortran, "the array `{key}` is in Fortran order: save it in C order");
        let shape = self.list(array.shape).with_context(|| format!("the array `{key}` has no shape"))?;
        let bytes = self.bytes(array.bytes).with_context(|| format!("the array `{key}` has no bytes"))?;
        ensure!(shape.len() <= MAX_DIMENSIONS, "the array `{key}` has {} dimensions", shape.len());
        let size = shape.iter().try_fold(1_i64, |size, &n| size.checked_mul(n).filter(|_| n >= 0));
        let has_size = size.is_some_and(|size| size == bytes.len() as i64);
        ensure!(has_size, "the array `{key}` has {} bytes, which is not the size of its shape {shape:?}", bytes.len());
        Ok((shape, bytes))
    }

    /// Returns the integers of the list `key`.
    ///
    /// # Errors
    /// Fails if there is no list of integers `key`.
    pub(super) fn numbers(&self, key: &str) -> Result<Vec<i64>> {
        let Node::List(list) = self.get(key)? else { bail!("its `{key}` is no list") };
        self.ints(list).with_context(|| format!("its `{key}` is no list of whole numbers"))
    }

    /// Returns the value of `key`.
    fn get(&self, key: &str) -> Result<&Node<'a>> {
        // If a key occurs several times, its last entry is used, as in Python.
        let is_key = |name: Id| short_text(&self.nodes, name).as_deref() == Some(key.as_bytes());
        let found = self.entries.iter().rev().find(|(name, _)| is_key(*name));
        if let Some((_, value)) = found {
            return Ok(self.node(*value));
        }
        let keys: Vec<String> = self.entries.iter().take(9).filter_map(|(name, _)| self.shown(*name)).collect();
        bail!("it has no `{key}`, but {}", if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") })
    }

    /// Returns a key for a message, at most 40 characters of it.
    fn shown(&self, id: Id) -> Option<String> {
        let name = short_text(&self.nodes, id)?;
        let name: String = String::from_utf8_lossy(&name).chars().take(40).collect();
        Some(format!("`{}`", name.escape_debug()))
    }

    fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id as usize]
    }

    /// Returns the integers of a tuple or list.
    fn list(&self, id: Id) -> Option<Vec<i64>> {
        let (Node::Tuple(list) | Node::List(list)) = self.node(id) else { return None };
        self.ints(list)
    }

    /// Returns the values of `list` as integers; `None` if one is not.
    fn ints(&self, list: &[Id]) -> Option<Vec<i64>> {
        let int = |&id: &Id| if let Node::Int(value) = self.node(id) { Some(*value) } else { None };
        list.iter().map(int).collect()
    }

    /// Returns the bytes of a text or of bytes.
    fn bytes(&self, id: Id) -> Option<Cow<'a, [u8]>> {
        text_bytes(&self.nodes, id)
    }
}

/// Largest number of dimensions of an array.
const MAX_DIMENSIONS: usize = 4;

/// Largest number of bytes of a text that is read again and again: of a key, a type or a name, as it is in the file.
const MAX_SHORT_TEXT: usize = 1000;

/// Like [`text_bytes`], but `None` for a text longer than any key or name. A long text may be used a million times, and
/// decoding it each time would take hours.
fn short_text<'a>(nodes: &[Node<'a>], id: Id) -> Option<Cow<'a, [u8]>> {
    let raw = match &nodes[id as usize] {
        Node::Latin1(id) => &nodes[*id as usize],
        node => node,
    };
    let (Node::Bytes(raw) | Node::Literal(raw) | Node::Utf8(raw) | Node::RawUnicode(raw)) = raw else { return None };
    if raw.len() <= MAX_SHORT_TEXT { text_bytes(nodes, id) } else { None }
}

/// Returns the bytes of a text or of bytes; `None` for another value and for a text with invalid escapes.
fn text_bytes<'a>(nodes: &[Node<'a>], id: Id) -> Option<Cow<'a, [u8]>> {
    match &nodes[id as usize] {
        Node::Bytes(bytes) | Node::Utf8(bytes) => Some(Cow::Borrowed(bytes)),
        Node::Literal(literal) => unescape(literal).map(Cow::Owned),
        Node::RawUnicode(raw) => {
            let text: Option<String> = raw_unicode(raw).collect();
            Some(Cow::Owned(text?.into_bytes()))
        }
        Node::Latin1(id) => {
            let latin1 = |c: char| u8::try_from(u32::from(c)).ok();
            let bytes: Option<Vec<u8>> = match &nodes[*id as usize] {
                Node::Utf8(text) => std::str::from_utf8(text).ok()?.chars().map(latin1).collect(),
                Node::RawUnicode(raw) => raw_unicode(raw).map(|c| c.and_then(latin1)).collect(),
                _ => None,
            };
            bytes.map(Cow::Owned)
        }
        _ => None,
    }
}

/// Returns the bytes of a string literal of Python 2 without its quotes; `None` for an invalid escape.
fn unescape(literal: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = literal.iter().copied();
    while let Some(byte) = rest.next() {
        let unescaped = match (byte, if byte == b'\\' { rest.next()? } else { 0 }) {
            (b'\\', b'n') => b'\n',
            (b'\\', b'r') => b'\r',
            (b'\\', b't') => b'\t',
            (b'\\', quoted @ (b'\\' | b'\'' | b'"')) => quoted,
            (b'\\', b'x') => (digit(rest.next()?)? << 4 | digit(rest.next()?)?) as u8,
            (b'\\', _) => return None,
            (plain, _) => plain,
        };
        bytes.push(unescaped);
    }
    Some(bytes)
}

/// Returns the characters of a text of protocol 0; `None` for an escape that is not a character.
fn raw_unicode(raw: &[u8]) -> impl Iterator<Item = Option<char>> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        let digits = match tail.first() {
            Some(b'u') if first == b'\\' => 4,
            Some(b'U') if first == b'\\' => 8,
            _ => {
                rest = tail;
                return Some(Some(char::from(first)));
            }
        };
        let code = tail.get(1..=digits);
        rest = tail.get(1 + digits..).unwrap_or_default();
        let code = code.and_then(|code| code.iter().try_fold(0, |sum, &c| Some(sum << 4 | digit(c)?)));
        Some(code.and_then(char::from_u32))
    })
}

/// Returns the value of a hexadecimal digit.
fn digit(letter: u8) -> Option<u32> {
    char::from(letter).to_digit(16)
}

#[cfg(test)]
mod tests;
