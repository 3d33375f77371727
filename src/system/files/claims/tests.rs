use std::process::Command;
use std::sync::atomic::AtomicUsize;

use super::super::{Lock, WaitOptions, write};
use super::*;

/// Returns a temporary folder of runs whose processes use claims, and the place of a lock in it.
fn place() -> (tempfile::TempDir, ClaimPlace) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".locks/a-12345678.run");
    let place = ClaimPlace::of(&path);
    turn_on(&place.folder, &path).unwrap();
    (folder, place)
}

/// Makes a claim of another process, with this mark, and returns its path.
fn foreign_claim(place: &ClaimPlace, kind: Kind, mark: &str) -> PathBuf {
    let path = place.folder.join(format!("{}.{}-abcdefghijkl", place.lock, kind.name()));
    write(&path, format!("process 7 on elsewhere\n{mark}\n0\n").as_bytes()).unwrap();
    path
}

/// Returns the mark of a process of this host that has ended.
fn mark_of_ended_process() -> String {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let mark = machine::process_mark(child.id()).unwrap();
    assert_eq!(machine::has_ended(&mark), Some(false));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(machine::has_ended(&mark), Some(true));
    mark
}

#[test]
fn claims_exclude_as_locks_do() {
    let (_folder, place) = place();
    let take = |kind| Claim::try_new(&place, kind).unwrap();
    let exclusive = take(Kind::Exclusive).unwrap();
    assert!(take(Kind::Exclusive).is_none() && take(Kind::Shared).is_none());
    assert_eq!(holder(&place).unwrap(), lock_file::this_process());
    drop(exclusive);
    let shared = [(); 2].map(|()| take(Kind::Shared).unwrap());
    assert!(take(Kind::Exclusive).is_none());
    assert_eq!(claimed_locks(&place.folder), BTreeSet::from(["a-12345678.run".to_owned()]));
    let other = ClaimPlace { lock: "a-12345678.write".to_owned(), ..place.clone() };
    assert!(Claim::try_new(&other, Kind::Exclusive).unwrap().is_some());
    drop(shared);
    assert!(take(Kind::Exclusive).is_some());
    assert_eq!(names(&place.folder).unwrap(), Vec::<String>::new());
}

#[test]
fn claims_on_all_locks_of_a_folder_of_runs_are_in_one_folder() {
    for (path, lock) in [
        ("runs/.locks/gate", "gate"),
        ("runs/.locks/a-12345678.run", "a-12345678.run"),
        ("runs/store/cafe/lock", "cafe.lock"),
        ("runs/store/old-1/cafe/lock", "old-1.cafe.lock"),
    ] {
        let place = ClaimPlace::of(Path::new(path));
        assert_eq!((&*place.folder, &*place.lock), (Path::new("runs/.locks/gate"), lock), "{path}");
    }
    let data = ClaimPlace::of(Path::new("data/store/mnist/.fetching"));
    assert_eq!(data.folder, Path::new("data/store/mnist/.locks/gate"));
}

/// Threads take a claim, exclusive or shared, again and again, from the claim of a process that has ended on.
#[test]
fn claim_has_one_holder_among_many_threads() {
    let (_folder, place) = place();
    foreign_claim(&place, Kind::Exclusive, &mark_of_ended_process());
    let [writers, readers, taken] = [(); 3].map(|()| AtomicUsize::new(0));
    let end = Instant::now() + Duration::from_secs(2);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (kind, holders) = if thread < 6 { (Kind::Exclusive, &writers) } else { (Kind::Shared, &readers) };
            let (place, writers, readers, taken) = (&place, &writers, &readers, &taken);
            scope.spawn(move || {
                while Instant::now() < end {
                    let Some(claim) = Claim::try_new(place, kind).unwrap() else { continue };
                    holders.fetch_add(1, Ordering::SeqCst);
                    let [writers, readers] = [writers, readers].map(|count| count.load(Ordering::SeqCst));
                    assert!(writers == 0 || (writers, readers) == (1, 0), "{writers} writers, {readers} readers");
                    claim.check().unwrap();
                    taken.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(200));
                    holders.fetch_sub(1, Ordering::SeqCst);
                    drop(claim);
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
        }
    });
    let taken = taken.into_inner();
    assert!(taken > 50, "taken {taken} times");
    assert_eq!(names(&place.folder).unwrap(), Vec::<String>::new());
}

