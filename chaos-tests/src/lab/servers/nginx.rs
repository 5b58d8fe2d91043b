//! nginx on a host: pages that say who they are, and an endless file to download.
//!
//! One process without a master, so that what is recorded and killed is all there is. Everything it writes is in the lab's
//! directory.

use std::{
    fmt::Write,
    fs::{self, File},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::lab::{Lab, command::Program, process::Process};

/// The page with the endless file, at a limited rate.
pub const DOWNLOAD: &str = "/download";

/// The endless file without a limit on its rate.
pub(crate) const UNLIMITED: &str = "/unlimited";

/// Fast enough that a stall of a few milliseconds shows, slow enough to leave the machine to the others.
const DOWNLOAD_RATE: &str = "8m";

/// Sent in one go before nginx pauses to keep the rate: 16 ms worth, so that pauses of its own do not hide others.
const DOWNLOAD_CHUNK: &str = "128k";

/// Size of the file: sparse, it takes no disk, and no test downloads that much.
const DOWNLOAD_SIZE: u64 = 1 << 40;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(10);

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
}

impl Nginx {
    /// Starts it on ports of a host, on all its addresses of both families. The page `/` on each port is
    /// `page``(host, port)`.
    pub fn start(lab: &Lab, host: &str, ports: &[u16]) -> Result<Self> {
        let name = format!("nginx-{host}");
        let home = lab.directory().join(&name);
        fs::create_dir_all(home.join("files")).with_context(|| format!("create {}", home.display()))?;
        File::create(home.join("files/endless"))?.set_len(DOWNLOAD_SIZE).context("make the file to download")?;
        let configuration = home.join("nginx.conf");
        fs::write(&configuration, configure(&home, host, ports))?;
        let program =
            Program::system(&name, "nginx").arg("-e").arg("stderr").arg("-p").arg(&home).arg("-c").arg(&configuration);
        let mut process = lab.spawn(host, program)?;
        for port in ports {
            process.wait_listening(*port, START)?;
        }
        Ok(Self { process })
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// What the page on a port of a host says.
#[must_use]
pub fn page(host: &str, port: u16) -> String {
    format!("this is {host}, port {port}\n")
}

fn configure(home: &Path, host: &str, ports: &[u16]) -> String {
    let home = home.display();
    let servers: String = ports.iter().fold(String::new(), |mut text, port| {
        let body = page(host, *port).trim_end().to_owned();
        let _ = write!(
            text,
            "  server {{
    listen {port};
    listen [::]:{port};
    root {home}/files;
    location = {DOWNLOAD} {{ limit_rate {DOWNLOAD_RATE}; sendfile_max_chunk {DOWNLOAD_CHUNK}; try_files /endless =404; }}
    location = {UNLIMITED} {{ try_files /endless =404; }}
    location / {{ return 200 \"{body}\\n\"; }}
  }}
"
        );
        text
    });
    format!(
        "daemon off;
master_process off;
pid {home}/pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  access_log {home}/access;
  default_type text/plain;
  sendfile on;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
{servers}}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_says_its_own_name() {
        let text = configure(Path::new("/x"), "web1", &[80, 8080]);
        assert!(text.contains("return 200 \"this is web1, port 80\\n\""), "{text}");
        assert!(text.contains("return 200 \"this is web1, port 8080\\n\""), "{text}");
    }
}
