//! The accept loop: TLS or plain HTTP on loopback, and a drain at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use sendfile::{FileWindows, KernelStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A client that does not finish its TLS handshake by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// A client that does not finish sending request headers by then is dropped.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests in flight may go on after a stop was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// One address that is served.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Binds the address. `tls` absent means plain HTTP.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}; is another server running there?")
        })?;
        Ok(Self { socket, tls: tls.map(TlsAcceptor::from) })
    }

    /// The address it got, with its port where none was asked for.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.socket.local_addr().context("cannot read the address listened on")
    }

    /// Serves until `stop`, then lets requests in flight end.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        server.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEADER_TIMEOUT));
        let server = Arc::new(server);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, say: other connections will end.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let (router, server, tls) = (router.clone(), Arc::clone(&server), self.tls.clone());
            let watcher = graceful.watcher();
            tokio::spawn(async move {
                if let Some((io, windows)) = handshake(stream, tls).await {
                    let service = router.map_request(
                        move |mut request: http::Request<hyper::body::Incoming>| {
                            request.extensions_mut().insert(ConnectInfo(peer));
                            if let Some(windows) = windows.clone() {
                                request.extensions_mut().insert(windows);
                            }
                            request.map(axum::body::Body::new)
                        },
                    );
                    let connection = server.serve_connection_with_upgrades(
                        TokioIo::new(io),
                        TowerToHyperService::new(service),
                    );
                    if let Err(error) = watcher.watch(connection.into_owned()).await {
                        tracing::debug!(%peer, %error, "connection ended early");
                    }
                }
            });
        }
        drop(self.socket);
        if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                seconds = DRAIN_TIMEOUT.as_secs(),
                "requests were still running at the end of the drain"
            );
        }
    }
}

/// A connection's bytes, whatever carries them.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// With what its requests may send files with, where bytes go out as they are.
async fn handshake(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
) -> Option<(Box<dyn Io>, Option<FileWindows>)> {
    let Some(tls) = tls else {
        let stream = KernelStream::new(stream);
        let windows = stream.windows();
        return Some((Box::new(stream), Some(windows)));
    };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some((Box::new(stream), None)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
