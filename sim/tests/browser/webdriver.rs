//! As much of WebDriver (<https://www.w3.org/TR/webdriver2/>) as the test needs: JSON over HTTP.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// The name of an element's reference, by the standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window. It is closed when this is dropped.
pub(crate) struct Browser {
    driver: Child,
    session: String,
}

impl Browser {
    /// Starts chromedriver and a headless Chromium whose profile is the (new) folder `profile`.
    pub(crate) fn start(profile: &Path) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver starts: apt-get install chromium chromium-driver");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let port = line.split("successfully on port ").nth(1)?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let port = port.expect("chromedriver names its port");
        let mut browser = Self { driver, session: format!("http://127.0.0.1:{port}/session") };
        let data = format!("--user-data-dir={}", profile.display());
        let arguments = json!([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1366,768",
            data,
        ]);
        let wanted = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let answer = browser.post("", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        let id = answer["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let request = minreq::post(format!("{}{command}", self.session)).with_timeout(60);
        let request = request.with_header("Content-Type", "application/json").with_body(body.to_string());
        value(command, &request.send().expect("chromedriver answers"))
    }

    /// Opens a file, and waits until it is loaded.
    pub(crate) fn open(&self, file: &Path) {
        self.post("/url", &json!({ "url": format!("file://{}", file.display()) }));
    }

    /// What a script returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text of the element that `css` selects.
    pub(crate) fn text(&self, css: &str) -> String {
        let found = self.run(&format!("return document.querySelector({css:?})?.innerText ?? null"));
        found.as_str().unwrap_or_else(|| panic!("no element {css}")).to_owned()
    }

    /// How many elements there are.
    pub(crate) fn count(&self, css: &str) -> u64 {
        self.run(&format!("return document.querySelectorAll({css:?}).length")).as_u64().unwrap()
    }

    /// Clicks as a person would: the element must be in sight.
    pub(crate) fn click(&self, css: &str) {
        let element = self.post("/element", &json!({ "using": "css selector", "value": css }));
        let id = element[ELEMENT].as_str().unwrap_or_else(|| panic!("no element {css}"));
        self.post(&format!("/element/{id}/click"), &json!({}));
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(crate) fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
            })
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", &json!({ "actions": [keyboard] }));
    }

    /// All that the page has written to the console, and all that the browser complains about.
    pub(crate) fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }));
        entries.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        _ = minreq::delete(&self.session).with_timeout(10).send();
        _ = self.driver.kill();
        _ = self.driver.wait();
    }
}

fn value(command: &str, response: &minreq::Response) -> Value {
    let text = response.as_str().expect("JSON is text");
    let mut answer: Value = serde_json::from_str(text).expect("chromedriver answers in JSON");
    assert_eq!(response.status_code, 200, "{command}: {}", answer["value"]);
    answer["value"].take()
}
