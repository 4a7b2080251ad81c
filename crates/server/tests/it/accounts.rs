//! Accounts made from the command line beside a running server, used by skopeo.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{App, lazaret, text};
use crate::image::{Image, layer};

/// A change of the command line's must be seen within this time.
const SECONDS: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs `lazaret admin`; gives what it printed.
#[track_caller]
fn admin(app: &App, arguments: &[&str]) -> Value {
    let data = app.dir().join("data");
    let output = lazaret(&[&["admin", "--data", text(&data)], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn skopeo(arguments: &[&str]) -> Option<Output> {
    match Command::new("skopeo").arg("--insecure-policy").args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: skopeo is not installed");
            None
        }
        Err(error) => panic!("skopeo does not run: {error}"),
    }
}

#[tokio::test]
async fn a_repository_token_pulls_and_does_not_push() {
    let app = App::start();
    let image = Image::of(&[layer(&[("etc/motd", "hello")])]);
    assert_eq!(app.push("team/app", "v1", &image).await.status(), StatusCode::CREATED);
    let token =
        admin(&app, &["token", "create", "puller", "--repository", "team/*", "content/read"]);
    let password = token["credentials"]["passwords"][1]["value"].as_str().expect("a password");
    let credentials = format!("puller:{password}");
    let remote = format!("docker://{}/team/app:v1", app.host());
    let local = format!("dir:{}", text(&app.dir().join("copy")));
    let pull = ["copy", "--src-tls-verify=false", "--src-creds", &credentials, &remote, &local];
    let Some(pulled) = skopeo(&pull) else { return };
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));

    let other = format!("docker://{}/team/app:v2", app.host());
    let push = ["copy", "--dest-tls-verify=false", "--dest-creds", &credentials, &local, &other];
    let pushed = skopeo(&push).expect("it was there");
    let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
    assert!(!pushed.status.success() && said.contains("denied"), "{said}");

    admin(&app, &["token", "disable", "puller"]);
    let began = Instant::now();
    while skopeo(&pull).expect("it was there").status.success() {
        assert!(began.elapsed() < SECONDS, "a disabled token still pulls");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[tokio::test]
async fn everybody_pulls_while_it_is_switched_on() {
    let app = App::start();
    assert_eq!(
        app.push("app", "v1", &Image::of(&[layer(&[("etc/motd", "hello")])])).await.status(),
        StatusCode::CREATED
    );
    let remote = format!("docker://{}/app:v1", app.host());
    let inspect = ["inspect", "--tls-verify=false", "--no-creds", "--raw", &remote];
    for (value, expected) in [("off", false), ("on", true), ("default", false)] {
        admin(&app, &["anonymous-pull", value]);
        let began = Instant::now();
        loop {
            let Some(output) = skopeo(&inspect) else { return };
            if output.status.success() == expected {
                break;
            }
            assert!(began.elapsed() < SECONDS, "anonymous pull is {value} and is not seen to be");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
