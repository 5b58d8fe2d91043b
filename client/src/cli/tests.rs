//! The command line is consistent, and passwords cannot be given as arguments.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn nothing_takes_a_password_as_an_argument() {
    let refused = |arguments: &[&str]| Cli::try_parse_from(arguments).is_err();
    assert!(refused(&["ringwall", "sign-in", "--password", "x"]));
    assert!(refused(&["ringwall", "up", "--password", "x"]));
    assert!(refused(&["ringwall", "up", "--reconnect"]), "reconnecting needs a name");
    assert!(refused(&["ringwall", "up", "--device", "a/b"]));
    assert!(refused(&["ringwall", "sign-in", "--certificate", "alice.pem"]), "a certificate without its key");
    let both = ["ringwall", "sign-in", "--certificate", "c", "--key", "k", "--password-file", "p"];
    assert!(refused(&both), "a certificate or a password");
}

#[test]
fn every_command_of_the_help_is_understood() {
    for arguments in [
        vec!["profile", "add", "-"],
        vec!["profile", "add", "--file", "x"],
        vec!["profile", "add", "host:1", "--ca-fingerprint", "00".repeat(32).leak(), "--identity-provider", "p"],
        vec!["up", "--detach", "--username", "alice", "--password-file", "p"],
        vec!["up", "--reconnect", "--username", "alice", "--password-fd", "3", "--sign-in", "--no-prompt"],
        vec!["status", "--watch", "--json"],
        vec!["answer", "3f0c", "--stdin"],
        vec!["prompts", "--json"],
        vec!["sign-in", "--key-type", "p256", "--forget-controllers"],
        vec!["sign-in", "--certificate", "alice.pem", "--key", "alice.key"],
        vec!["up", "--reconnect", "--certificate", "machine.pem", "--key", "machine.key"],
        vec!["sign-out"],
        vec!["down"],
        vec!["completions", "bash"],
    ] {
        let whole = std::iter::once("ringwall").chain(arguments.clone());
        assert!(Cli::try_parse_from(whole).is_ok(), "{arguments:?}");
    }
}

#[test]
fn the_key_of_a_new_device_is_rsa_with_3072_bits_unless_p256_is_asked_for() {
    let kind = |arguments: &[&str]| match Cli::try_parse_from(arguments).expect("a valid command line").command {
        Command::SignIn(command) => KeyKind::from(command.key_type),
        _ => panic!("another command than sign-in"),
    };
    assert_eq!(kind(&["ringwall", "sign-in"]), KeyKind::Rsa3072);
    assert_eq!(kind(&["ringwall", "sign-in", "--key-type", "p256"]), KeyKind::P256);
}
