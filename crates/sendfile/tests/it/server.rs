//! What is served, and a client of plain HTTP/1.1.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sendfile::{FileWindows, KernelStream};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Bytes without a period that could hide a shift.
pub fn pattern(bytes: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = (0..bytes.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(bytes as usize).collect()
}

pub fn digest(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

pub struct Server {
    pub address: SocketAddr,
    pub bytes: Arc<Vec<u8>>,
    file: Arc<File>,
}

impl Server {
    /// Serves a file of so many bytes at `/file?FIRST-END`.
    pub async fn start(bytes: u64) -> Self {
        let bytes = pattern(bytes);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let file = Arc::new(file);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::clone(&file)));
        Self { address, bytes: Arc::new(bytes), file }
    }

    pub async fn connect(&self) -> Connection {
        Connection::to(self.address).await
    }

    pub fn cut(&self, bytes: u64) {
        self.file.set_len(bytes).unwrap();
    }

    pub fn drop_from_memory(&self) {
        self.file.sync_all().unwrap();
        rustix::fs::fadvise(&*self.file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }

    /// Waits until nobody but the test and the accept loop holds the file.
    pub async fn file_is_let_go(&self) {
        while Arc::strong_count(&self.file) > 2 {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(listener: TcpListener, file: Arc<File>) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let stream = KernelStream::new(tcp);
        let windows = stream.windows();
        let file = Arc::clone(&file);
        let service = service_fn(move |request: Request<Incoming>| {
            let body = body(&request, &windows, &file);
            let body = StreamBody::new(body.map_ok(Frame::data));
            async move { Ok::<_, Infallible>(Response::new(body)) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn body(
    request: &Request<Incoming>,
    windows: &FileWindows,
    file: &Arc<File>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let part = |first: u64, end: u64| windows.send(Arc::clone(file), first..end).unwrap();
    let memory = |bytes: Vec<u8>| stream::once(async move { Ok(Bytes::from(bytes)) });
    match request.uri().path() {
        "/file" => {
            let (first, end) = request.uri().query().unwrap().split_once('-').unwrap();
            part(first.parse().unwrap(), end.parse().unwrap()).boxed()
        }
        "/memory" => memory(pattern(200_000)).boxed(),
        "/mixed" => {
            let sections: Vec<_> = (0..3)
                .map(|n| {
                    let section = part((n << 20) + 3, ((n + 1) << 20) - 5);
                    memory(format!("part {n}").into_bytes()).chain(section)
                })
                .collect();
            stream::iter(sections).flatten().boxed()
        }
        _ => memory(b"small".to_vec()).boxed(),
    }
}

pub struct Answer {
    pub body: Vec<u8>,
}

pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub async fn to(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    pub async fn get(&mut self, target: &str) -> io::Result<Answer> {
        self.ask(target).await;
        self.answer().await
    }

    pub async fn ask(&mut self, target: &str) {
        let request = format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).await.unwrap();
    }

    /// Until the answer has begun to arrive; takes nothing away.
    pub async fn wait_for_bytes(&mut self) {
        self.stream.get_mut().readable().await.unwrap();
    }

    /// Reads headers and a chunked body.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut body = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            let Ok(bytes) = usize::from_str_radix(line.trim_end(), 16) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let start = body.len();
            body.resize(start + bytes + 2, 0);
            self.stream.read_exact(&mut body[start..]).await?;
            body.truncate(start + bytes);
            if bytes == 0 {
                return Ok(Answer { body });
            }
        }
    }
}
