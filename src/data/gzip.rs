//! A reader of gzip data with any number of members. Independent of paths and data sets.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// The first bytes of every member.
pub(super) const MAGIC: [u8; 2] = [0x1F, 0x8B];

/// The error for bytes after the last member that are neither another member nor padding.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{count} {} no gzip data {} the end of the compressed data, from byte {offset}",
    if *.count == 1 { "byte that is" } else { "bytes that are" },
    if *.count == 1 { "follows" } else { "follow" }
)]
pub(super) struct Trailing {
    /// Number of these bytes.
    pub(super) count: u64,
    /// Offset of these bytes in the compressed data.
    pub(super) offset: u64,
}

/// A reader of the content of all members, one after another. Zeros after a member are padding and are skipped, as
/// `gzip` and the `gzip` module of Python do; any other bytes end it with an error whose cause is [`Trailing`].
pub(super) struct MemberReader<R: BufRead> {
    /// The decoder of the current member; `None` after the last.
    decoder: Option<GzDecoder<PushbackReader<R>>>,
}

impl<R: BufRead> MemberReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { decoder: Some(GzDecoder::new(PushbackReader { inner, ahead: Vec::new(), position: 0 })) }
    }
}

impl<R: BufRead> Read for MemberReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let read = decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let rest = self.decoder.take().map(GzDecoder::into_inner);
            self.decoder = rest.map(next_member).transpose()?.flatten().map(GzDecoder::new);
        }
    }
}

/// Returns `source` at the beginning of its next member; `None` if only zeros follow.
fn next_member<R: BufRead>(mut source: PushbackReader<R>) -> io::Result<Option<PushbackReader<R>>> {
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
        let is_padding = zeros == buffer.len();
        source.consume(zeros);
        if !is_padding {
            break;
        }
    }
    let offset = source.position;
    let mut head = Vec::new();
    source.by_ref().take(MAGIC.len() as u64).read_to_end(&mut head)?;
    if head == MAGIC {
        source.push_back(head);
        return Ok(Some(source));
    }
    let count = head.len() as u64 + io::copy(&mut source, &mut io::sink())?;
    Err(io::Error::new(ErrorKind::InvalidData, Trailing { count, offset }))
}

/// A reader that counts its bytes and can take some back.
struct PushbackReader<R> {
    inner: R,
    /// Bytes that were taken back; they are read first.
    ahead: Vec<u8>,
    /// Number of bytes read.
    position: u64,
}

impl<R> PushbackReader<R> {
    fn push_back(&mut self, bytes: Vec<u8>) {
        self.position -= bytes.len() as u64;
        self.ahead = bytes;
    }
}

impl<R: BufRead> BufRead for PushbackReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead.is_empty() { self.inner.fill_buf() } else { Ok(&self.ahead) }
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount as u64;
        if self.ahead.is_empty() {
            self.inner.consume(amount);
        } else {
            self.ahead.drain(..amount);
        }
    }
}

impl<R: BufRead> Read for PushbackReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::super::container::tests::gzip;
    use super::*;

    /// Reads with a buffer of one byte, which splits every sequence, and checks that a large buffer gives the same.
    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        MemberReader::new(BufReader::with_capacity(1, bytes)).read_to_end(&mut content)?;
        let mut at_once = Vec::new();
        MemberReader::new(bytes).read_to_end(&mut at_once)?;
        assert_eq!(content, at_once);
        Ok(content)
    }

    #[test]
    fn gzip_members_are_joined_and_padding_skipped() {
        let zeros = vec![0; 100_000];
        assert_eq!(read(&gzip(b"one")).unwrap(), b"one");
        assert_eq!(read(&[gzip(b"one"), gzip(b"two")].concat()).unwrap(), b"onetwo");
        assert_eq!(read(&[gzip(b"one"), vec![0]].concat()).unwrap(), b"one");
        assert_eq!(read(&[gzip(b"one"), zeros.clone()].concat()).unwrap(), b"one");
        assert_eq!(read(&[gzip(b"one"), zeros.clone(), gzip(b"two"), zeros].concat()).unwrap(), b"onetwo");
        assert_eq!(read(&gzip(b"")).unwrap(), b"");
    }

    #[test]
    fn gzip_trailing_bytes_are_counted_and_located() {
        let whole = gzip(b"one");
        let trailing = |rest: &[u8]| {
            let error = read(&[&whole, rest].concat()).unwrap_err();
            let cause = error.get_ref().unwrap().downcast_ref::<Trailing>().unwrap();
            (cause.count, cause.offset - whole.len() as u64, cause.to_string())
        };
        let (count, offset, text) = trailing(b"no gzip data");
        assert_eq!((count, offset), (12, 0));
        assert!(text.starts_with("12 bytes that are no gzip data follow the end of the compressed data, from byte "));
        let (count, offset, _) = trailing(&[0, 0, 0, 7, 0]);
        assert_eq!((count, offset), (2, 3));
        let (count, _, text) = trailing(&[0x1F]);
        assert!(count == 1 && text.starts_with("1 byte that is no gzip data follows the end"), "{text}");
    }

    #[test]
    fn gzip_cut_member_is_not_trailing() {
        let whole = gzip(&[7; 1000]);
        for cut in [&whole[..whole.len() - 1], &[&whole[..], &whole[..5]].concat(), &whole[..3]] {
            let error = read(cut).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
        }
        let mut wrong = whole.clone();
        *wrong.iter_mut().rev().nth(6).unwrap() ^= 1;
        assert!(read(&wrong).is_err(), "the checksum is checked");
    }
}
