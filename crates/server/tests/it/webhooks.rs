//! A receiver on loopback hears of pushes and deletions, signed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{App, lazaret, text};
use crate::image::{Image, python};

/// Posts that may wait to be looked at.
const POSTS_MAX: usize = 16;

/// Longest wait for a post.
const SOON: Duration = Duration::from_secs(20);

/// A post as it came in: headers in lower case, and the body.
struct Post {
    headers: Vec<(String, String)>,
    body: String,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Answers every post with 200, until the test ends.
fn receiver() -> (String, Receiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, posts) = sync_channel(POSTS_MAX);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            let mut headers = Vec::new();
            let _ = reader.read_line(&mut line);
            loop {
                line.clear();
                let _ = reader.read_line(&mut line);
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
            let length = headers.iter().find(|(n, _)| n == "content-length");
            let length: usize = length.and_then(|(_, n)| n.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            let _ = reader
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
            let body = String::from_utf8_lossy(&body).into_owned();
            if sender.send(Post { headers, body }).is_err() {
                return;
            }
        }
    });
    (address, posts)
}

fn admin(app: &App, arguments: &[&str]) -> Value {
    let data = app.dir().join("data");
    let all = [&["admin", "webhook"], arguments, &["--data", text(&data), "--format", "json"]];
    let output = lazaret(&all.concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[tokio::test]
async fn a_push_and_a_deletion_are_posted_signed_and_logged() {
    let app = App::start();
    let (address, posts) = receiver();
    let actions = ["--action", "push", "--action", "delete"];
    let arguments = [&["put", "hook1", "--uri", &address, "--scope", "team/*"][..], &actions];
    let secret = admin(&app, &arguments.concat())["secret"].as_str().expect("a secret").to_owned();

    let image = Image::of(&[python("shop", "1.0")]);
    app.push("elsewhere", "1", &image).await;
    let pushed = app.push("team/shop", "1", &image).await;
    assert_eq!(pushed.status(), StatusCode::CREATED);

    let post = posts.recv_timeout(SOON).expect("a post");
    let body = post.json();
    assert_eq!(body["action"], "push");
    assert_eq!(body["target"]["repository"], "team/shop", "elsewhere is out of scope");
    assert_eq!(body["target"]["tag"], "1");
    assert_eq!(body["target"]["digest"], image.digest());
    assert_eq!(body["target"]["size"], image.manifest.len());
    assert_eq!(body["request"]["method"], "PUT");
    assert_eq!(body["request"]["host"], app.host());
    assert_eq!(body["request"]["id"], pushed.headers()["x-request-id"].to_str().expect("text"));
    assert_eq!(body["id"], post.header("webhook-id"));
    let signed = [post.header("webhook-id"), post.header("webhook-timestamp"), &post.body];
    let signature = registry::webhooks::signature(&secret, &signed);
    assert_eq!(post.header("webhook-signature"), format!("v1,{signature}"));

    app.delete(&format!("/v2/team/shop/manifests/{}", image.digest())).await;
    let body = posts.recv_timeout(SOON).expect("a post").json();
    assert_eq!((&body["action"], &body["target"]["tag"]), (&"delete".into(), &Value::Null));
    assert_eq!(body["target"]["digest"], image.digest());

    let log = admin(&app, &["log", "hook1"]);
    let states: Vec<_> = log.as_array().expect("a list").iter().map(|d| &d["attempts"]).collect();
    assert_eq!(states.len(), 2, "{log}");

    let arguments = [&["put", "hook1", "--uri", &address, "--cloud-events"][..], &actions];
    admin(&app, &arguments.concat());
    app.push("team/other", "2", &image).await;
    let post = posts.recv_timeout(SOON).expect("a post");
    assert!(post.header("content-type").starts_with("application/cloudevents+json"));
    let body = post.json();
    assert_eq!(body["type"], "Microsoft.ContainerRegistry.ImagePushed");
    assert_eq!(body["subject"], "team/other:2");
    assert_eq!(body["data"]["target"]["digest"], image.digest());
}
