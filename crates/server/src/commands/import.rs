//! `lazaret import`: asks a running server for an import and watches it. The
//! server does the work, so that the image is inspected like a push and the
//! import goes on when this command is gone.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::AUTHORIZATION;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use upstream::login;

use crate::cli::{Format, ImportArgs};
use crate::output::outln;

/// How often the server is asked how far it is.
const POLL_EVERY: Duration = Duration::from_millis(300);
/// The account that signs in where no file of another client has one.
const USER: &str = "LAZARET_USER";
const PASSWORD: &str = "LAZARET_PASSWORD";
/// Longest password that is read from standard input, in bytes.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Import {
    id: String,
    state: String,
    progress: Progress,
    digest: Option<String>,
    failure: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    manifests: u64,
    manifests_total: u64,
    bytes: u64,
    bytes_total: u64,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

struct Server {
    client: Client,
    url: Url,
    authorization: Option<String>,
}

impl Server {
    fn of(args: &ImportArgs) -> anyhow::Result<Self> {
        let url = Url::parse(&args.server)
            .with_context(|| format!("--server {:?} is not an address", args.server))?;
        let mut builder = Client::builder().user_agent("lazaret");
        if let Some(file) = &args.ca_file {
            let pem =
                std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            for certificate in reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{} holds no certificates in PEM form", file.display()))?
            {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().context("cannot set up an HTTP client")?;
        let login = match (std::env::var(USER), std::env::var(PASSWORD)) {
            (Ok(user), Ok(password)) => Some((user, password)),
            _ => login::credentials(url.authority())
                .and_then(|found| Some((found.username?, found.password))),
        };
        let authorization = login.map(|(user, password)| {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        });
        Ok(Self { client, url, authorization })
    }

    async fn ask(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let url = self.url.join(path).context("cannot make an address")?;
        let mut request = match body {
            Some(body) => self.client.post(url).json(body),
            None => self.client.get(url),
        };
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response =
            request.send().await.with_context(|| format!("cannot reach {}", self.url))?;
        let status = response.status();
        let body = read(response).await?;
        if status == StatusCode::UNAUTHORIZED {
            bail!(
                "{} asks for a login: set {USER} and {PASSWORD}, or log in with docker, podman or skopeo",
                self.url
            );
        }
        if !status.is_success() {
            bail!("{}", body["detail"].as_str().unwrap_or(status.as_str()));
        }
        Ok(body)
    }
}

async fn read(response: Response) -> anyhow::Result<Value> {
    let bytes = response.bytes().await.context("the server broke off")?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Imports and waits for the end.
pub async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let server = Server::of(&args)?;
    let mut request = json!({
        "source": args.source,
        "targets": args.targets,
        "platforms": args.platforms,
        "force": args.force,
        "referrers": !args.no_referrers,
    });
    if args.password_stdin {
        let mut password = String::new();
        std::io::stdin()
            .take(PASSWORD_BYTES_MAX)
            .read_to_string(&mut password)
            .context("cannot read the password from standard input")?;
        let password = password.trim_end_matches(['\r', '\n']);
        request["credentials"] = json!({ "username": args.username, "password": password });
    } else if args.username.is_some() {
        bail!("--username needs --password-stdin");
    }
    let mut answer = server.ask("/api/v1/imports", Some(&request)).await?;
    let bar = bar();
    loop {
        let import: Import =
            serde_json::from_value(answer.clone()).context("the server's answer is no import")?;
        let Progress { manifests, manifests_total, bytes, bytes_total } = import.progress;
        bar.set_length(bytes_total);
        bar.set_position(bytes);
        bar.set_message(format!("{manifests}/{manifests_total} manifests"));
        match import.state.as_str() {
            "done" => {
                bar.finish_and_clear();
                match Format::or_default(args.format) {
                    Format::Json => outln!("{}", serde_json::to_string_pretty(&answer)?)?,
                    Format::Table => {
                        outln!("{} {}", import.digest.unwrap_or_default(), args.targets.join(" "))?;
                    }
                }
                return Ok(ExitCode::SUCCESS);
            }
            "failed" => {
                bar.finish_and_clear();
                let why = import.failure.map(|failure| failure.message).unwrap_or_default();
                bail!("{} was not imported: {why}", args.source);
            }
            _ => {}
        }
        tokio::time::sleep(POLL_EVERY).await;
        answer = server.ask(&format!("/api/v1/imports/{}", import.id), None).await?;
    }
}

/// Hidden where nobody looks.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{bytes}/{total_bytes} {wide_bar} {bytes_per_sec} {msg}";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style)
}
