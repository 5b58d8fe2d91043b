#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _accepted = ringwall_raft::fuzz::snapshot(bytes);
});
