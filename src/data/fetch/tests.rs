//! Downloads from servers on this machine with every kind of answer.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::super::builtin::{FileFormat, MNIST};
use super::super::container::tests::gzip;
use super::*;

/// The response of a server to a request.
#[derive(Clone, Copy)]
enum Response {
    Good,
    /// Always sends the whole file.
    NoRanges,
    /// Ends the connection after this number of bytes.
    Cut(usize),
    /// Sends this number of bytes and then nothing.
    Stall(usize),
    Status(u16),
    /// Sends other bytes of the same length.
    Wrong,
    /// Sends bytes without end, and no length.
    Endless,
    /// Says that the file has this number of bytes, and sends none.
    Long(u64),
}

/// A server on this machine.
struct Server {
    url: String,
    /// File and first byte of each request, in the order of the requests.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server that answers the requests by `responses` in order, and further requests like the last.
    fn new(files: &BTreeMap<String, Vec<u8>>, responses: &[Response]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (files, responses, log) = (files.clone(), responses.to_vec(), Arc::clone(&requests));
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let (files, log) = (files.clone(), Arc::clone(&log));
                let response = responses[n.min(responses.len() - 1)];
                std::thread::spawn(move || answer(stream.unwrap(), &files, response, &log));
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, response: Response, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let name = request.split([' ', '/']).nth(2).unwrap_or_default().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    log.lock().unwrap().push(format!("{name} {}", range.unwrap_or(0)));
    let Some(file) = files.get(&name) else {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    };
    let from: usize = if matches!(response, Response::NoRanges) { 0 } else { range.unwrap_or(0) };
    let total = file.len();
    let (status, range) = match response {
        Response::Status(code) => (format!("{code} Sorry"), String::new()),
        _ if from >= total => ("416 Too Far".to_owned(), format!("Content-Range: bytes */{total}\r\n")),
        _ if from > 0 => ("206 Part".to_owned(), format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1)),
        _ => ("200 OK".to_owned(), String::new()),
    };
    let body = if status.starts_with('2') { &file[from..] } else { &[] };
    if let Response::Endless | Response::Long(_) = response {
        let length = if let Response::Long(n) = response { format!("Content-Length: {n}\r\n") } else { String::new() };
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n").as_bytes());
        let piece = vec![7; 1 << 16];
        while matches!(response, Response::Endless) && stream.write_all(&piece).is_ok() {}
        return;
    }
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range}Connection: close\r\n\r\n", body.len());
    let sent = match response {
        Response::Cut(n) | Response::Stall(n) => &body[..n.min(body.len())],
        _ => body,
    };
    let sent: Vec<u8> =
        if matches!(response, Response::Wrong) { sent.iter().map(|b| !b).collect() } else { sent.to_vec() };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&sent)).and_then(|()| stream.flush());
    if matches!(response, Response::Stall(_)) {
        std::thread::sleep(Duration::from_secs(20));
    }
}

/// Returns a data set of four tiny files, and the files of a mirror.
fn tiny() -> (&'static BuiltinDataset, BTreeMap<String, Vec<u8>>) {
    let idx = |sizes: &[u32], body: &[u8]| {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(body);
        bytes
    };
    let noise: Vec<u8> = (0..60_000).map(|index| crate::base::rng::mix(1, index) as u8).collect();
    let contents =
        [idx(&[2, 100, 300], &noise), idx(&[2], &[0, 1]), idx(&[1, 100, 300], &noise[..30_000]), idx(&[1], &[1])];
    let pinned = |(file, bytes): (&PinnedFile, &Vec<u8>)| PinnedFile { name: file.name, sha256: sha256(bytes).leak() };
    let files: Vec<PinnedFile> = MNIST.files.iter().zip(&contents).map(pinned).collect();
    let set = BuiltinDataset {
        name: "tiny",
        format: FileFormat::Idx,
        shape: [1, 100, 300],
        classes: 2,
        train_images: 2,
        test_images: 1,
        mean_std: &[(0.5, 0.5)],
        files: files.leak(),
        archive: None,
        python: None,
        mirrors: &[],
        debian_folder: None,
        class_counts: None,
        class_names: &[],
    };
    let packed =
        MNIST.files.iter().zip(&contents).map(|(file, bytes)| (format!("{}.gz", file.name), gzip(bytes))).collect();
    (Box::leak(Box::new(set)), packed)
}

