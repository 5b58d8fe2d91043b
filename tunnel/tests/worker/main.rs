//! Two workers against each other, with a side of the tests' own at each: what holds for both ends of every tunnel. Each
//! end has a network namespace and a TUN device. Needs root.

mod end;
mod side;
mod tls;

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc as channel};

use end::{End, PATIENCE};
use etherparse::PacketBuilder;
use ringwall_tunnel::frame::{FrameHeader, FrameKind};
use ringwall_tunnel::loss::{LossReason, Violation};
use ringwall_tunnel::packet::VirtioHeader;
use ringwall_tunnel::side::Stray;
use ringwall_tunnel::worker::{self, Equipment};
use side::{DropReason, Event, OneLine, TOKEN};
use tokio::sync::mpsc;

/// A datagram between the sockets of two ends.
fn datagram(from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(from, to, 64).udp(4_000, 4_000).write(&mut packet, payload).expect("fits");
    packet
}

#[test]
fn packets_pass_in_both_directions_and_are_counted_once_at_each_end() {
    let (asking, answering) = End::joined();
    for round in 0..20_u8 {
        asking.send(&[round; 500], &answering);
        assert_eq!(answering.receive(), [round; 500]);
        answering.send(&[round; 900], &asking);
        assert_eq!(asking.receive(), [round; 900]);
    }
    let headers = 28;
    let (there, back) = ((20, 20 * (500 + headers)), (20, 20 * (900 + headers)));
    // A packet is counted after the kernel took it: the receiver may be quicker.
    let counted = |end: &End, from_tun, to_tun| {
        let traffic = end.counters.traffic();
        traffic.from_tun() == from_tun && traffic.to_tun() == to_tun
    };
    end::eventually("each packet is counted once", || {
        counted(&asking, there, back) && counted(&answering, back, there)
    });
}

#[test]
fn closed_gate_stops_packets_in_both_directions() {
    let (asking, answering) = End::joined();
    answering.decisions.gate.store(0, Ordering::Release);
    asking.send(b"to the TUN", &answering);
    answering.until_dropped(DropReason::GateClosed, 1);
    answering.send(b"from the TUN", &asking);
    answering.until_dropped(DropReason::GateClosed, 2);
    assert_eq!(answering.counters.traffic().to_tun(), (0, 0));
    assert_eq!(answering.counters.traffic().from_tun(), (0, 0));
    assert_eq!(asking.counters.traffic().to_tun(), (0, 0));
}

#[test]
fn gate_that_closes_after_a_packet_was_gathered_stops_it_before_it_is_encrypted() {
    let (asking, answering) = End::joined();
    // Open when the packet is read, closed when its run is sealed.
    answering.decisions.gate.store(1, Ordering::Release);
    answering.send(b"too late", &asking);
    answering.until_dropped(DropReason::GateClosed, 1);
    answering.decisions.gate.store(side::OPEN, Ordering::Release);
    answering.send(b"in time", &asking);
    assert_eq!(asking.receive(), b"in time");
}

#[test]
fn sides_refusal_is_counted_under_its_own_reason() {
    let (asking, answering) = End::joined();
    asking.decisions.may_enter.store(false, Ordering::Release);
    asking.send(b"refused on the way in", &answering);
    asking.until_dropped(DropReason::MayNotEnter, 1);
    asking.decisions.may_enter.store(true, Ordering::Release);
    answering.decisions.may_leave.store(false, Ordering::Release);
    asking.send(b"refused on the way out", &answering);
    answering.until_dropped(DropReason::MayNotLeave, 1);
    answering.decisions.may_leave.store(true, Ordering::Release);
    asking.send(b"allowed", &answering);
    assert_eq!(answering.receive(), b"allowed");
}

#[test]
fn packet_to_nobodys_address_is_the_sides_to_judge() {
    let (asking, _answering) = End::joined();
    asking.socket.send_to(b"to nobody", "10.5.0.9:9").expect("the route leads into the TUN");
    asking.until(Event::Unrouted([10, 5, 0, 9].into()));
    assert_eq!(asking.counters.traffic().from_tun(), (0, 0));
}

#[test]
fn stray_packet_enters_the_tunnel_like_one_of_the_workers_own_queue() {
    let (asking, answering) = End::joined();
    let packet = datagram([10, 5, 0, 1], [10, 5, 0, 2], b"from another queue");
    let stray = Stray { header: VirtioHeader::default(), packet: packet.into() };
    asking.strays.try_send(stray).expect("the worker is idle");
    assert_eq!(answering.receive(), b"from another queue");
}