#[test]
fn claim_is_stale_after_the_stated_time_of_readings_without_change() {
    let start = Instant::now();
    let mut watch = Watch::new(b"1".to_vec(), start);
    let mut read = |text: &[u8], seconds: u64| watch.read(text.to_vec(), start + Duration::from_secs(seconds));
    assert_eq!(read(b"1", 10), Sight::Silent);
    assert_eq!(read(b"2", 15), Sight::Alive);
    // An hour in which this process was suspended counts as 10 seconds.
    assert_eq!(read(b"2", 3615), Sight::Alive);
    for seconds in [25, 35, 45, 55, 64] {
        assert_eq!(read(b"2", 3600 + seconds), Sight::Alive, "{seconds}");
    }
    assert_eq!(read(b"2", 3665), Sight::Stale);
    assert_eq!(read(b"3", 3666), Sight::Alive, "its process was only slow");
}

#[test]
fn claim_of_ended_process_is_taken_over_at_once_and_others_are_not() {
    let (_folder, place) = place();
    let ended = mark_of_ended_process();
    let elsewhere = format!("elsewhere {}", ended.split_once(' ').unwrap().1);
    for mark in ["", "no mark", &elsewhere] {
        let path = foreign_claim(&place, Kind::Exclusive, mark);
        assert!(Claim::try_new(&place, Kind::Shared).unwrap().is_none(), "{mark}");
        assert_eq!(holder(&place).unwrap(), "process 7 on elsewhere");
        super::super::remove(&path).unwrap();
    }
    foreign_claim(&place, Kind::Exclusive, &ended);
    assert_eq!(holder(&place), None);
    assert!(Claim::try_new(&place, Kind::Exclusive).unwrap().is_some());
}

#[test]
fn heartbeat_changes_the_text_and_finds_a_claim_that_was_taken_over() {
    let (_folder, place) = place();
    let claim = Claim::try_new(&place, Kind::Exclusive).unwrap().unwrap();
    let before = super::super::read(&claim.0.path).unwrap();
    claim.0.beat();
    let after = super::super::read(&claim.0.path).unwrap();
    assert!(before != after && before.len() == after.len());
    claim.check().unwrap();
    fs::remove_file(&claim.0.path).unwrap();
    let next = Claim::try_new(&place, Kind::Exclusive).unwrap().unwrap();
    assert!(claim.check().unwrap_err().is::<ClaimLost>() && !claim.is_lost());
    claim.0.beat();
    assert!(claim.is_lost() && !claim.0.path.exists());
    drop(claim);
    next.check().unwrap();
}

#[test]
fn shared_claim_is_made_again_if_it_was_removed() {
    let (_folder, place) = place();
    let claim = Claim::try_new(&place, Kind::Shared).unwrap().unwrap();
    fs::remove_file(&claim.0.path).unwrap();
    claim.0.beat();
    claim.check().unwrap();
    assert!(!claim.is_lost() && Claim::try_new(&place, Kind::Exclusive).unwrap().is_none());
}

#[test]
fn claims_are_not_turned_on_while_a_lock_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let locks = folder.path().join(".locks");
    let [gate, run] = ["gate", "a-12345678.run"].map(|name| locks.join(name));
    for held in [&gate, &run] {
        let _lock = Lock::try_shared(held).unwrap().unwrap();
        let error = turn_on(&gate, &gate).unwrap_err().to_string();
        assert!(error.contains("is locked by another process"), "{error}");
        assert!(!are_used(&gate));
    }
    turn_on(&gate, &gate).unwrap();
    turn_on(&gate, &gate).unwrap();
    assert!(are_used(&gate) && Lock::try_shared(&run).unwrap().is_some_and(|lock| lock.check().is_ok()));
}

/// A process that waits for the lock of the gate makes a claim, if that becomes the folder of claims.
#[test]
fn process_that_waits_for_a_lock_takes_a_claim_when_claims_are_turned_on() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join(".locks/gate");
    let held = Lock::try_exclusive(&gate).unwrap();
    let waiting = {
        let gate = gate.clone();
        let wait_options = || WaitOptions { gives_up: &|| false, announce: &|_| {} };
        std::thread::spawn(move || Lock::wait_exclusive(&gate, &wait_options()).unwrap())
    };
    std::thread::sleep(Duration::from_millis(50));
    fs::remove_file(&gate).unwrap();
    fs::create_dir(&gate).unwrap();
    drop(held);
    let taken = waiting.join().unwrap();
    assert_eq!(names(&gate).unwrap().len(), 1);
    drop(taken);
}