const IMAGES: &str = "train-images-idx3-ubyte.gz";

/// Fetches from `mirrors` into `folder`.
fn fetch_all(set: &'static BuiltinDataset, folder: &Path, mirrors: &[&str]) -> Result<Fetched> {
    let mirrors = mirrors.iter().map(|&mirror| mirror.to_owned()).collect();
    let fetch =
        FetchOptions { folder: folder.to_owned(), mirrors, use_default_mirrors: true, stall: Duration::from_secs(1) };
    fetch_set(set, &fetch, &|_| {})
}

/// Returns the causes of [`NoMirror`], in the order of the mirrors.
fn causes(result: Result<Fetched>) -> Vec<String> {
    let error = result.unwrap_err();
    error.downcast_ref::<NoMirror>().unwrap().causes.iter().map(|(_, cause)| cause.clone()).collect()
}

/// Returns the URL of a port without a server.
fn closed_port() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

#[test]
fn fetch_downloads_each_file_once() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let server = Server::new(&files, &[Response::Good]);
    let fetched = fetch_all(set, folder.path(), &[&server.url]).unwrap();
    assert_eq!(fetched, Fetched { folder: folder.path().join("tiny"), files: 4 });
    let mut names: Vec<_> = fs::read_dir(&fetched.folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, files.keys().map(std::ffi::OsString::from).collect::<Vec<_>>(), "and nothing else is left");
    assert_eq!(fetch_all(set, folder.path(), &[&server.url]).unwrap().files, 0);
    assert_eq!(server.requests().len(), 4, "what is there and verified is not asked for");
    fs::remove_file(fetched.folder.join(IMAGES)).unwrap();
    assert_eq!(fetch_all(set, folder.path(), &[&server.url]).unwrap().files, 1, "only what is missing");
}

#[test]
fn fetch_tries_mirrors_in_order() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let closed = closed_port();
    let empty = Server::new(&BTreeMap::new(), &[Response::Good]);
    let broken = Server::new(&files, &[Response::Status(500)]);
    let wrong = Server::new(&files, &[Response::Wrong]);
    let bad = [&closed, &empty.url, &broken.url, &wrong.url].map(String::as_str);
    let causes = causes(fetch_all(set, folder.path(), &bad));
    assert!(causes[0].to_lowercase().contains("connection refused"), "{causes:?}");
    assert_eq!(causes[1..3], ["it answered 404 Not Found", "it answered 500 Internal Server Error"]);
    assert!(causes[3].starts_with("what came is another file: its SHA-256 is"), "{causes:?}");
    assert!(!folder.path().join("tiny").exists(), "a fetch that fails leaves no folder that it made");
    let good = Server::new(&files, &[Response::Good]);
    assert_eq!(fetch_all(set, folder.path(), &[&bad[..], &[&good.url]].concat()).unwrap().files, 4);
}

#[test]
fn fetch_refuses_other_file_under_right_name() {
    let ((set, mut files), folder) = (tiny(), tempfile::tempdir().unwrap());
    files.insert(IMAGES.to_owned(), gzip(b"another file"));
    let server = Server::new(&files, &[Response::Good]);
    let cause = &causes(fetch_all(set, folder.path(), &[&server.url]))[0];
    assert!(cause.contains("another file: its SHA-256 is") && cause.contains(set.files[0].sha256), "{cause}");
    // A copy that was cut when it was put there: the server's length is right, the file is not.
    let cut = files[IMAGES][..15].to_vec();
    let server = Server::new(&BTreeMap::from([(IMAGES.to_owned(), cut)]), &[Response::Good]);
    assert_eq!(causes(fetch_all(set, folder.path(), &[&server.url]))[0], "what came is cut short or damaged");
}