#[test]
fn no_packet_passes_before_the_attach_token_is_answered() {
    let end = End::start(1, 2);
    let mut raw = end.attach();
    end.socket.send_to(b"too early", "10.5.0.2:9").expect("the route leads into the TUN");
    end.until_dropped(DropReason::NoTunnel, 1);
    raw.send(FrameHeader::plain(FrameKind::Attach, 0), &[]);
    end.until(Event::Attached);
    end.socket.send_to(b"in time", "10.5.0.2:9").expect("the route leads into the TUN");
    let (header, packet) = raw.frame().expect("a packet");
    assert_eq!(header.kind, FrameKind::Packet);
    assert!(packet.ends_with(b"in time"));
}

#[test]
fn unanswered_packet_is_asked_after_and_an_answer_keeps_the_tunnel() {
    let end = End::start(1, 2);
    let mut raw = end.attach();
    raw.send(FrameHeader::plain(FrameKind::Attach, 0), &[]);
    end.until(Event::Attached);
    for _ in 0..2 {
        end.socket.send_to(b"anybody there?", "10.5.0.2:9").expect("the route leads into the TUN");
        assert_eq!(raw.frame().expect("the packet").0.kind, FrameKind::Packet);
        assert_eq!(raw.frame().expect("a question").0.kind, FrameKind::KeepAlive);
        raw.send(FrameHeader::plain(FrameKind::KeepAlive, 0), &[]);
        // What comes behind the answer has arrived: so has the answer.
        let packet = datagram([10, 5, 0, 2], [10, 5, 0, 1], b"here");
        raw.send(FrameHeader::packet(packet.len() as u32, 0, 0), &packet);
        assert_eq!(end.receive(), b"here");
    }
    assert_eq!(end.further_events(), [], "it is not given up");
}

#[test]
fn keep_alives_are_answered_once_for_all_that_come_together() {
    let end = End::start(2, 1);
    let (mut raw, _) = end.answer();
    let question = FrameHeader::plain(FrameKind::KeepAlive, 0);
    // One record: the worker receives it in one piece.
    raw.send(question, &question.encode().repeat(99));
    assert_eq!(raw.frame().expect("an answer").0.kind, FrameKind::KeepAlive);
    end.socket.send_to(b"what comes next", "10.5.0.1:9").expect("the route leads into the TUN");
    assert_eq!(raw.frame().expect("the packet").0.kind, FrameKind::Packet);
}

#[test]
fn frames_out_of_turn_end_the_tunnel_of_either_end() {
    let end = End::start(1, 2);
    let mut raw = end.attach();
    raw.send(FrameHeader::plain(FrameKind::KeepAlive, 0), &[]);
    end.until(Event::Lost(LossReason::Violated(Violation::Attach)));
    assert_eq!(raw.frame(), None, "closed");

    let end = End::start(2, 1);
    let (mut raw, _) = end.answer();
    raw.send(FrameHeader::plain(FrameKind::Attach, 32), &TOKEN);
    end.until(Event::Lost(LossReason::Violated(Violation::AttachedTwice)));
    assert_eq!(raw.frame(), None, "closed");
}

#[test]
fn replaced_tunnel_is_closed_and_not_reported_as_lost() {
    let end = End::start(2, 1);
    let (mut former, replaced) = end.answer();
    assert!(!replaced);
    let (mut latter, replaced) = end.answer();
    assert!(replaced);
    assert_eq!(former.frame(), None, "closed");
    end.socket.send_to(b"to the new one", "10.5.0.1:9").expect("the route leads into the TUN");
    assert!(latter.frame().expect("the packet").1.ends_with(b"to the new one"));
    assert_eq!(end.further_events(), [], "replaced is not lost");
}

#[test]
fn panic_over_one_packet_ends_its_tunnel_and_not_the_worker() {
    let (asking, answering) = End::joined();
    answering.decisions.panics.store(true, Ordering::Release);
    asking.send(b"panic", &answering);
    answering.until(Event::Lost(LossReason::Defect));
    asking.until(Event::Lost(LossReason::Closed));
    asking.join(&answering);
    asking.send(b"again", &answering);
    assert_eq!(answering.receive(), b"again");
}

#[test]
fn worker_whose_side_cannot_be_made_says_so() {
    let (device, _socket) = end::in_namespace([10, 5, 0, 1].into());
    let (told, stopped) = channel::channel();
    let (_orders, inbox) = mpsc::unbounded_channel();
    let equipment = Equipment { counters: Arc::default(), peer_queue: 0, orders: inbox };
    let make_side = || -> OneLine { panic!("a defect that a test asked for") };
    let stopped_by = move |error: Option<std::io::Error>| told.send(error.is_none()).expect("the test waits");
    let thread = worker::start("defect".into(), device, equipment, make_side, stopped_by).expect("a thread");
    assert!(stopped.recv_timeout(PATIENCE).expect("it is told"), "a panic has no error");
    assert!(thread.join().is_err(), "it panicked");
}
