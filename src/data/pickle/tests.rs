//! Pickles by hand, opcode by opcode, as Python 2 and Python 3 write them.

use super::*;

/// A pickle of protocol 2 as Python 2 writes a dictionary: `entries` are pairs of key and value.
fn dictionary(entries: &[&[u8]]) -> Vec<u8> {
    [&b"\x80\x02}q\x01("[..], &entries.concat(), b"u."].concat()
}

/// A short string of Python 2.
fn short(text: &str) -> Vec<u8> {
    [&[b'U', text.len() as u8][..], text.as_bytes()].concat()
}

/// An array of unsigned bytes of 2×3 as Python 2 writes it, `raw` being the opcodes of its bytes.
fn array(raw: &[u8]) -> Vec<u8> {
    [
        &b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02K\x03\x86"[..],
        b"cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
        raw,
        b"tb",
    ]
    .concat()
}

fn pixels(pickle: &[u8]) -> Result<(Vec<i64>, Vec<u8>)> {
    let (shape, bytes) = Pickle::read(pickle)?.array("data")?;
    Ok((shape, bytes.into_owned()))
}

fn message(pickle: &[u8]) -> String {
    format!("{:#}", pixels(pickle).unwrap_err())
}

#[test]
fn pickle_of_python_2_protocol_2_is_read() {
    let raw = b"T\x06\x00\x00\x00\x01\x02\x03\xfd\xfe\xff";
    let labels = [&short("labels")[..], b"]q\x03(K\x09M\x2c\x01J\xff\xff\xff\xff\x8a\x01\xffe"].concat();
    let pickle = dictionary(&[&short("data"), &array(raw), &labels]);
    assert_eq!(pixels(&pickle).unwrap(), (vec![2, 3], vec![1, 2, 3, 0xFD, 0xFE, 0xFF]));
    let read = Pickle::read(&pickle).unwrap();
    assert_eq!(read.numbers("labels").unwrap(), [9, 300, -1, -1]);
    assert_eq!(read.numbers("fine_labels").unwrap_err().to_string(), "it has no `fine_labels`, but `data`, `labels`");
    assert_eq!(read.numbers("data").unwrap_err().to_string(), "its `data` is no list");
    assert_eq!(read.array("labels").unwrap_err().to_string(), "its `labels` is no array");
}

#[test]
fn pickle_bytes_of_each_protocol_are_read() {
    let six = vec![0, b'\n', b'\\', b'\'', 0xE9, b'a'];
    let raws: [&[u8]; 8] = [
        b"S'\\x00\\n\\\\\\'\\xe9a'\n",
        b"U\x06\0\n\\'\xe9a",
        b"T\x06\0\0\0\0\n\\'\xe9a",
        b"c_codecs\nencode\n(X\x07\0\0\0\0\n\\'\xc3\xa9aX\x06\0\0\0latin1tR",
        b"c_codecs\nencode\n(V\\u0000\\u000a\\u005c'\xe9a\nVlatin1\ntR",
        b"C\x06\0\n\\'\xe9a",
        b"\x8e\x06\0\0\0\0\0\0\0\0\n\\'\xe9a",
        b"\x96\x06\0\0\0\0\0\0\0\0\n\\'\xe9a",
    ];
    for raw in raws {
        let pickle = dictionary(&[&short("data"), &array(raw)]);
        assert_eq!(pixels(&pickle).unwrap(), (vec![2, 3], six.clone()), "{}", raw.escape_ascii());
    }
}

#[test]
fn pickle_protocols_0_and_5_are_read() {
    let zero = b"(dp1\nS'labels'\np2\n(lp3\nI7\naL8L\nas.";
    assert_eq!(Pickle::read(zero).unwrap().numbers("labels").unwrap(), [7, 8]);
    let five = [
        &b"\x80\x05\x95\0\0\0\0\0\0\0\0}\x94\x8c\x04data\x94\x8c\x13numpy._core.numeric\x94\x8c\x0b_frombuffer\x94\x93\x94("[..],
        b"\x96\x02\0\0\0\0\0\0\0\x05\x06\x94\x8c\x05numpy\x94\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94",
        b"K\x02\x85\x94\x8c\x01C\x94t\x94R\x94s.",
    ]
    .concat();
    assert_eq!(pixels(&five).unwrap(), (vec![2], vec![5, 6]));
}

