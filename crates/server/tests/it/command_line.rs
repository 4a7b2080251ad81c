//! The command line, as scripts use it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::advisories::{export, record};
use crate::app::{App, lazaret, text};
use crate::image::{Image, debian, python};

fn json_of(output: &std::process::Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"))
}

#[tokio::test]
async fn a_scan_over_the_wire_says_what_the_server_says() {
    let app = App::start();
    app.import(&export(app.dir(), &[record("PYSEC-1", "shop", "1.1")]));
    let image = Image::of(&[debian("a", "1"), python("shop", "1.0")]);
    app.push("team/shop", "1", &image).await;
    app.wait_for_findings("team/shop", &image.digest(), 1).await;

    let target = format!("registry:{}/team/shop:1", app.host());
    let (auth, db) = (app.auth_file(), app.db());
    let scan = |extra: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_lazaret"))
            .args(["scan", &target, "--plain-http", "--db", text(&db), "--format", "json"])
            .args(extra)
            .env("REGISTRY_AUTH_FILE", &auth)
            .output()
            .expect("it runs")
    };
    let output = scan(&[]);
    assert_eq!(output.status.code(), Some(0));
    let report = json_of(&output);
    assert_eq!(report["digest"], image.digest());
    assert_eq!(report["status"], "unhealthy");
    assert_eq!(report["packages"], 2);
    let finding = &report["findings"][0];
    let server = &app.findings("team/shop", &image.digest()).await[0];
    assert_eq!(finding["id"], server["id"]);
    assert_eq!(finding["packages"][0]["layer"], 1);
    assert_eq!(finding["packages"][0]["evidence"]["advisory"], "PYSEC-1");

    assert_eq!(scan(&["--fail-on", "critical"]).status.code(), Some(1), "the gate says no");
}

#[test]
fn a_purl_is_matched_with_evidence() {
    let dir = tempfile::tempdir().expect("a directory");
    let (db, file) =
        (dir.path().join("db"), export(dir.path(), &[record("PYSEC-1", "shop", "1.1")]));
    assert!(lazaret(&["advisories", "import", text(&file), "--db", text(&db)]).status.success());
    let purls = ["pkg:pypi/Shop@1.0", "pkg:pypi/shop@1.1", "pkg:deb/debian/a@1?distro=debian-12"];
    let output = lazaret(&["match", purls[0], purls[1], purls[2], "--db", text(&db)]);
    let answers = json_of(&output);
    assert_eq!(answers[0]["findings"][0]["packages"][0]["fixed"], "1.1");
    assert_eq!(answers[1]["findings"].as_array().map(Vec::len), Some(0));
    assert_eq!(answers[1]["assessed"], true);
    assert_eq!(answers[2]["assessed"], false, "nobody has judged Debian");
}

fn compare(ecosystem: &str, lines: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .args(["versions", "compare", ecosystem])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("a pipe");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{ecosystem}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn versions_are_compared_line_by_line() {
    let check = |ecosystem, lines, expected| assert_eq!(compare(ecosystem, lines), expected);
    check("Debian", "1.0~rc1\t1.0\n1:1\t2\n1.0\t1.0-0\n1 0\t1\n", "<\n>\n=\n?\n");
    // An ecosystem whose order is not known here: nothing can be compared.
    check("Hackage", "1\t2\n", "?\n");
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    assert_eq!(lazaret(&["no-such-command"]).status.code(), Some(2));
    let failed = lazaret(&["inventory", "oci:no/such/layout"]);
    assert_eq!(failed.status.code(), Some(3));
    let message = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(message.contains("no/such/layout"), "it names what it tried: {message}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure_to_speak_of() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .arg("openapi")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // The document is larger than a pipe holds, so that writing it fails.
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