#[test]
fn fetch_resumes_broken_connection() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let server = Server::new(&files, &[Response::Cut(20_000), Response::Cut(9_000), Response::Good]);
    fetch_all(set, folder.path(), &[&server.url]).unwrap();
    assert_eq!(server.requests()[..3], [format!("{IMAGES} 0"), format!("{IMAGES} 20000"), format!("{IMAGES} 29000")]);
}

// regression: a server without an end filled the disk with 4 GB for a file of 10 MB
#[test]
fn fetch_stops_server_that_sends_more_than_the_file() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let endless = Server::new(&files, &[Response::Endless]);
    let long = Server::new(&files, &[Response::Long(1 << 40)]);
    let causes = causes(fetch_all(set, folder.path(), &[&endless.url, &long.url]));
    // 60,016 bytes, 1 % more, and 1 MiB.
    assert_eq!(causes[0], "it sent more than 1109192 bytes, which the right file has at most");
    assert_eq!(causes[1], "its file has 1099511627776 bytes; the right one has at most 1109192");
    assert!(!folder.path().join("tiny").exists(), "nothing of it is kept");
}

#[test]
fn fetch_keeps_partial_file_for_next_time() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let first = Server::new(&files, &[Response::Cut(20_000), Response::Status(503)]);
    let causes = causes(fetch_all(set, folder.path(), &[&first.url]));
    assert_eq!(causes, ["it answered 503 Service Unavailable"]);
    let part = folder.path().join("tiny").join(format!("{IMAGES}.part"));
    assert_eq!(part.metadata().unwrap().len(), 20_000);
    assert_eq!(report_of(set, folder.path()).status, DatasetStatus::Missing, "a part is never taken for the whole");
    let second = Server::new(&files, &[Response::Good]);
    fetch_all(set, folder.path(), &[&second.url]).unwrap();
    assert_eq!(second.requests()[0], format!("{IMAGES} 20000"));
}

#[test]
fn fetch_gives_up_stalled_server_and_resumes_at_another() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let (slow, good) = (Server::new(&files, &[Response::Stall(5_000)]), Server::new(&files, &[Response::Good]));
    fetch_all(set, folder.path(), &[&slow.url, &good.url]).unwrap();
    assert_eq!(
        (slow.requests()[0].as_str(), good.requests()[0].as_str()),
        (&*format!("{IMAGES} 0"), &*format!("{IMAGES} 5000"))
    );
    let folder = tempfile::tempdir().unwrap();
    let silent = Server::new(&files, &[Response::Stall(0)]);
    let causes = causes(fetch_all(set, folder.path(), &[&silent.url]));
    assert!(causes[0].contains("no bytes for 1 s"), "{causes:?}");
}

#[test]
fn fetch_restarts_at_server_without_ranges() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let part = folder.path().join("tiny").join(format!("{IMAGES}.part"));
    files::write(&part, &files[IMAGES][..10_000]).unwrap();
    let server = Server::new(&files, &[Response::NoRanges]);
    fetch_all(set, folder.path(), &[&server.url]).unwrap();
    assert_eq!(server.requests()[0], format!("{IMAGES} 10000"));
}

#[test]
fn fetch_discards_partial_file_of_other_bytes() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let part = folder.path().join("tiny").join(format!("{IMAGES}.part"));
    // Of another packing of the same file, then longer than the file, then the whole file just not yet in its place.
    let good = files[IMAGES].clone();
    for (bytes, count) in [(vec![7; 500], 2), (vec![7; good.len() + 1], 2), (vec![7; good.len()], 2), (good, 1)] {
        files::write(&part, &bytes).unwrap();
        let server = Server::new(&files, &[Response::Good]);
        fetch_all(set, folder.path(), &[&server.url]).unwrap();
        assert_eq!(server.requests().iter().filter(|request| request.starts_with(IMAGES)).count(), count);
        assert!(!part.exists());
        fs::remove_file(folder.path().join("tiny").join(IMAGES)).unwrap();
    }
}

