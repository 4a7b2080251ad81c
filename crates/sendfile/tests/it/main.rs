//! A hyper server over `KernelStream` and clients that see every byte.

mod server;

use std::io::ErrorKind;
use std::time::Duration;

use server::{Answer, Connection, Server, digest, pattern};

const MIB: u64 = 1 << 20;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn check(connection: &mut Connection, target: &str, expected: &[u8]) {
    let Answer { body, .. } = connection.get(target).await.unwrap();
    assert_eq!(body.len(), expected.len(), "{target}");
    assert_eq!(digest(&body), digest(expected), "{target}");
}

#[tokio::test]
async fn every_byte_of_every_range_over_one_connection() {
    let server = Server::start(5 * MIB + 12_345).await;
    let all = &server.bytes;
    let mut connection = server.connect().await;
    let mut ranges = vec![0..all.len(), 0..1, all.len() - 1..all.len(), 4095..4097, 1..all.len()];
    ranges.extend((0..40).map(|n| n * 77_777..n * 77_777 + 1 + n * 31_337));
    for range in ranges {
        let target = format!("/file?{}-{}", range.start, range.end);
        check(&mut connection, &target, &all[range]).await;
    }
}

#[tokio::test]
async fn memory_and_files_take_turns_in_one_connection_and_in_one_body() {
    let server = Server::start(3 * MIB).await;
    let mut connection = server.connect().await;
    let memory = pattern(200_000);
    let mixed: Vec<u8> = (0..3)
        .flat_map(|part| {
            let range = part * MIB as usize + 3..(part + 1) * MIB as usize - 5;
            [format!("part {part}").into_bytes(), server.bytes[range].to_vec()].concat()
        })
        .collect();
    for _ in 0..5 {
        check(&mut connection, "/small", b"small").await;
        check(&mut connection, "/file?0-3145728", &server.bytes).await;
        check(&mut connection, "/memory", &memory).await;
        check(&mut connection, "/mixed", &mixed).await;
    }
}

#[tokio::test]
async fn requests_that_come_in_one_go_are_answered_in_order() {
    let server = Server::start(2 * MIB).await;
    let mut connection = server.connect().await;
    let targets = ["/small", "/file?5-1500005", "/small", "/file?0-2097152", "/memory"];
    for target in targets {
        connection.ask(target).await;
    }
    let expected: [&[u8]; 5] =
        [b"small", &server.bytes[5..1_500_005], b"small", &server.bytes, &pattern(200_000)];
    for (target, expected) in targets.iter().zip(expected) {
        assert_eq!(digest(&connection.answer().await.unwrap().body), digest(expected), "{target}");
    }
}

#[tokio::test]
async fn a_client_that_stalls_holds_up_nobody_and_gets_all_in_the_end() {
    let server = Server::start(32 * MIB).await;
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let mut connection = server.connect().await;
        connection.ask("/file?0-33554432").await;
        // Its headers are there: the body is on its way and fills the sockets.
        connection.wait_for_bytes().await;
        stalled.push(connection);
    }
    let mut other = server.connect().await;
    for _ in 0..20 {
        check(&mut other, "/small", b"small").await;
    }
    check(&mut other, "/file?0-33554432", &server.bytes).await;
    for mut connection in stalled {
        let body = connection.answer().await.unwrap().body;
        assert_eq!(digest(&body), digest(&server.bytes));
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_open() {
    let server = Server::start(32 * MIB).await;
    for _ in 0..10 {
        let mut connection = server.connect().await;
        connection.ask("/file?0-33554432").await;
        connection.wait_for_bytes().await;
    }
    // The server's own clone is the only one left once each connection is seen to be gone.
    tokio::time::timeout(PATIENCE, server.file_is_let_go()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once() {
    let server = Server::start(8 * MIB).await;
    let clients = (0..32).map(|client| {
        let (address, bytes) = (server.address, server.bytes.clone());
        tokio::spawn(async move {
            let mut connection = Connection::to(address).await;
            for round in 0..4 {
                let first = client * 1_000 + round;
                let target = format!("/file?{first}-{}", bytes.len());
                check(&mut connection, &target, &bytes[first..]).await;
                check(&mut connection, "/small", b"small").await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        tokio::time::timeout(PATIENCE, client).await.unwrap().unwrap();
    }
}

/// Also shows that no page of the mapping is touched: this would end the process with a signal.
#[tokio::test]
async fn a_file_that_was_cut_short_breaks_the_connection_and_not_the_server() {
    let server = Server::start(8 * MIB).await;
    server.cut(MIB);
    let mut connection = server.connect().await;
    let error = connection.get("/file?0-8388608").await.err().map(|error| error.kind());
    assert!(
        matches!(error, Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)),
        "{error:?}"
    );
    let mut other = server.connect().await;
    check(&mut other, "/small", b"small").await;
    check(&mut other, "/file?0-1048576", &server.bytes[..MIB as usize]).await;
}

#[tokio::test]
async fn a_file_that_is_not_in_memory_is_read_first() {
    let server = Server::start(24 * MIB).await;
    server.drop_from_memory();
    let mut connection = server.connect().await;
    check(&mut connection, "/file?0-25165824", &server.bytes).await;
}
