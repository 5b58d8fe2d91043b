//! FreeRADIUS with a configuration of its own: users with passwords, one who is asked for a code, and one (`slow`) who takes
//! nine seconds to confirm on a telephone.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tokio::net::UdpSocket;

use super::Running;
use crate::harness::{free_port, until};

/// The shared secret.
pub(crate) const SECRET: &str = "a secret of both";
/// Password of `alice`, by PAP and CHAP.
pub(crate) const PASSWORD: &str = "open sesame";
/// Code that `carol` answers to her challenge.
pub(crate) const CODE: &str = "271828";

/// A RADIUS server.
pub(crate) struct FreeRadius {
    pub(crate) port: u16,
    process: Option<Running>,
    directory: TempDir,
}

impl FreeRadius {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::with_prefix("ringwall-radius-").expect("a directory");
        let at = directory.path();
        let port = free_port().port();
        std::fs::write(at.join("radiusd.conf"), configuration(at, port)).expect("written");
        std::fs::write(at.join("users"), USERS).expect("written");
        let process = Command::new("/usr/sbin/freeradius")
            .args(["-f", "-l", "stdout", "-n", "radiusd", "-d"])
            .arg(at)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("freeradius runs; scripts/setup.sh installs it");
        let server = Self { port, process: Some(Running(process)), directory };
        until("freeradius answers", async || server.answers().await).await;
        server
    }

    /// For whom it was asked to wait for a person, each time anew.
    pub(crate) fn pushes(&self) -> Vec<String> {
        let file = self.directory.path().join("pushes");
        std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Whether it answers Status-Server (RFC 5997), with a Message-Authenticator of our own making.
    async fn answers(&self) -> bool {
        use hmac::Mac;
        let mut packet = vec![12, 1, 0, 38];
        packet.extend([7; 16]);
        packet.extend([80, 18]);
        packet.extend([0; 16]);
        let mut mac = hmac::Hmac::<md5::Md5>::new_from_slice(SECRET.as_bytes()).expect("a key");
        mac.update(&packet);
        packet[22..38].copy_from_slice(&mac.finalize().into_bytes());
        let Ok(socket) = UdpSocket::bind("127.0.0.1:0").await else { return false };
        let sent = socket.connect(("127.0.0.1", self.port)).await.is_ok() && socket.send(&packet).await.is_ok();
        let wait = std::time::Duration::from_millis(300);
        let mut buffer = [0; 64];
        sent && tokio::time::timeout(wait, socket.recv(&mut buffer)).await.is_ok_and(|received| received.is_ok())
    }

    /// The identity provider as the admin API takes it.
    pub(crate) fn provider(&self, name: &str, protocol: &str) -> serde_json::Value {
        serde_json::json!({
            "name": name, "type": "Radius", "hostnames": ["127.0.0.1"], "port": self.port, "sharedSecret": SECRET,
            "authenticationProtocol": protocol, "timeout": 6,
            "claimMappings": [{"attributeName": "Filter-Id", "claimName": "groups", "list": true}],
        })
    }

    /// The MFA provider as the admin API takes it.
    pub(crate) fn factor(&self, name: &str, mode: &str) -> serde_json::Value {
        // Where the user confirms elsewhere nothing is typed.
        let input = if mode == "Push" { "Masked" } else { "Numeric" };
        serde_json::json!({
            "name": name, "type": "Radius", "hostnames": ["127.0.0.1"], "port": self.port, "sharedSecret": SECRET,
            "challengeSharedSecret": "begin", "authenticationProtocol": "PAP", "timeout": 6, "mode": mode,
            "inputType": input,
        })
    }
}

/// `carol` is asked for a code whatever her first password is; the code must come with the state that she was given.
const USERS: &str = r#"
alice Cleartext-Password := "open sesame"
    Filter-Id := "engineers",
    Filter-Id += "staff"
dave Cleartext-Password := "271828"
"#;

fn configuration(at: &Path, port: u16) -> String {
    let at = at.display();
    format!(
        r#"
prefix = /usr
localstatedir = {at}
logdir = {at}
raddbdir = {at}
run_dir = {at}
libdir = /usr/lib/freeradius
pidfile = {at}/pid
max_request_time = 30
cleanup_delay = 5
max_requests = 1024
hostname_lookups = no
log {{
    destination = stdout
}}
security {{
    user = root
    group = root
    allow_core_dumps = no
    max_attributes = 200
    reject_delay = 0
    status_server = yes
}}
thread pool {{
    start_servers = 1
    max_servers = 4
    min_spare_servers = 1
    max_spare_servers = 2
    max_requests_per_server = 0
}}
client loopback {{
    ipaddr = 127.0.0.1
    secret = "{SECRET}"
    require_message_authenticator = yes
}}
modules {{
    files {{
        usersfile = {at}/users
    }}
    pap {{
    }}
    chap {{
    }}
    linelog pushes {{
        filename = {at}/pushes
        format = "%{{User-Name}}"
    }}
    exec telephone {{
        wait = yes
        program = "/bin/sleep 9"
        input_pairs = request
        shell_escape = yes
        timeout = 20
    }}
    always reject {{
        rcode = reject
    }}
    always handled {{
        rcode = handled
    }}
}}
instantiate {{
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
    authorize {{
        if (&User-Name == "carol" && !&State) {{
            update control {{
                &Auth-Type := "Ask"
            }}
        }}
        elsif (&User-Name == "carol") {{
            if (&State == 0x73746174652d31 && &User-Password == "{CODE}") {{
                update control {{
                    &Auth-Type := Accept
                }}
            }}
            else {{
                reject
            }}
        }}
        elsif (&User-Name == "bypass") {{
            update control {{
                &Auth-Type := Accept
            }}
        }}
        elsif (&User-Name == "slow") {{
            pushes
            telephone
            update control {{
                &Auth-Type := Accept
            }}
        }}
        elsif (&User-Name == "pusher" && &User-Password == "begin") {{
            update control {{
                &Auth-Type := Accept
            }}
        }}
        else {{
            files
            chap
            pap
        }}
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
        Auth-Type CHAP {{
            chap
        }}
        Auth-Type Ask {{
            update reply {{
                &Reply-Message := "Type the code on your token."
                &State := 0x73746174652d31
                &Message-Authenticator := 0x00
            }}
            update control {{
                &Response-Packet-Type := Access-Challenge
            }}
            handled
        }}
    }}
    post-auth {{
        update reply {{
            &Message-Authenticator := 0x00
        }}
        Post-Auth-Type REJECT {{
            update reply {{
                &Message-Authenticator := 0x00
            }}
        }}
        Post-Auth-Type Challenge {{
            update reply {{
                &Message-Authenticator := 0x00
            }}
        }}
    }}
}}
"#
    )
}
