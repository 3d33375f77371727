//! The stack machine that interprets a pickle: stack, memo, and the opcodes that make values. The opcodes are those of
//! Python's module `pickletools`: bytes that are letters are written as letters, the others have a constant here.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::{Id, Node, short_text};

/// Protocol number of the pickle.
const PROTO: u8 = 0x80;
/// A tuple of one value; [`TUPLE3`] is the last of three opcodes for one to three values.
const TUPLE1: u8 = 0x85;
/// A tuple of three values.
const TUPLE3: u8 = 0x87;
/// `True`.
const NEWTRUE: u8 = 0x88;
/// `False`.
const NEWFALSE: u8 = 0x89;
/// An integer with its number of bytes in one byte.
const LONG1: u8 = 0x8A;
/// UTF-8 text with its length in one byte.
const SHORT_BINUNICODE: u8 = 0x8C;
/// UTF-8 text with its length in eight bytes.
const BINUNICODE8: u8 = 0x8D;
/// Bytes with their length in eight bytes.
const BINBYTES8: u8 = 0x8E;
/// A function or class, by module and name on the stack.
const STACK_GLOBAL: u8 = 0x93;
/// Stores the value on top of the stack under the next free index of the memo.
const MEMOIZE: u8 = 0x94;
/// The length of the following opcodes.
const FRAME: u8 = 0x95;
/// Mutable bytes with their length in eight bytes.
const BYTEARRAY8: u8 = 0x96;

/// Largest number of opcodes: it bounds the memory of a pickle. A batch of CIFAR-100 has about 400,000.
const MAX_OPCODES: usize = 4_000_000;

/// The state of the machine between two opcodes.
pub(super) struct Machine<'a> {
    /// The pickle.
    bytes: &'a [u8],
    /// Offset of the next byte.
    position: usize,
    /// All values made so far.
    pub(super) nodes: Vec<Node<'a>>,
    /// Values on the stack, the topmost last.
    stack: Vec<Id>,
    /// Heights of the stack at which the opcode MARK (`(`) was executed.
    marks: Vec<usize>,
    /// Values by their index in the memo.
    memo: BTreeMap<u64, Id>,
}

/// Interprets a pickle and returns all values and the one that it ends with.
///
/// # Errors
/// Fails if an opcode is not supported or has no matching operands; the error has its byte.
pub(super) fn run(bytes: &[u8]) -> Result<(Vec<Node<'_>>, Id)> {
    let mut machine =
        Machine { bytes, position: 0, nodes: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new() };
    for _ in 0..MAX_OPCODES {
        let position = machine.position;
        let opcode = machine.byte()?;
        if opcode == b'.' {
            let root = machine.pop().with_context(|| describe(opcode, position))?;
            return Ok((machine.nodes, root));
        }
        machine.step(opcode).with_context(|| describe(opcode, position))?;
    }
    bail!("it has more than {MAX_OPCODES} opcodes")
}

/// Describes an opcode for a message.
fn describe(opcode: u8, position: usize) -> String {
    let letter = if opcode.is_ascii_graphic() { format!(" (`{}`)", char::from(opcode)) } else { String::new() };
    format!("opcode {opcode:#04x}{letter} at byte {position}")
}

