//! Disks that are written, synced, cut and broken.

use super::*;

fn chance() -> Entropy {
    Entropy::from_u64(7)
}

fn written() -> SimDisk {
    write_to(SimDisk::new())
}

fn write_to(disk: SimDisk) -> SimDisk {
    disk.set_len(4096).expect("room");
    disk.write(0, &[1; 1024]).expect("room");
    disk.sync_data().expect("whole");
    disk.write(0, &[2; 1024]).expect("room");
    disk.write(2048, &[3; 512]).expect("room");
    disk
}

#[test]
fn what_was_synced_survives_every_cut() {
    for tear in TEARS {
        let bytes = written().cut(tear, &chance()).bytes();
        assert_eq!(bytes.len(), 4096);
        assert!(bytes[..1024].iter().all(|byte| [1, 2].contains(byte)), "{tear:?}");
    }
}

#[test]
fn unsynced_writes_are_dropped_or_kept_whole() {
    let dropped = written().cut(Tear::Dropped, &chance()).bytes();
    assert_eq!((dropped[0], dropped[2048]), (1, 0));
    let kept = written().cut(Tear::Kept, &chance()).bytes();
    assert_eq!((kept[0], kept[1023], kept[2048]), (2, 2, 3));
}

#[test]
fn a_torn_write_loses_some_sectors_and_never_a_part_of_one() {
    let (disk, entropy) = (written(), chance());
    let cuts: Vec<Vec<u8>> = (0..64).map(|_| disk.cut(Tear::Torn, &entropy).bytes()).collect();
    for bytes in &cuts {
        assert!(bytes[..1024].chunks(SECTOR_BYTES).all(|sector| sector.iter().all(|b| *b == sector[0])));
    }
    assert!(cuts.iter().any(|bytes| bytes[0] != bytes[512]), "no cut of 64 tore the write");
}

#[test]
fn a_power_cut_can_be_placed_after_every_change_of_a_history() {
    let mut history = write_to(SimDisk::recording()).history();
    assert_eq!(history.changes(), 5);
    assert_eq!(history.syncs(), [3]);
    let lens: Vec<usize> = (0..=5).map(|at| history.cut(at, Tear::Dropped, &chance()).len()).collect();
    assert_eq!(lens, [0, 0, 0, 4096, 4096, 4096]);
}

#[test]
fn a_killed_process_leaves_what_it_wrote_and_a_later_power_cut_may_still_take_it() {
    let disk = written();
    let next = disk.survivor();
    disk.write(0, &[9; 512]).expect("the old handle still works, elsewhere");
    assert_eq!((next.bytes()[0], next.bytes()[2048]), (2, 3));
    assert_eq!(next.cut(Tear::Dropped, &chance()).bytes()[0], 1);
}

#[test]
fn a_full_disk_takes_writes_over_old_blocks_and_refuses_new_ones() {
    let disk = written();
    disk.set_room(Some(0));
    disk.write(0, &[4; 512]).expect("an old block");
    let refused = disk.write(8192, &[4; 512]).expect_err("no room");
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    disk.set_room(Some(1));
    disk.write(8192, &[4; 512]).expect("room for one block");
}

#[test]
fn a_broken_disk_fails_every_change_and_still_reads() {
    let disk = written();
    disk.break_in(Some(1));
    disk.write(0, &[5; 512]).expect("one more");
    assert!(disk.write(0, &[6; 512]).is_err() && disk.sync_data().is_err() && disk.set_len(0).is_err());
    let mut byte = [0];
    disk.read(0, &mut byte).expect("reads go on");
    assert_eq!(byte, [5]);
}

#[test]
fn a_disk_that_cannot_sync_takes_writes_that_a_power_cut_may_drop() {
    let disk = written();
    disk.break_syncs_in(0);
    disk.write(0, &[7; 512]).expect("it is only taken");
    assert!(disk.sync_data().is_err());
    assert_eq!(disk.bytes()[0], 7);
    assert_ne!(disk.cut(Tear::Dropped, &chance()).bytes()[0], 7);
    assert_eq!(disk.cut(Tear::Kept, &chance()).bytes()[0], 7);
}

#[test]
fn what_was_done_since_the_last_sync_is_taken_back_or_kept_to_the_byte() {
    let (disk, entropy, mut synced) = (SimDisk::new(), chance(), Vec::new());
    for _ in 0..1000 {
        let below = |most| entropy.below(most) as usize;
        match below(10) {
            0 => {
                disk.sync_data().expect("whole");
                synced = disk.bytes();
            }
            1 => disk.set_len(entropy.below(20_000)).expect("room"),
            _ => disk.write(entropy.below(20_000), &vec![below(256) as u8; below(5000)]).expect("room"),
        }
        assert!(disk.cut(Tear::Dropped, &entropy).bytes() == synced);
        assert!(disk.cut(Tear::Kept, &entropy).bytes() == disk.bytes());
    }
}
