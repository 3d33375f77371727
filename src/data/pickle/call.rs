//! The opcodes of a pickle that name, call and set up objects: GLOBAL, REDUCE and BUILD. No function is executed: a
//! call only records its arguments.

use anyhow::{Result, bail, ensure};

use super::machine::Machine;
use super::{ArrayParts, GlobalName, Node, short_text};

impl Machine<'_> {
    /// Pushes the function or class `name` of `module` (opcodes `c`, GLOBAL, and `STACK_GLOBAL`).
    ///
    /// # Errors
    /// Fails if the name is not supported: batches of CIFAR do not use it.
    pub(super) fn global(&mut self, module: &[u8], name: &[u8]) -> Result<()> {
        let global = match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => GlobalName::Reconstruct,
            (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => GlobalName::FromBuffer,
            (b"numpy", b"ndarray") => GlobalName::Ndarray,
            (b"numpy", b"dtype") => GlobalName::Dtype,
            (b"_codecs", b"encode") => GlobalName::Encode,
            _ => {
                let shown =
                    |text: &[u8]| String::from_utf8_lossy(&text[..text.len().min(60)]).escape_debug().to_string();
                bail!(
                    "it names `{} {}`, which no pickled batch needs and which is not run",
                    shown(module),
                    shown(name)
                );
            }
        };
        self.push(Node::Global(global));
        Ok(())
    }

    /// Pops a function and its arguments and pushes the result (opcode `R`, REDUCE).
    ///
    /// # Errors
    /// Fails if the function does not take such arguments.
    pub(super) fn reduce(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Node::Tuple(arguments) = &self.nodes[arguments as usize] else { bail!("its arguments are no tuple") };
        let Node::Global(function) = &self.nodes[function as usize] else { bail!("it calls what is no function") };
        let node = match (function, arguments.as_slice()) {
            (GlobalName::Encode, &[characters, encoding]) => {
                let encoding = short_text(&self.nodes, encoding).unwrap_or_default();
                ensure!([&b"latin1"[..], b"latin-1"].contains(&&*encoding), "it encodes as anything but `latin1`");
                Node::Latin1(characters)
            }
            (GlobalName::Reconstruct, &[class, ..]) => {
                let is_array = self.nodes[class as usize] == Node::Global(GlobalName::Ndarray);
                ensure!(is_array, "it makes something other than an `ndarray`");
                Node::Array(None)
            }
            (GlobalName::Dtype, &[name, ..]) => Node::Dtype(name),
            (GlobalName::FromBuffer, &[bytes, dtype, shape, order]) => {
                let is_fortran = short_text(&self.nodes, order).as_deref() != Some(b"C");
                Node::Array(Some(ArrayParts { shape, dtype, is_fortran, bytes }))
            }
            (function, arguments) => bail!("it calls {function:?} with {} arguments", arguments.len()),
        };
        self.push(node);
        Ok(())
    }

    /// Pops the state of the array or type on top of the stack and sets it (opcode `b`, BUILD).
    ///
    /// # Errors
    /// Fails if the state has another shape, or if the value on top is not an array or a type.
    pub(super) fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let Node::Tuple(state) = self.nodes[state as usize].clone() else { bail!("its state is no tuple") };
        let fortran = state.get(3).map(|&id| self.nodes[id as usize].clone());
        match (self.top()?, state.as_slice()) {
            // The state of a type is its byte order and fields, which single bytes do not have: it is ignored.
            (Node::Dtype(_), _) => {}
            (Node::Array(array), &[_, shape, dtype, _, bytes]) => {
                let is_fortran = !matches!(fortran, Some(Node::Bool(false) | Node::Int(0)));
                *array = Some(ArrayParts { shape, dtype, is_fortran, bytes });
            }
            _ => bail!("it gives a state to what is no array"),
        }
        Ok(())
    }
}
