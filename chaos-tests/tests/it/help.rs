//! What the product's programs say of themselves: `--help` of every program and of every command below it.

use std::{fmt::Write, process::Command};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{golden, lab::command::binary_path};

/// Commands stand no deeper than this.
const DEEPEST: usize = 3;

#[test]
fn the_help_of_ringctl_is_the_reviewed_one() -> Result<()> {
    golden::compare("help/ringctl.txt", &help("ringctl")?)
}

#[test]
fn the_help_of_the_client_is_the_reviewed_one() -> Result<()> {
    golden::compare("help/ringwall.txt", &help("ringwall")?)
}

#[test]
fn the_help_of_the_controller_is_the_reviewed_one() -> Result<()> {
    golden::compare("help/ringwall-controller.txt", &help("ringwall-controller")?)
}

#[test]
fn the_help_of_the_gateway_is_the_reviewed_one() -> Result<()> {
    golden::compare("help/ringwall-gateway.txt", &help("ringwall-gateway")?)
}

fn help(binary: &str) -> Result<String> {
    let mut text = String::new();
    collect(binary, &mut Vec::new(), &mut text)?;
    Ok(text)
}

fn collect(binary: &str, path: &mut Vec<String>, text: &mut String) -> Result<()> {
    ensure!(path.len() <= DEEPEST, "{binary} {path:?} is deeper than expected");
    // Values of the environment would be shown.
    let output = Command::new(binary_path(binary)?).args(path.iter()).arg("--help").env_clear().output()?;
    ensure!(output.status.success(), "{binary} {path:?}: {}", String::from_utf8_lossy(&output.stderr));
    let help = String::from_utf8(output.stdout).context("the help is text")?;
    let line = [binary].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    writeln!(text, "$ {line} --help\n{}\n", lines.join("\n").trim_end())?;
    for command in commands(&help) {
        path.push(command);
        collect(binary, path, text)?;
        path.pop();
    }
    Ok(())
}

/// The names in the section `Commands:`, without the one that every program has.
fn commands(help: &str) -> Vec<String> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let section = section.take_while(|line| line.starts_with("  "));
    // Further lines of a description stand further to the right.
    let names = section.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}
