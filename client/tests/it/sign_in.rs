//! `ringwall sign-in` and `ringwall profile` against real TLS.

use std::os::unix::fs::PermissionsExt;

use ringwall_client::status::Status;

use crate::namespace::in_own_network;
use crate::program::Machine;
use crate::world::{OTP, World};

#[test]
fn signs_in_and_keeps_everything_to_itself() {
    in_own_network(async {
        let world = World::start().await;
        let machine = Machine::new(&world).await;
        machine.sign_in().await;
        let calls = world.facts.change(|changing| changing.calls.clone());
        assert_eq!(calls, ["/client/v1/sign-in", "/client/v1/certificate", "/client/v1/entitlements"]);
        let listed: serde_json::Value =
            serde_json::from_str(&machine.must(&["profile", "list", "--json"], "").await).expect("JSON");
        assert_eq!((listed[0]["name"].as_str(), listed[0]["signedIn"].as_bool()), (Some("test"), Some(true)));
        let profile = machine.state().join("profiles").join(listed[0]["slot"].as_str().expect("text"));
        for file in ["profile.link", "device.json", "key.pem", "session.json"] {
            let mode = std::fs::metadata(profile.join(file)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        // The second sign-in shows the cookie that the first one got.
        machine.sign_in().await;
        let cookies = world.facts.change(|changing| changing.cookies.clone());
        assert!(cookies[0].is_none() && cookies[1].as_ref().is_some_and(|cookie| cookie.starts_with("cookie ")));
    });
}

#[test]
fn a_first_time_client_gets_in_while_the_profiles_host_is_down() {
    in_own_network(async {
        let world = World::start().await;
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("bound");
        let link = world.link_at(&nobody.to_string(), &[world.controller.address.to_string()]);
        let machine = Machine::with_link(&link).await;
        machine.sign_in().await;
        let listed = machine.must(&["profile", "list", "--json"], "").await;
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        assert_eq!(
            (listed[0]["signedIn"].as_bool(), listed[0]["host"].as_str()),
            (Some(true), Some(nobody.to_string().as_str()))
        );
    });
}

#[test]
fn a_wrong_password_is_refused_with_the_next_step() {
    in_own_network(async {
        let world = World::start().await;
        let machine = Machine::new(&world).await;
        std::fs::write(machine.password_file(), "wrong\n").expect("written");
        let password = machine.password_file();
        let arguments = ["sign-in", "--username", "alice", "--password-file", password.to_str().expect("text")];
        let arguments: Vec<&str> = arguments.into_iter().chain(["--key-type", "p256"]).collect();
        let said = machine.fails(4, &arguments, "").await;
        assert!(said.contains("signInRefused") && said.contains("check user name and password"), "{said}");
    });
}

#[test]
fn what_the_provider_has_for_the_user_to_read_is_shown_at_sign_in_and_in_the_status() {
    in_own_network(async {
        let world = World::start().await;
        let notice = "Please change your password.\u{1b}[2J (Time left: 1 day)";
        world.facts.change(|changing| changing.notices = vec![notice.to_owned()]);
        let mut machine = Machine::new(&world).await;
        let password = machine.password_file();
        let password = password.to_str().expect("text");
        let arguments = ["sign-in", "--key-type", "p256", "--username", "alice", "--password-file", password];
        let output = machine.run(&arguments, "").await;
        let shown = "Please change your password.[2J (Time left: 1 day)";
        assert!(String::from_utf8_lossy(&output.stderr).contains(shown), "without what a terminal obeys: {output:?}");
        machine.up(&[]);
        let warned = |status: &Status| status.troubles.iter().any(|trouble| trouble.cause == shown);
        let status = machine.until("the status warns", warned).await;
        let trouble = status.troubles.iter().find(|trouble| trouble.cause == shown).expect("it is there");
        assert_eq!((trouble.subject.as_str(), trouble.next_step.as_str()), ("password", "see the identity provider"));
    });
}

#[test]
fn a_further_factor_is_read_from_standard_input() {
    in_own_network(async {
        let world = World::start().await;
        world.facts.change(|changing| changing.factor = true);
        let machine = Machine::new(&world).await;
        let password = machine.password_file();
        let password = password.to_str().expect("text");
        let arguments = ["sign-in", "--key-type", "p256", "--username", "alice", "--password-file", password];
        machine.fails(4, &arguments, "000000\n").await;
        machine.must(&arguments, &format!("{OTP}\n")).await;
    });
}

#[test]
fn knocks_by_udp_and_in_the_hello_where_the_profile_has_a_key() {
    in_own_network(async {
        let world = World::start().await;
        world.facts.change(|changing| changing.spa = true);
        let machine = Machine::new(&world).await;
        machine.sign_in().await;
        let knocks = world.facts.change(|changing| changing.knocks);
        assert_eq!(knocks, (3, 3), "a packet and a proof for every connection");
    });
}

#[test]
fn a_network_that_keeps_knocks_by_udp_from_leaving_is_named() {
    in_own_network(async {
        let world = World::start().await;
        world.facts.change(|changing| changing.spa = true);
        let machine = Machine::new(&world).await;
        let port = world.controller.address.port();
        // Without its knock a port is silent.
        let rules = format!(
            "add table inet case; add chain inet case out {{ type filter hook output priority 0; }}; \
             add chain inet case in {{ type filter hook input priority 0; }}; \
             add rule inet case out udp dport {port} drop; add rule inet case in tcp dport {port} drop"
        );
        let made = std::process::Command::new("nft").arg(&rules).status().expect("nftables is installed");
        assert!(made.success(), "cannot make the rules");
        let password = machine.password_file();
        let password = password.to_str().expect("text");
        let arguments = ["sign-in", "--key-type", "p256", "--username", "alice", "--password-file", password];
        let said = machine.fails(5, &arguments, "").await;
        assert!(said.contains("the knock by UDP is not let through"), "{said}");
        assert!(said.contains("UDP to the Collective's port is blocked"), "{said}");
    });
}

#[test]
fn a_controller_under_another_root_is_not_spoken_to() {
    in_own_network(async {
        let world = World::start().await;
        let machine = Machine::new(&world).await;
        let other = World::start().await;
        // The user's profile leads to a machine that is not what it should be.
        let address = other.controller.address.to_string();
        let ca = world.facts.collective.root.fingerprint().to_string();
        let added = ["profile", "add", &address, "--ca-fingerprint", &ca, "--identity-provider", "local"];
        machine.must(&added, "").await;
        let password = machine.password_file();
        let password = password.to_str().expect("text");
        let name = address.split(':').next().expect("a host");
        let arguments =
            ["sign-in", "--profile", name, "--key-type", "p256", "--username", "alice", "--password-file", password];
        let said = machine.fails(5, &arguments, "").await;
        assert!(said.contains("root certificate is not the pinned one"), "{said}");
        assert!(
            said.contains("sign in to the network") && !said.contains("--replace-ca"),
            "a portal's, mostly: {said}"
        );
        assert!(other.facts.change(|changing| changing.calls.is_empty()), "the password went nowhere");
    });
}

#[test]
fn another_certificate_authority_needs_to_be_confirmed() {
    in_own_network(async {
        let world = World::start().await;
        let machine = Machine::new(&world).await;
        let address = world.controller.address.to_string();
        let forged = "ab".repeat(32);
        let forged = ["profile", "add", &address, "--ca-fingerprint", &forged, "--identity-provider", "local"];
        let said = machine.fails(10, &forged, "").await;
        assert!(said.contains(&world.facts.collective.root.fingerprint().to_string()), "{said}");
        machine.sign_in().await;
        let confirmed: Vec<&str> = forged.into_iter().chain(["--replace-ca"]).collect();
        machine.must(&confirmed, "").await;
    });
}

#[test]
fn commands_without_a_daemon_say_so() {
    in_own_network(async {
        let world = World::start().await;
        let machine = Machine::new(&world).await;
        for arguments in [vec!["status"], vec!["down"], vec!["prompts"]] {
            let said = machine.fails(6, &arguments, "").await;
            assert!(said.contains("ringwall up"), "{said}");
        }
        machine.fails(3, &["sign-out"], "").await;
        machine.fails(3, &["up"], "").await;
        machine.fails(9, &["sign-in", "--profile", "nope", "--username", "x"], "").await;
        assert!(machine.must(&["completions", "bash"], "").await.contains("ringwall"));
    });
}
