//! The stack machine that interprets a pickle: stack, memo, and the opcodes that make values.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::{Id, Node, text};

/// Largest number of opcodes: it bounds the memory of a pickle. A batch of CIFAR-100 has about 400,000.
const MAX_OPCODES: usize = 4_000_000;

/// The state of the machine between two opcodes.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    /// Offset of the next byte.
    position: usize,
    /// All values made so far.
    pub(super) nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Marked heights of the stack.
    marks: Vec<usize>,
    /// Values by their number in the memo.
    memo: BTreeMap<u64, Id>,
}

/// Interprets a pickle and returns all values and the one that it ends with.
///
/// # Errors
/// Fails for an opcode that is not supported or has no matching operands, with its byte.
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
    /// Executes one opcode.
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // PROTO and FRAME make no value.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Node::None),
            0x88 | 0x89 => self.push(Node::Bool(opcode == 0x88)),
            b'I' | b'L' | b'J' | b'K' | b'M' | 0x8A => self.number(opcode)?,
            b'S' | b'T' | b'U' | b'V' | b'X' | b'B' | b'C' | 0x8C..=0x8E | 0x96 => self.text(opcode)?,
            b')' | b't' | 0x85..=0x87 => self.tuple(opcode)?,
            b']' | b'l' | b'a' | b'e' => self.list(opcode)?,
            b'}' | b'd' | b's' | b'u' => self.dict(opcode)?,
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.memo(opcode)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (text(&self.nodes, module), text(&self.nodes, name));
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
    /// Fails if there is none.
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
    /// Fails for an empty stack.
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
            0x8A => {
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
            b'U' | b'C' | 0x8C => 1,
            b'T' | b'X' | b'B' => 4,
            _ => 8,
        };
        let length = usize::try_from(self.unsigned(width)?).context("its length is no length")?;
        let content = self.take(length)?;
        let is_text = matches!(opcode, b'X' | 0x8C | 0x8D);
        self.push(if is_text { Node::Utf8(content) } else { Node::Bytes(content) });
        Ok(())
    }

    /// Executes an opcode that pushes a tuple.
    fn tuple(&mut self, opcode: u8) -> Result<()> {
        let values = match opcode {
            b')' => Vec::new(),
            b't' => self.pop_to_mark()?,
            _ => {
                let mut values = (0x85..=opcode).map(|_| self.pop()).collect::<Result<Vec<Id>>>()?;
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
            0x94 => self.memo.len() as u64,
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
