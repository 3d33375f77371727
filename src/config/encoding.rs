//! From the bytes of a configuration to its text: marks that editors add, and encodings other than UTF-8.

use std::io::{self, Read};

/// The name of standard input in messages.
pub const STDIN: &str = "<stdin>";

/// The byte order mark.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Largest length of a configuration in bytes.
const MAX_BYTES: u64 = 1 << 22;

/// Reads the bytes of a configuration to their end, or one byte more than [`decode`] accepts: a device such as
/// `/dev/zero` never ends.
///
/// # Errors
/// Fails if the bytes cannot be read.
pub fn read_bytes(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decodes the UTF-8 text of the file `name`.
///
/// # Errors
/// Returns a message with a hint if the text is longer than 4 MiB, has another encoding ("is not text in UTF-8, but in
/// UTF-16") or zero bytes.
pub fn decode(name: &str, bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() as u64 > MAX_BYTES {
        let hint = "the largest configurations have a few kilobytes";
        return Err(format!("error: `{name}` is no configuration: it is longer than 4 MiB\n\nhint: {hint}"));
    }
    if let Some(encoding) = other_unicode(&bytes) {
        let hint = format!(
            "save it as UTF-8: in the editor, in PowerShell with `Set-Content -Encoding utf8`, or by `iconv -f {encoding} \
             -t UTF-8`"
        );
        return Err(format!("error: `{name}` is not text in UTF-8, but in {encoding}\n\nhint: {hint}"));
    }
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return zero_bytes(name, &text).map_or(Ok(text), Err),
        Err(error) => error,
    };
    let valid = bytes.utf8_error().valid_up_to();
    let bytes = bytes.into_bytes();
    let before = String::from_utf8_lossy(&bytes[..valid]).into_owned();
    let (line, column) = position(&before, valid);
    let byte = bytes[valid];
    let letter = if byte >= 0xA0 { format!(", `{}` in Latin-1", char::from(byte)) } else { String::new() };
    let hint = "save the file as UTF-8: in the editor, or by `iconv -f LATIN1 -t UTF-8` where it is Latin-1";
    Err(format!(
        "error: `{name}` is not text in UTF-8: byte 0x{byte:02X}{letter}\n  --> {name}:{line}:{column}\n\nhint: {hint}"
    ))
}

/// Returns `text` without a byte order mark at its start and without the Ctrl-Z (0x1A) that DOS editors add at its end.
pub(super) fn strip(text: &str) -> &str {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let end = text.trim_end();
    end.strip_suffix('\u{1a}').unwrap_or(text)
}

/// Returns the lines of `text`, ended by LF, CRLF or, as on old Macs, CR alone.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Returns the line and column of a byte of `text`, both from 1; columns count characters.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    // The CR before the byte may be the first half of a CRLF.
    let splits_crlf = before.ends_with('\r') && text[before.len()..].starts_with('\n');
    let (line, column) = lines(before).enumerate().last().map_or((0, 0), |(n, line)| (n, line.chars().count()));
    let is_ended = before.ends_with('\r') && !splits_crlf;
    if is_ended { (line + 2, 1) } else { (line + 1, column + 1) }
}

/// Returns line `number` of `text`, from 1, as a terminal can show it: control characters and invisible characters are
/// replaced.
pub(super) fn line(text: &str, number: usize) -> String {
    let shown = |c: char| {
        let is_hidden = c.is_control() && c != '\t' || super::mistakes::replacement::is_invisible(c);
        if is_hidden { char::REPLACEMENT_CHARACTER } else { c }
    };
    lines(text).nth(number - 1).unwrap_or_default().chars().map(shown).collect()
}

/// Returns the byte of the first CR that is not part of a CRLF.
pub(super) fn lone_carriage_return(text: &str) -> Option<usize> {
    text.match_indices('\r').map(|(byte, _)| byte).find(|byte| !text[byte + 1..].starts_with('\n'))
}

/// Returns the name of the encoding if it is UTF-16 or UTF-32, with or without a byte order mark.
fn other_unicode(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0xFF, 0xFE, 0, 0]) || bytes.starts_with(&[0, 0, 0xFE, 0xFF]) {
        return Some("UTF-32");
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Some("UTF-16");
    }
    // ASCII in UTF-16 has a zero in every second byte. Zeros are counted separately at even and odd positions, in the
    // first 512 bytes.
    let head = &bytes[..bytes.len().min(512)];
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&byte| byte == 0).count();
    let half = head.len() / 2;
    if half < 2 {
        return None;
    }
    match (zeros(0), zeros(1)) {
        (0, odd) if 2 * odd > half => Some("UTF-16LE"),
        (even, 0) if 2 * even > half => Some("UTF-16BE"),
        _ => None,
    }
}

/// Returns the message about zero bytes in a text, if it has any. A crash or a full disk leaves zero bytes: part of the
/// text may be lost.
fn zero_bytes(name: &str, text: &str) -> Option<String> {
    let first = text.find('\0')?;
    let (line, column) = position(text, first);
    let count = text.matches('\0').count();
    let bytes = if count == 1 { "a zero byte".to_owned() } else { format!("{count} zero bytes") };
    let hint = "a crash or a full disk leaves these: see whether the end of the file is missing, and remove them";
    Some(format!("error: `{name}` has {bytes} in it\n  --> {name}:{line}:{column}\n\nhint: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, is_little: bool) -> Vec<u8> {
        let bytes = |unit: u16| if is_little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn utf_16_and_utf_32_are_named_with_and_without_a_mark() {
        let text = "name = \"größe\"\nrounds = 3\n";
        let message = |bytes: Vec<u8>| decode("a.toml", bytes).unwrap_err();
        for is_little in [true, false] {
            let encoding = if is_little { "but in UTF-16LE" } else { "but in UTF-16BE" };
            assert!(message(utf16(text, is_little)).contains(encoding));
            assert!(message(utf16(&format!("\u{feff}{text}"), is_little)).contains("but in UTF-16\n"));
        }
        assert!(message(vec![0xFF, 0xFE, 0, 0, b'a', 0, 0, 0]).contains("UTF-32"));
        assert_eq!(decode("a.toml", text.into()).unwrap(), text);
    }

    #[test]
    fn latin_1_and_zero_bytes_are_named_with_their_place() {
        let latin = decode("a.toml", b"# a\nname = \"gr\xf6\xdfe\"".to_vec()).unwrap_err();
        assert!(latin.contains("byte 0xF6, `ö` in Latin-1\n  --> a.toml:2:11"), "{latin}");
        let zeros = decode("a.toml", b"seed = 1\n\0\0\0".to_vec()).unwrap_err();
        assert!(zeros.contains("3 zero bytes") && zeros.contains("a.toml:2:1"), "{zeros}");
    }

    #[test]
    fn byte_order_mark_and_ctrl_z_are_stripped() {
        assert_eq!(strip("\u{feff}a = 1\n"), "a = 1\n");
        assert_eq!(strip("a = 1\n\u{1a}\n"), "a = 1\n");
        assert_eq!(strip("a = 1\n\n"), "a = 1\n\n");
        assert_eq!(strip("a = \"\u{1a}\""), "a = \"\u{1a}\"");
    }
}
