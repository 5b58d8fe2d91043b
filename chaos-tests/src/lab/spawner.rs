//! The thread from which all of a lab's programs are started.
//!
//! One thread that runs as long as the lab enters the program's namespace and starts it there. Programs are bound to
//! that thread's lifetime by the kernel (see `Program::command`), so it must not end before the lab does.

use std::{
    io,
    process::{Child, Command},
    sync::mpsc::{self, Sender, SyncSender},
    thread,
};

use anyhow::{Context, Result};

use crate::lab::namespace::Namespace;

/// Starts programs in namespaces.
#[derive(Debug, Clone)]
pub(super) struct Spawner {
    orders: Sender<Order>,
}

struct Order {
    namespace: Namespace,
    command: Command,
    reply: SyncSender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread; it ends when the last clone of the spawner is dropped.
    pub(super) fn start() -> Result<Self> {
        let (orders, queue) = mpsc::channel::<Order>();
        thread::Builder::new().name("lab-spawner".to_owned()).spawn(move || {
            for mut order in queue {
                let child = order.namespace.join_calling_thread().and_then(|()| order.command.spawn());
                // Nobody to answer means that the lab is going down; the child is in its record or dies with us.
                let _ = order.reply.send(child);
            }
        })?;
        Ok(Self { orders })
    }

    /// Starts a program inside a namespace.
    pub(super) fn spawn(&self, namespace: &Namespace, command: Command) -> Result<Child> {
        let described = format!("{command:?}");
        let (reply, answer) = mpsc::sync_channel(1);
        self.orders
            .send(Order { namespace: namespace.clone(), command, reply })
            .ok()
            .context("the lab's spawner has ended")?;
        let child = answer.recv().context("the lab's spawner has ended")?;
        child.with_context(|| format!("start {described} in {}", namespace.name()))
    }
}
