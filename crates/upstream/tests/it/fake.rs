//! A registry that answers as a test wants and writes down what it was asked.

// Not everybody who includes this file asks it everything.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use oci::RepositoryName;
use registry::upstream::{Credentials, Patience, Remote};
use upstream::{Guard, HttpUpstream, UpstreamSettings};

/// What came: `GET /v2/a/manifests/1`, and its Authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub line: String,
    pub authorization: Option<String>,
    pub range: Option<String>,
    pub body: String,
}

type Answer = dyn Fn(&Asked, usize) -> Response + Send + Sync;

/// Listens on loopback until the runtime ends.
#[derive(Clone)]
pub struct Fake {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone)]
struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Answer>,
}

impl Fake {
    /// `answer` gets the request and how many like it came before.
    pub async fn start(answer: impl Fn(&Asked, usize) -> Response + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { asked: Arc::clone(&asked), answer: Arc::new(answer) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked }
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Repository `a/b` of this registry.
    pub fn remote(&self, credentials: Option<(Option<&str>, &str)>) -> Remote {
        Remote {
            host: self.address.to_string(),
            repository: RepositoryName::parse("a/b").unwrap(),
            credentials: credentials.map(|(username, password)| Credentials {
                username: username.map(str::to_owned),
                password: password.to_owned(),
            }),
            patience: Patience::Job,
        }
    }

    /// A client that may ask it.
    pub fn client(&self) -> HttpUpstream {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        HttpUpstream::new(UpstreamSettings {
            guard: Guard { local: vec!["127.0.0.1".into()], ..Guard::default() },
            plain_http: vec![self.address.to_string()],
            ca_file: None,
        })
        .unwrap()
    }
}

async fn take(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text = |name: &str| Some(parts.headers.get(name)?.to_str().ok()?.to_owned());
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let asked = Asked {
        line: format!("{} {}", parts.method, parts.uri),
        authorization: text("authorization"),
        range: text("range"),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let before = {
        let mut all = shared.asked.lock().unwrap();
        all.push(asked.clone());
        all.iter().filter(|other| other.line == asked.line).count() - 1
    };
    (shared.answer)(&asked, before)
}

/// An answer with headers and a body.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}
