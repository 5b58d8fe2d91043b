//! A test in a network namespace of its own: the test program starts itself again in one, with this test only.

use std::process::Command;

/// Says in the inner run which test it is.
const INNER: &str = "RINGWALL_TEST_IN_NAMESPACE";

/// Runs `body` in a fresh network namespace with the loopback interface up. Needs root.
pub(crate) fn in_own_network(body: impl Future<Output = ()>) {
    let name = std::thread::current().name().expect("test threads are named after their test").to_owned();
    if std::env::var(INNER).is_ok_and(|inner| inner == name) {
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("iproute2 is installed");
        assert!(up.success(), "cannot bring the loopback interface up");
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(body);
        return;
    }
    let status = Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().expect("a program"))
        .args(["--exact", &name, "--nocapture"])
        .env(INNER, &name)
        .status()
        .expect("util-linux is installed");
    assert!(status.success(), "{name} failed in its network namespace");
}
