//! A browser on a host of the lab: headless Chromium, driven by chromedriver (W3C WebDriver).
//!
//! Promises a fresh profile for each browser, certificates of the lab's own authorities taken without question, and
//! that the browser ends with its owner. What pages write to the console is kept and can be asked for.

mod wire;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::lab::{Lab, command::Program, process::Process, wait};
use wire::Wire;

/// Where chromedriver listens on its host.
const PORT: u16 = 9_515;
/// From the start of a program to its first answer, on a busy machine.
const START: Duration = Duration::from_secs(60);
/// A page and what its script does.
const PAGE: Duration = Duration::from_secs(30);
/// Key under which WebDriver names an element (W3C WebDriver §11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Greys of the PNG that is the first argument, as `[width, height, base64]`; by canvas, so that the browser decodes it.
const PIXELS: &str = "
const done = arguments[arguments.length - 1];
(async () => {
  const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, image.width, image.height).data;
  let greys = '';
  for (let at = 0; at < data.length; at += 4) greys += String.fromCharCode(data[at]);
  done([image.width, image.height, btoa(greys)]);
})().catch(error => done(String(error)));
";

/// A running browser.
#[derive(Debug)]
pub struct Browser {
    wire: Wire,
    session: String,
    // Dropped last: ending the session ends the browser, then the driver goes.
    _driver: Process,
}

/// A picture as greys, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greys {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 0 is black.
    pub pixels: Vec<u8>,
}

impl Browser {
    /// Starts chromedriver and a browser on a host.
    pub fn start(lab: &Lab, host: &str) -> Result<Self> {
        let home = lab.directory().join(format!("browser-{host}"));
        std::fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
        // In a process namespace of its own: the browser's many processes die with the driver, however that ends.
        let script = format!("mount -t proc proc /proc && exec chromedriver --port={PORT}");
        let name = format!("chromedriver-{host}");
        let program = Program::with_own_mounts(&name, &["--pid", "--fork", "--kill-child=KILL"], &script)
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"));
        let mut driver = lab.spawn(host, program)?;
        driver.wait_listening(PORT, START)?;
        let wire = Wire::new(lab.host(host).clone(), PORT, START);
        let answer = wire.call("POST", "/session", &capabilities(&home)).context("start the browser")?;
        let session = answer["sessionId"].as_str().context("a session")?.to_owned();
        Ok(Self { wire, session, _driver: driver })
    }

    /// Goes to a page and waits until it is loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.post("url", &json!({ "url": url })).map(drop)
    }

    /// Where it is.
    pub fn url(&self) -> Result<String> {
        text(&self.call("GET", "url", &Value::Null)?)
    }

    /// The page's title.
    pub fn title(&self) -> Result<String> {
        text(&self.call("GET", "title", &Value::Null)?)
    }

    /// The whole document as it stands now.
    pub fn source(&self) -> Result<String> {
        text(&self.call("GET", "source", &Value::Null)?)
    }

    /// What a person reads in the first element of a CSS selector.
    pub fn text(&self, selector: &str) -> Result<String> {
        let element = self.element(selector)?;
        text(&self.call("GET", &format!("element/{element}/text"), &Value::Null)?)
    }

    /// An attribute of an element, as it stands in the document.
    pub fn attribute(&self, selector: &str, name: &str) -> Result<String> {
        let element = self.element(selector)?;
        text(&self.call("GET", &format!("element/{element}/attribute/{name}"), &Value::Null)?)
    }

    /// Whether a person can see an element.
    pub fn is_shown(&self, selector: &str) -> Result<bool> {
        let element = self.element(selector)?;
        let shown = self.call("GET", &format!("element/{element}/displayed"), &Value::Null)?;
        shown.as_bool().context("yes or no")
    }

    /// Clicks an element.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("element/{element}/click"), &json!({})).map(drop)
    }

    /// Types into an element.
    pub fn type_into(&self, selector: &str, what: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("element/{element}/value"), &json!({ "text": what })).map(drop)
    }

    /// Waits until an element is there.
    pub fn wait_for(&self, selector: &str) -> Result<()> {
        wait::until_ok(&format!("element {selector}"), PAGE, || self.element(selector).map(drop))
    }

    /// Looks whether an element is there now.
    pub fn has(&self, selector: &str) -> Result<()> {
        self.element(selector).map(drop)
    }

    /// Runs a script in the page; `return` gives its value.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        self.post("execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// A picture of an element as it is shown, PNG in base64.
    pub fn picture(&self, selector: &str) -> Result<String> {
        let element = self.element(selector)?;
        text(&self.call("GET", &format!("element/{element}/screenshot"), &Value::Null)?)
    }

    /// Decodes a PNG. Leaves the page.
    pub fn greys(&self, png: &str) -> Result<Greys> {
        self.open("about:blank")?;
        let answer = self.post("execute/async", &json!({ "script": PIXELS, "args": [png] }))?;
        let number = |at: usize| answer[at].as_u64().and_then(|number| usize::try_from(number).ok());
        let (Some(width), Some(height), Some(pixels)) = (number(0), number(1), answer[2].as_str()) else {
            bail!("no picture: {answer}");
        };
        let pixels = BASE64.decode(pixels.as_bytes())?;
        ensure!(pixels.len() == width * height, "{} pixels are not {width} times {height}", pixels.len());
        Ok(Greys { width, height, pixels })
    }

    /// What pages wrote to the console since the last call, warnings and worse: refused content, failed requests.
    pub fn complaints(&self) -> Result<Vec<String>> {
        let entries = self.post("se/log", &json!({ "type": "browser" }))?;
        let entries = entries.as_array().context("a list")?;
        let bad = entries.iter().filter(|entry| matches!(entry["level"].as_str(), Some("WARNING" | "SEVERE")));
        Ok(bad.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Plugs a soft security key in that verifies its user and answers at once (WebAuthn level 3, §11).
    pub fn plug_in_security_key(&self) -> Result<()> {
        let key = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserConsenting": true, "isUserVerified": true,
        });
        self.post("webauthn/authenticator", &key).map(drop)
    }

    fn element(&self, selector: &str) -> Result<String> {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector }))?;
        text(&found[ELEMENT]).with_context(|| format!("element {selector}"))
    }

    fn post(&self, what: &str, body: &Value) -> Result<Value> {
        self.call("POST", what, body)
    }

    fn call(&self, method: &str, what: &str, body: &Value) -> Result<Value> {
        self.wire.call(method, &format!("/session/{}/{what}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Fails only if driver or browser are gone; then there is nothing to end.
        let _ = self.wire.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
    }
}

fn capabilities(home: &Path) -> Value {
    let data = home.join("profile");
    let arguments = [
        "--headless=new".to_owned(),
        // The lab runs as root, which Chromium's sandbox refuses.
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-background-networking".to_owned(),
        "--no-first-run".to_owned(),
        "--window-size=1000,1600".to_owned(),
        format!("--user-data-dir={}", data.display()),
    ];
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "acceptInsecureCerts": true,
        "unhandledPromptBehavior": "dismiss",
        "timeouts": { "pageLoad": millis(PAGE), "script": millis(PAGE), "implicit": 0 },
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "args": arguments },
    } } })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("expected a text, got {value}"))
}
