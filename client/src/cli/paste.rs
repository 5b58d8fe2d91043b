//! The address that a browser on another machine came to, pasted here: on a machine without a browser there is nobody to
//! open its page, and the one that opens it cannot come back.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::credentials::{browser_failure, line_of};
use super::output;
use crate::browser::{self, BrowserError, Page};
use crate::core::prompts::MAX_PASTED;
use crate::failure::Failure;

/// How long a reader that nobody needs any more stays: it must not take a line that answers the next question.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for the browser, or for the address that it came to.
pub(super) async fn answer_of(page: Page, no_browser: bool) -> Result<Zeroizing<String>, Failure> {
    let url = page.url();
    // A pipe belongs to other questions, unless there is no browser here at all.
    if !page.is_elsewhere() || !(no_browser || io::stdin().is_terminal()) {
        return page.answer().await.map_err(browser_failure);
    }
    output::note("Or paste the address to which a browser on another machine came, which it cannot show:");
    let mut lines = lines();
    tokio::select! {
        answer = page.answer() => answer.map_err(browser_failure),
        pasted = pasted(&mut lines, &url) => pasted,
    }
}

/// The first line that is the address which is waited for. Does not end with the input: the browser may still come.
async fn pasted(
    lines: &mut mpsc::Receiver<Result<Zeroizing<String>, Failure>>,
    page: &str,
) -> Result<Zeroizing<String>, Failure> {
    while let Some(line) = lines.recv().await {
        match browser::pasted(page, &line?) {
            Err(BrowserError::Pasted) if io::stdin().is_terminal() => {
                output::note("The browser did not come to that address from this page; paste the whole of it:");
            }
            other => return other.map_err(browser_failure),
        }
    }
    std::future::pending().await
}

/// Lines of standard input, read only when they are there, as long as somebody receives them.
fn lines() -> mpsc::Receiver<Result<Zeroizing<String>, Failure>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        while !sender.is_closed() {
            match is_there() {
                Ok(false) => {}
                Ok(true) => match line_of(io::stdin().lock(), MAX_PASTED) {
                    Ok(line) if line.is_empty() && !io::stdin().is_terminal() => return,
                    Ok(line) if line.is_empty() => {}
                    line => drop(sender.blocking_send(line)),
                },
                Err(_) => return,
            }
        }
    });
    receiver
}

/// Whether reading would wait for nobody.
fn is_there() -> io::Result<bool> {
    let input = io::stdin();
    let mut waiting = [PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN)];
    let look = Timespec { tv_sec: 0, tv_nsec: LOOK.as_nanos().try_into().unwrap_or(0) };
    Ok(poll(&mut waiting, Some(&look))? > 0)
}
