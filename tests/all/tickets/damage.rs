//! Files that are no tickets, damaged, or changed.

use std::fs;

use super::*;

#[test]
fn files_that_are_no_ticket_or_damaged_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[]);
    let path = export(runs, "winning_ticket", 1, "t.safetensors");
    let bytes = fs::read(&path).unwrap();
    let other = runs.join("other.safetensors");
    let refused = |bytes: &[u8]| {
        lth::system::files::write(&other, bytes).unwrap();
        ticket_fails(runs, &["show", other.to_str().unwrap()], 1)
    };
    assert!(refused(b"PK\x03\x04 a pickle of torch.save").contains("no safetensors file"));
    assert!(refused(&bytes[..bytes.len() - 4]).contains("no safetensors file, or cut off or damaged"));
    let mut tensors = bytes.clone();
    *tensors.last_mut().unwrap() ^= 1;
    assert!(refused(&tensors).contains("its tensors are damaged or were changed"), "{}", refused(&tensors));
    // An accuracy that was edited by hand.
    let text = String::from_utf8_lossy(&bytes[..60_000.min(bytes.len())]).into_owned();
    let place = text.find("accuracy\\\": 0.").unwrap() + "accuracy\\\": 0.".len();
    let mut edited = bytes.clone();
    edited[place] = if edited[place] == b'9' { b'8' } else { b'9' };
    assert!(refused(&edited).contains("its description is damaged or was changed"), "{}", refused(&edited));
    // A file of the store is safetensors of this program, but no ticket.
    let mask = all_files(&runs.join("store")).into_iter().find(|file| file.ends_with("mask.safetensors")).unwrap();
    assert!(refused(&fs::read(mask).unwrap()).contains("no ticket, but another file of this program"));
    let missing = ticket_fails(runs, &["show", "nowhere.safetensors"], 1);
    assert!(missing.contains("nowhere.safetensors"), "{missing}");
}

#[test]
fn no_changed_byte_of_a_ticket_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[]);
    let bytes = fs::read(export(runs, "winning_ticket", 2, "t.safetensors")).unwrap();
    let whole = lth::artifacts::Ticket::from_bytes(&bytes).unwrap();
    for index in (0..bytes.len()).step_by(bytes.len() / 300) {
        let mut changed = bytes.clone();
        changed[index] ^= 0x10;
        // A change may leave the same ticket, such as in the space before the tensors.
        if let Ok(ticket) = lth::artifacts::Ticket::from_bytes(&changed) {
            assert_eq!(ticket, whole, "byte {index}");
        }
    }
}

#[test]
fn data_of_another_kind_are_refused_by_verify() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[]);
    let path = export(runs, "winning_ticket", 1, "t.safetensors");
    let mut ticket = lth::artifacts::Ticket::from_bytes(&fs::read(&path).unwrap()).unwrap();
    ticket.info.training.config = ticket.info.training.config.replace("draw_seed = 1", "draw_seed = 2");
    lth::system::files::write(&path, &ticket.to_bytes().unwrap()).unwrap();
    let message = ticket_fails(runs, &["verify", path.to_str().unwrap()], 1);
    assert!(message.contains("are not those that the ticket was trained on"), "{message}");
}
