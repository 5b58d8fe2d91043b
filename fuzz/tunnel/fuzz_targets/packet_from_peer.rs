#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| { let _accepted = ringwall_tunnel::fuzz::packet_from_peer(bytes); });