#[test]
fn fetch_replaces_and_renames_damaged_file() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let damaged = folder.path().join("tiny/train-images-idx3-ubyte");
    files::write(&damaged, b"damaged").unwrap();
    assert_eq!(report_of(set, folder.path()).status, DatasetStatus::Damaged);
    let server = Server::new(&files, &[Response::Good]);
    fetch_all(set, folder.path(), &[&server.url]).unwrap();
    assert_eq!(fs::read(damaged.with_extension("damaged")).unwrap(), b"damaged");
}

#[test]
fn fetch_failure_removes_new_folders() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let names = |folder: &Path| -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    let deep = folder.path().join("new/data");
    assert_eq!(causes(fetch_all(set, &deep, &[&closed_port()])).len(), 1);
    assert!(names(folder.path()).is_empty(), "the folder of all data sets was new as well");
    fs::create_dir_all(deep.join("tiny")).unwrap();
    // A connection that breaks off before a byte has come leaves no part.
    let silent = Server::new(&files, &[Response::Cut(0)]);
    assert_eq!(causes(fetch_all(set, &deep, &[&silent.url])).len(), 1);
    assert_eq!((names(&deep), names(&deep.join("tiny")).len()), (vec!["tiny".to_owned()], 0), "which was there before");
    let cut = Server::new(&files, &[Response::Cut(9), Response::Status(500)]);
    fetch_all(set, &deep, &[&cut.url]).unwrap_err();
    assert_eq!(names(&deep.join("tiny")), [format!("{IMAGES}.part")], "what has come is kept");
}

#[test]
fn fetch_leaves_files_of_another_data_set_alone() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let others = folder.path().join("train-images-idx3-ubyte");
    files::write(&others, b"of another data set").unwrap();
    let server = Server::new(&files, &[Response::Good]);
    assert_eq!(fetch_all(set, folder.path(), &[&server.url]).unwrap().folder, folder.path().join("tiny"));
    assert_eq!(fs::read(others).unwrap(), b"of another data set");
    assert_eq!(report_of(set, folder.path()).status, DatasetStatus::Complete);
}

#[test]
fn fetch_excludes_second_process() {
    let ((set, files), folder) = (tiny(), tempfile::tempdir().unwrap());
    let _held = Lock::try_exclusive(&folder.path().join("tiny/.fetching")).unwrap();
    let server = Server::new(&files, &[Response::Good]);
    let error = fetch_all(set, folder.path(), &[&server.url]).unwrap_err().to_string();
    assert!(error.contains("is being fetched by process"), "{error}");
}

#[test]
fn fetch_verifies_and_unpacks_archive() {
    let record = |label: u8| [&[label][..], &[label; 3072]].concat();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in [("train.bin", record(1)), ("readme.html", b"hello".to_vec()), ("test.bin", record(0))] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("inner/{name}"), bytes.as_slice()).unwrap();
    }
    let packed = gzip(&tar.into_inner().unwrap());
    let pinned = |name, bytes: &[u8]| PinnedFile { name, sha256: sha256(bytes).leak() };
    let set: &'static BuiltinDataset = Box::leak(Box::new(BuiltinDataset {
        name: "colours",
        format: FileFormat::Cifar { label_bytes: 1, records: 1 },
        shape: [3, 32, 32],
        classes: 2,
        train_images: 1,
        test_images: 1,
        mean_std: &[(0.5, 0.5); 3],
        files: vec![pinned("train.bin", &record(1)), pinned("test.bin", &record(0))].leak(),
        archive: Some(Archive { name: "all.tar.gz", folder: "inner", sha256: sha256(&packed).leak() }),
        python: None,
        mirrors: &[],
        debian_folder: None,
        class_counts: None,
        class_names: &[],
    }));
    let folder = tempfile::tempdir().unwrap();
    let server =
        Server::new(&BTreeMap::from([("all.tar.gz".to_owned(), packed)]), &[Response::Cut(60), Response::Good]);
    let fetched = fetch_all(set, folder.path(), &[&server.url]).unwrap();
    assert_eq!(server.requests(), ["all.tar.gz 0", "all.tar.gz 60"]);
    let mut names: Vec<_> = fs::read_dir(fetched.folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["test.bin", "train.bin"]);
}