impl<'a> Machine<'a> {
    /// Executes one opcode other than STOP (`.`).
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // These two make no value.
            PROTO => drop(self.take(1)?),
            FRAME => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Node::None),
            NEWTRUE | NEWFALSE => self.push(Node::Bool(opcode == NEWTRUE)),
            b'I' | b'L' | b'J' | b'K' | b'M' | LONG1 => self.number(opcode)?,
            b'S' | b'T' | b'U' | b'V' | b'X' | b'B' | b'C' | SHORT_BINUNICODE | BINUNICODE8 | BINBYTES8
            | BYTEARRAY8 => {
                self.text(opcode)?;
            }
            b')' | b't' | TUPLE1..=TUPLE3 => self.tuple(opcode)?,
            b']' | b'l' | b'a' | b'e' => self.list(opcode)?,
            b'}' | b'd' | b's' | b'u' => self.dict(opcode)?,
            b'p' | b'q' | b'r' | MEMOIZE | b'g' | b'h' | b'j' => self.memo(opcode)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (short_text(&self.nodes, module), short_text(&self.nodes, name));
                self.global(&module.context("its module is no text")?, &name.context("its name is no text")?)?;
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            _ => bail!("this opcode does not occur in the batches of CIFAR"),
        }
        Ok(())
    }

    /// Reads the next `count` bytes.
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let bytes: &'a [u8] = self.bytes;
        let taken = bytes[self.position..].get(..count);
        let taken = taken.with_context(|| format!("{count} bytes from byte {} go beyond the end", self.position))?;
        self.position += count;
        Ok(taken)
    }

    /// Reads the next byte.
    fn byte(&mut self) -> Result<u8> {
        let end = self.bytes.len();
        Ok(self.take(1).with_context(|| format!("it is cut short: it has no end at byte {end}"))?[0])
    }

    /// Reads a little-endian number of `count` bytes, at most eight.
    fn unsigned(&mut self, count: usize) -> Result<u64> {
        Ok(self.take(count)?.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    /// Reads to the end of the line and returns the bytes before it.
    fn line(&mut self) -> Result<&'a [u8]> {
        let length =
            self.bytes[self.position..].iter().position(|&byte| byte == b'\n').context("its line has no end")?;
        let line = self.take(length)?;
        self.position += 1;
        Ok(line)
    }

    /// Pushes a new value.
    pub(super) fn push(&mut self, node: Node<'a>) {
        self.nodes.push(node);
        self.stack.push(self.nodes.len() as Id - 1);
    }

    /// Pops the topmost value above the last mark.
    ///
    /// # Errors
    /// Fails if there is no such value.
    pub(super) fn pop(&mut self) -> Result<Id> {
        let is_covered = self.marks.last().is_some_and(|&mark| mark >= self.stack.len());
        self.stack.pop().filter(|_| !is_covered).context("nothing is on the stack")
    }

    /// Pops the last mark and all values above it.
    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().context("no mark is on the stack")?;
        ensure!(mark <= self.stack.len(), "its mark is gone");
        Ok(self.stack.split_off(mark))
    }

    /// Returns the topmost value without popping it.
    ///
    /// # Errors
    /// Fails if the stack is empty.
    pub(super) fn top(&mut self) -> Result<&mut Node<'a>> {
        let id = *self.stack.last().context("nothing is on the stack")?;
        Ok(&mut self.nodes[id as usize])
    }

    /// Executes an opcode that pushes a number.
    fn number(&mut self, opcode: u8) -> Result<()> {
        let node = match opcode {
            b'K' => Node::Int(self.unsigned(1)? as i64),
            b'M' => Node::Int(self.unsigned(2)? as i64),
            b'J' => Node::Int(i64::from(self.unsigned(4)? as u32 as i32)),
            LONG1 => {
                let count = self.unsigned(1)? as usize;
                ensure!(count <= 8, "the number has {count} bytes");
                let shift = 64 - 8 * count as u32;
                let value = self.unsigned(count)? as i64;
                Node::Int(if count == 0 { 0 } else { value << shift >> shift })
            }
            _ => match self.line()? {
                b"00" => Node::Bool(false),
                b"01" => Node::Bool(true),
                line => {
                    let digits = std::str::from_utf8(line).unwrap_or_default().trim_end_matches('L');
                    Node::Int(digits.parse().context("it is no whole number of 64 bits")?)
                }
            },
        };
        self.push(node);
        Ok(())
    }

    /// Executes an opcode that pushes a text or bytes.
    fn text(&mut self, opcode: u8) -> Result<()> {
        if opcode == b'V' {
            let line = self.line()?;
            self.push(Node::RawUnicode(line));
            return Ok(());
        }
        if opcode == b'S' {
            let line = self.line()?;
            let quoted = |quote: &[u8]| line.strip_prefix(quote)?.strip_suffix(quote);
            let literal = quoted(b"'").or_else(|| quoted(b"\"")).context("the string has no quotes")?;
            self.push(Node::Literal(literal));
            return Ok(());
        }
        let width = match opcode {
            b'U' | b'C' | SHORT_BINUNICODE => 1,
            b'T' | b'X' | b'B' => 4,
            _ => 8,
        };
        let length = usize::try_from(self.unsigned(width)?).context("its length is no length")?;
        let content = self.take(length)?;
        let is_text = matches!(opcode, b'X' | SHORT_BINUNICODE | BINUNICODE8);
        self.push(if is_text { Node::Utf8(content) } else { Node::Bytes(content) });
        Ok(())
    }

    /// Executes an opcode that pushes a tuple.
    fn tuple(&mut self, opcode: u8) -> Result<()> {
        let values = match opcode {
            b')' => Vec::new(),
            b't' => self.pop_to_mark()?,
            _ => {
                let mut values = (TUPLE1..=opcode).map(|_| self.pop()).collect::<Result<Vec<Id>>>()?;
                values.reverse();
                values
            }
        };
        self.push(Node::Tuple(values));
        Ok(())
    }

    /// Executes an opcode that pushes or extends a list.
    fn list(&mut self, opcode: u8) -> Result<()> {
        let values = match opcode {
            b']' => Vec::new(),
            b'a' => vec![self.pop()?],
            _ => self.pop_to_mark()?,
        };
        if matches!(opcode, b']' | b'l') {
            self.push(Node::List(values));
            return Ok(());
        }
        let Node::List(list) = self.top()? else { bail!("it adds to what is no list") };
        list.extend(values);
        Ok(())
    }

    /// Executes an opcode that pushes or extends a dictionary.
    fn dict(&mut self, opcode: u8) -> Result<()> {
        let values = match opcode {
            b'}' => Vec::new(),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                vec![key, value]
            }
            _ => self.pop_to_mark()?,
        };
        ensure!(values.len() % 2 == 0, "a key has no value");
        let entries = values.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        if matches!(opcode, b'}' | b'd') {
            self.push(Node::Dict(entries.collect()));
            return Ok(());
        }
        let Node::Dict(dict) = self.top()? else { bail!("it adds to what is no dictionary") };
        dict.extend(entries);
        Ok(())
    }

    /// Executes an opcode that stores a value in the memo or pushes one from it.
    fn memo(&mut self, opcode: u8) -> Result<()> {
        let index = match opcode {
            b'q' | b'h' => self.unsigned(1)?,
            b'r' | b'j' => self.unsigned(4)?,
            MEMOIZE => self.memo.len() as u64,
            _ => {
                let line = std::str::from_utf8(self.line()?).unwrap_or_default();
                line.parse().context("its place in the memo is no number")?
            }
        };
        if matches!(opcode, b'g' | b'h' | b'j') {
            let id =
                *self.memo.get(&index).with_context(|| format!("nothing was put into place {index} of the memo"))?;
            self.stack.push(id);
        } else {
            self.memo.insert(index, *self.stack.last().context("nothing is on the stack")?);
        }
        Ok(())
    }
}
