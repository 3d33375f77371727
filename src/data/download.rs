//! Download of one file from one URL into a partial file that a later download continues. Independent of data sets and
//! checksums.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Timeout};

use crate::system::files::WriteError;
use crate::system::machine;

/// Time limit for looking up a host name, and for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Limits of a download.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Time without bytes after which it fails.
    pub(super) stall: Duration,
    /// Largest number of bytes of the file.
    pub(super) bytes: u64,
}

/// Callback of progress: bytes received, and bytes in total if the server reports it.
pub(super) type ProgressCallback<'a> = &'a dyn Fn(u64, Option<u64>);

/// Downloads `url` to the file `part`. If the file has bytes already, the download continues after them, provided that
/// the server supports ranges. The download fails if the server sends nothing for `limits.stall`; the bytes received are
/// kept. It also fails if the server sends more than `limits.bytes`; the file is then removed.
///
/// # Errors
/// Fails if the server cannot be reached, answers with an error, stalls, breaks off or sends too much; returns
/// [`WriteError`] if the file cannot be written.
pub(super) fn download(url: &str, part: &Path, limits: Limits, on_progress: ProgressCallback<'_>) -> Result<()> {
    let stall = limits.stall;
    let agent = agent(url, stall);
    let received = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let mut response = request(&agent, url, received, stall)?;
    if received > 0 && response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        if range_total(&response) == Some(received) {
            return Ok(());
        }
        // The partial file is longer than the file of the server: its bytes are those of another file.
        response = request(&agent, url, 0, stall)?;
    }
    let offset = match response.status() {
        StatusCode::PARTIAL_CONTENT if received > 0 => {
            ensure!(range_start(&response) == Some(received), "it answered with another part than was asked for");
            received
        }
        // The whole file, whether or not a range was requested.
        StatusCode::OK => 0,
        status => bail!("it answered {status}"),
    };
    let total = match offset {
        0 => number(&response, "content-length"),
        _ => range_total(&response),
    };
    if let Some(total) = total.filter(|&total| total > limits.bytes) {
        bail!("its file has {total} bytes; the right one has at most {}", limits.bytes);
    }
    let write_error = |source| WriteError { path: part.to_owned(), source };
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(part).map_err(write_error)?;
    file.set_len(offset)
        .and_then(|()| std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)))
        .map_err(write_error)?;
    let result =
        receive(response.into_body(), &mut file, part, offset, limits, &|received| on_progress(received, total));
    if result.as_ref().is_ok_and(|&received| received > limits.bytes) {
        fs::remove_file(part).map_err(write_error)?;
        bail!("it sent more than {} bytes, which the right file has at most", limits.bytes);
    }
    file.sync_all().map_err(write_error)?;
    let received = result?;
    if let Some(total) = total.filter(|&total| total != received) {
        bail!("it broke off after {received} of {total} bytes");
    }
    Ok(())
}

/// Appends the body to `file`, which has `received` bytes, and returns the number of bytes that the file has then. Stops
/// when these are more than `limits.bytes`.
fn receive(
    body: Body,
    file: &mut File,
    part: &Path,
    mut received: u64,
    limits: Limits,
    on_progress: &dyn Fn(u64),
) -> Result<u64> {
    let mut reader = body.into_reader();
    let mut buffer = vec![0; 1 << 16];
    on_progress(received);
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(received),
            Ok(count) => count,
            Err(error) => {
                let error = ureq::Error::from(error);
                return Err(explain(&error, limits.stall))
                    .with_context(|| format!("it broke off after {received} bytes"));
            }
        };
        // Unbuffered, so that received bytes survive if the process is killed.
        file.write_all(&buffer[..count]).map_err(|source| WriteError { path: part.to_owned(), source })?;
        received += count as u64;
        on_progress(received);
        if received > limits.bytes {
            return Ok(received);
        }
    }
}

/// Returns an HTTP client with the time limits of this module.
fn agent(url: &str, stall: Duration) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("lth/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_write(Some(stall))
        .timeout_recv_response(Some(stall))
        .timeout_per_read(Some(stall));
    // Servers on this machine are reached without a proxy.
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    if ["127.0.0.1", "localhost", "[::1]"].iter().any(|local| host.starts_with(local)) {
        config = config.proxy(None);
    }
    config.build().new_agent()
}

/// Returns the certificates that this machine trusts, which may include those of a proxy that inspects traffic; those
/// compiled into this program if the machine has none.
fn root_certificates() -> RootCerts {
    let text = machine::certificate_file().and_then(|path| fs::read(path).ok()).unwrap_or_default();
    let certificate = |item| if let Ok(PemItem::Certificate(certificate)) = item { Some(certificate) } else { None };
    let found: Vec<_> = parse_pem(&text).filter_map(certificate).collect();
    if found.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&found) }
}

/// Requests the bytes from `offset` on.
fn request(agent: &Agent, url: &str, offset: u64, stall: Duration) -> Result<Response<Body>> {
    // No content encoding: byte ranges would count encoded bytes.
    let mut request = agent.get(url).header("accept-encoding", "identity");
    if offset > 0 {
        request = request.header("range", format!("bytes={offset}-"));
    }
    request.call().map_err(|error| explain(&error, stall))
}

/// Converts an error of the HTTP client into a plain message.
fn explain(error: &ureq::Error, stall: Duration) -> anyhow::Error {
    match error {
        ureq::Error::Timeout(Timeout::PerRead | Timeout::RecvResponse) => {
            anyhow::anyhow!("no bytes for {} s", stall.as_secs_f64())
        }
        ureq::Error::Timeout(_) => anyhow::anyhow!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
        ureq::Error::HostNotFound => anyhow::anyhow!("its host is not known"),
        ureq::Error::Io(error) => anyhow::anyhow!("{error}"),
        other => anyhow::anyhow!("{other}"),
    }
}

/// Returns the header `name` as text.
fn text<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Returns the header `name` as a number.
fn number(response: &Response<Body>, name: &str) -> Option<u64> {
    text(response, name)?.trim().parse().ok()
}

/// Returns the first byte of the range that the server sends: 5 for `content-range: bytes 5-9/10`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    text(response, "content-range")?.trim().strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// Returns the length of the whole file: 10 for `content-range: bytes 5-9/10`.
fn range_total(response: &Response<Body>) -> Option<u64> {
    text(response, "content-range")?.rsplit('/').next()?.parse().ok()
}
