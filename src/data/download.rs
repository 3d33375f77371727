//! One file from one place, into a partial file that a later try goes on with. Knows no data set and no sum.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Timeout};

use crate::system::files::WriteError;
use crate::system::user_path;

/// Longer than this no name is looked up and no connection waited for.
const CONNECT: Duration = Duration::from_secs(15);

/// Whom progress is told: bytes here, and bytes in all where that is known.
pub(super) type ProgressCallback<'a> = &'a dyn Fn(u64, Option<u64>);

/// Brings `url` to `part`. What is there already is not asked for again, where the server can begin later. A server that
/// is silent for `stall` is given up; what came is kept.
pub(super) fn download(url: &str, part: &Path, stall: Duration, tell: ProgressCallback<'_>) -> Result<()> {
    let agent = agent(url, stall);
    let here = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let mut response = ask(&agent, url, here, stall)?;
    if here > 0 && response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        if range_total(&response) == Some(here) {
            return Ok(());
        }
        // What is here is longer than what there is: it is not of this file.
        response = ask(&agent, url, 0, stall)?;
    }
    let from = match response.status() {
        StatusCode::PARTIAL_CONTENT if here > 0 => {
            ensure!(range_start(&response) == Some(here), "it answered with another part than was asked for");
            here
        }
        // The whole file, whether or not a part of it was asked for.
        StatusCode::OK => 0,
        status => bail!("it answered {status}"),
    };
    let total = match from {
        0 => number(&response, "content-length"),
        _ => range_total(&response),
    };
    let broken = |source| WriteError { path: part.to_owned(), source };
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(part).map_err(broken)?;
    file.set_len(from).and_then(|()| std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))).map_err(broken)?;
    let all = receive(response.into_body(), &mut file, part, from, stall, &|here| tell(here, total));
    file.sync_all().map_err(broken)?;
    let here = all?;
    if let Some(total) = total.filter(|&total| total != here) {
        bail!("it broke off after {here} of {total} bytes");
    }
    Ok(())
}

/// Writes what comes behind the first `here` bytes; how many there are then.
fn receive(
    body: Body,
    file: &mut File,
    part: &Path,
    mut here: u64,
    stall: Duration,
    tell: &dyn Fn(u64),
) -> Result<u64> {
    let mut reader = body.into_reader();
    let mut buffer = vec![0; 1 << 16];
    tell(here);
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok(here),
            Ok(read) => read,
            Err(error) => {
                let error = ureq::Error::from(error);
                return Err(explain(&error, stall)).with_context(|| format!("it broke off after {here} bytes"));
            }
        };
        // Straight to the file: whatever ends this process, what came is there.
        file.write_all(&buffer[..read]).map_err(|source| WriteError { path: part.to_owned(), source })?;
        here += read as u64;
        tell(here);
    }
}

fn agent(url: &str, stall: Duration) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("lth/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(trusted()).build())
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_per_write(Some(stall))
        .timeout_recv_response(Some(stall))
        .timeout_per_read(Some(stall));
    // What is on this machine is behind no proxy.
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    if ["127.0.0.1", "localhost", "[::1]"].iter().any(|local| host.starts_with(local)) {
        config = config.proxy(None);
    }
    config.build().new_agent()
}

/// What this machine trusts, which may be more than the world does: many networks read what passes. Where nothing is
/// found, what came with this program.
fn trusted() -> RootCerts {
    let text = user_path::certificates().and_then(|path| fs::read(path).ok()).unwrap_or_default();
    let certificate = |item| if let Ok(PemItem::Certificate(certificate)) = item { Some(certificate) } else { None };
    let found: Vec<_> = parse_pem(&text).filter_map(certificate).collect();
    if found.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&found) }
}

/// Asks for everything from byte `from`.
fn ask(agent: &Agent, url: &str, from: u64, stall: Duration) -> Result<Response<Body>> {
    // As it is: with an encoding, byte numbers would be those of something else.
    let mut request = agent.get(url).header("accept-encoding", "identity");
    if from > 0 {
        request = request.header("range", format!("bytes={from}-"));
    }
    request.call().map_err(|error| explain(&error, stall))
}

/// What went wrong, in our words where these are plainer.
fn explain(error: &ureq::Error, stall: Duration) -> anyhow::Error {
    match error {
        ureq::Error::Timeout(Timeout::PerRead | Timeout::RecvResponse) => {
            anyhow::anyhow!("no bytes for {} s", stall.as_secs_f64())
        }
        ureq::Error::Timeout(_) => anyhow::anyhow!("no connection within {} s", CONNECT.as_secs()),
        ureq::Error::HostNotFound => anyhow::anyhow!("its host is not known"),
        ureq::Error::Io(error) => anyhow::anyhow!("{error}"),
        other => anyhow::anyhow!("{other}"),
    }
}

fn text<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn number(response: &Response<Body>, name: &str) -> Option<u64> {
    text(response, name)?.trim().parse().ok()
}

/// Where the part begins that the server sends: `content-range: bytes 5-9/10`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    text(response, "content-range")?.trim().strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// How long the whole is of which the server sends a part.
fn range_total(response: &Response<Body>) -> Option<u64> {
    text(response, "content-range")?.rsplit('/').next()?.parse().ok()
}