#[test]
fn pickle_is_never_executed() {
    let system = b"cos\nsystem\n(S'echo'\ntR.";
    let text = message(system);
    assert!(text.starts_with("opcode 0x63 (`c`) at byte 0: it names `os system`"), "{text}");
    let stacked = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.";
    assert!(message(stacked).starts_with("opcode 0x93 at byte 18: it names `builtins eval`"), "{}", message(stacked));
    // INST, OBJ, NEWOBJ, EXT1, PERSID, NEXT_BUFFER.
    for opcode in [b'i', b'o', 0x81, 0x82, b'P', 0x97] {
        let text = message(&[b'}', opcode]);
        assert!(text.starts_with(&format!("opcode {opcode:#04x}")), "{text}");
        assert!(text.ends_with("at byte 1: this opcode does not occur in the batches of CIFAR"), "{text}");
    }
    let other = b"cnumpy\ndtype\ncnumpy\ndtype\n\x85Rcnumpy\nndarray\n)R.";
    assert!(message(other).ends_with("it calls Ndarray with 0 arguments"), "{}", message(other));
    let other = dictionary(&[b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\n\x85RN"]);
    assert!(message(&other).ends_with("it makes something other than an `ndarray`"), "{}", message(&other));
}

#[test]
fn pickle_lengths_allocate_no_more_than_its_bytes() {
    let huge: [&[u8]; 4] = [b"T\xff\xff\xff\x7f", b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", b"U\x09", b"X\x09\0\0\0abc"];
    for raw in huge {
        assert!(message(raw).contains("go beyond the end"), "{}", message(raw));
    }
    let pickle = dictionary(&[&short("data"), &array(b"U\x05abcde")]);
    assert_eq!(message(&pickle), "the array `data` has 5 bytes, which is not the size of its shape [2, 3]");
    // Tuples of tuples of the same tuple are as many values as opcodes.
    let mut nested = b"N".to_vec();
    nested.extend(b"q\x00h\x00\x86".repeat(1000));
    nested.push(b'.');
    assert_eq!(message(&nested), "it holds no dictionary");
    assert_eq!(message(&vec![b'N'; 4_000_001]), "it has more than 4000000 opcodes");
}

#[test]
fn pickle_that_is_cut_or_invalid_is_refused() {
    let whole = dictionary(&[&short("data"), &array(b"U\x06abcdef")]);
    assert!(pixels(&whole).is_ok());
    for end in 0..whole.len() {
        assert!(pixels(&whole[..end]).is_err(), "{end}");
    }
    assert!(message(&whole[..whole.len() - 1]).contains("it is cut short"));
    for nonsense in
        [&b"."[..], b"t.", b"a.", b"u.", b"e.", b"b.", b"R.", b"h\x07.", b"(a.", b"NNs.", b"}(Nu.", b"\x93."]
    {
        assert!(pixels(nonsense).is_err(), "{}", nonsense.escape_ascii());
    }
    for at in 0..whole.len() {
        let mut other = whole.clone();
        other[at] ^= 0x55;
        let _ = pixels(&other);
    }
}

#[test]
fn pickle_error_names_type_of_other_arrays() {
    let swap = |pickle: &[u8], from: &[u8], to: &[u8]| {
        let at = pickle.windows(from.len()).position(|window| window == from).unwrap();
        [&pickle[..at], to, &pickle[at + from.len()..]].concat()
    };
    let whole = dictionary(&[&short("data"), &array(b"U\x06abcdef")]);
    assert!(message(&swap(&whole, b"u1", b"f4")).ends_with("is of type `f4` instead of `u1`, unsigned bytes"));
    assert!(message(&swap(&whole, b"\x89U", b"\x88U")).contains("is in Fortran order"));
    assert!(message(&swap(&whole, b"data", b"Data")).ends_with("it has no `data`, but `Data`"));
}

// regression: a text of megabytes, used as the key of every entry, was decoded once for each
#[test]
fn pickle_with_long_text_in_every_entry_is_read_at_once() {
    let long = [&b"S'"[..], &vec![b'x'; 1 << 20], b"'\nq\x00"].concat();
    let entries = b"h\x00K\x01".repeat(100_000);
    let pickle = dictionary(&[&long, b"K\x01", &entries]);
    let start = std::time::Instant::now();
    assert!(message(&pickle).starts_with("it has no `data`"));
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn pickle_array_of_many_dimensions_is_refused() {
    let flat = array(b"U\x00");
    let at = flat.windows(5).position(|window| window == b"K\x02K\x03\x86").unwrap();
    let shape = [&b"("[..], &[&b"K\x00"[..]; 1000].concat(), b"t"].concat();
    let pickle = dictionary(&[&short("data"), &flat[..at], &shape, &flat[at + 5..]]);
    assert_eq!(message(&pickle), "the array `data` has 1000 dimensions");
}
