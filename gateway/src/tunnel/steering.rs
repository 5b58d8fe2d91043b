//! Which TUN queue the kernel puts a packet on: an eBPF program "destination address mod queues".
//!
//! The kernel's own steering learns flows and forgets them; with this program a packet lies on its owner's queue from
//! the first on. This is the one file of the Gateway with `unsafe` in it: the program is loaded and attached by two
//! system calls that no crate wraps. Promise: a refusal by the kernel is an error, never a wrong program.
#![expect(unsafe_code, reason = "bpf(2) and TUNSETSTEERINGEBPF have no safe wrapper")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// `_IOR('T', 224, int)` of `linux/if_tun.h`.
const TUNSETSTEERINGEBPF: libc::c_ulong = 0x8004_54e0;
/// `BPF_PROG_LOAD` and `BPF_PROG_TYPE_SOCKET_FILTER` of `linux/bpf.h`.
const PROG_LOAD: libc::c_long = 5;
const SOCKET_FILTER: u32 = 1;
/// Where the last word of the destination stands in an IPv4 and in an IPv6 header.
const IPV4_LAST_WORD: i32 = 16;
const IPV6_LAST_WORD: i32 = 36;

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` reads; the kernel takes what is missing as zero.
#[repr(C)]
struct ProgramLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// Steers every packet to queue (last word of its destination address) mod (number of queues).
///
/// # Errors
/// If the kernel refuses the program (rights, lock-down, age); the queues then work, but in the kernel's order.
pub(super) fn by_destination(queue: impl AsFd) -> io::Result<()> {
    let program = load()?;
    let number = program.as_raw_fd();
    // SAFETY: the ioctl reads one int through the pointer, which lives until the call returns; both descriptors are
    // open. The kernel takes a reference of its own to the program, so that ours may be closed afterwards.
    let result = unsafe { libc::ioctl(queue.as_fd().as_raw_fd(), TUNSETSTEERINGEBPF, std::ptr::from_ref(&number)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn load() -> io::Result<OwnedFd> {
    let program = program();
    let mut attributes = ProgramLoad {
        prog_type: SOCKET_FILTER,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr().expose_provenance() as u64,
        license: c"MIT".as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
    };
    // SAFETY: the attributes are a prefix of `union bpf_attr` of exactly the size given; the instructions and the
    // licence that they point to outlive the call, which only reads them.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_LOAD,
            std::ptr::from_mut(&mut attributes),
            size_of::<ProgramLoad>() as libc::c_uint,
        )
    };
    let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Eight instructions; the kernel takes the result modulo the number of queues.
fn program() -> [u64; 8] {
    const MOVE: u8 = 0xbf;
    const LOAD_BYTE: u8 = 0x30;
    const LOAD_WORD: u8 = 0x20;
    const SHIFT_RIGHT: u8 = 0x77;
    const JUMP_IF_EQUAL: u8 = 0x15;
    const EXIT: u8 = 0x95;
    // The packet loads want the context in register 6.
    const R6_FROM_R1: u8 = 0x16;
    [
        instruction(MOVE, R6_FROM_R1, 0, 0),
        instruction(LOAD_BYTE, 0, 0, 0),
        instruction(SHIFT_RIGHT, 0, 0, 4),
        instruction(JUMP_IF_EQUAL, 0, 2, 6),
        instruction(LOAD_WORD, 0, 0, IPV4_LAST_WORD),
        instruction(EXIT, 0, 0, 0),
        instruction(LOAD_WORD, 0, 0, IPV6_LAST_WORD),
        instruction(EXIT, 0, 0, 0),
    ]
}

/// `struct bpf_insn` of `linux/bpf.h`, in the machine's byte order.
fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> u64 {
    let [o0, o1] = offset.to_ne_bytes();
    let [i0, i1, i2, i3] = immediate.to_ne_bytes();
    u64::from_ne_bytes([code, registers, o0, o1, i0, i1, i2, i3])
}
