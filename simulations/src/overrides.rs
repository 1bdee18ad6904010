//! The C library's clock and entropy, taken over: the one file of the repository with `unsafe` code, part of
//! `waggle-sim` only.
//!
//! Crates below us ask `clock_gettime` and `getrandom` for what must come from the seed: hash keys, task order,
//! instants. The linker resolves these names to the functions here (and exports them, for those who look them up
//! at run time: see `build.rs`). Until [`arm`] they answer as the system does.
#![allow(unsafe_code)]

use libc::{c_int, c_long, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};
use simulations::world::clock::{WALL_START_US, shown};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// Monotonic clock at the beginning of a world, seconds: late enough that subtracting from an instant is safe.
const MONOTONIC_START_S: u64 = 1_000_000;

static ARMED: AtomicBool = AtomicBool::new(false);
static STREAM: AtomicU64 = AtomicU64::new(0);

/// From now on, time is the world's and chance is the seed's, for everything in this process.
pub fn arm(seed: u64) {
    STREAM.store(seed ^ 0x5741_4747_4c45, Ordering::Relaxed);
    ARMED.store(true, Ordering::Relaxed);
}

/// The system's monotonic clock, whatever is armed: for reporting how long a run took.
pub fn real_time() -> Duration {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to a place that holds one.
    unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(libc::CLOCK_MONOTONIC), &raw mut now) };
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// A seed that nobody has run before, by the system's clock: the range has room for a million others.
pub fn fresh_seed() -> u64 {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to a place that holds one.
    unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(libc::CLOCK_REALTIME), &raw mut now) };
    (now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000) * 1000
}

/// Has the system end this process when it has used this much processor time.
pub fn limit_cpu(seconds: u64) {
    let limit = libc::rlimit { rlim_cur: seconds, rlim_max: seconds };
    // SAFETY: the kernel reads one rlimit. Where it refuses, there is no limit, as before.
    unsafe { libc::setrlimit(libc::RLIMIT_CPU, &raw const limit) };
}

/// Has the system refuse this process more memory than this, which ends it.
pub fn limit_memory(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: the kernel reads one rlimit. Where it refuses, there is no limit, as before.
    unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) };
}

/// The most memory that this process has had in use at once, in bytes.
pub fn peak_memory() -> u64 {
    usage(libc::RUSAGE_SELF).ru_maxrss.unsigned_abs() * 1024
}

/// Processor time of the processes that this one started and waited for to their end.
pub fn processor_time_of_children() -> Duration {
    let usage = usage(libc::RUSAGE_CHILDREN);
    let time =
        |of: libc::timeval| Duration::new(of.tv_sec.unsigned_abs(), of.tv_usec.unsigned_abs() as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// As getrusage(2).
fn usage(of: c_int) -> libc::rusage {
    // SAFETY: all zeros is a usage, and the kernel writes one to a place that holds one.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(of, &raw mut usage);
        usage
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough for hash keys, and it needs no state but a counter.
fn next_u64() -> u64 {
    let mut z = STREAM.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// As getrandom(2).
///
/// # Safety
/// `buffer` holds `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if !ARMED.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise, handed to the kernel as it came.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as ssize_t };
    }
    if length > 0 {
        // SAFETY: the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&next_u64().to_le_bytes()[..chunk.len()]));
    }
    length as ssize_t
}

/// As getentropy(3).
///
/// # Safety
/// `buffer` holds `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getentropy(buffer: *mut c_void, length: size_t) -> c_int {
    // SAFETY: the caller's promise.
    let filled = unsafe { getrandom(buffer, length, 0) };
    if usize::try_from(filled) == Ok(length) { 0 } else { -1 }
}

/// As clock_gettime(2).
///
/// # Safety
/// `answer` holds a timespec.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, answer: *mut timespec) -> c_int {
    let start_us = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => WALL_START_US,
        _ => MONOTONIC_START_S * 1_000_000,
    };
    if !ARMED.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise, handed to the kernel as it came.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(clock), answer) as c_int };
    }
    let nanos = start_us * 1000 + shown();
    let time = timespec {
        tv_sec: (nanos / 1_000_000_000).cast_signed(),
        tv_nsec: (nanos % 1_000_000_000).cast_signed(),
    };
    // SAFETY: the caller's promise.
    unsafe { answer.write(time) };
    0
}
