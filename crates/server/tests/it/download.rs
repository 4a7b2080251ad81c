//! A large blob on its way out: by the kernel on HTTP/1.1, read in pieces on HTTP/2.

use reqwest::{Client, StatusCode, Version};

use crate::app::{App, PASSWORD, digest_of};
use crate::image::Blob;

const BYTES: usize = (3 << 20) + 4_321;

async fn check(client: &Client, url: &str, range: Option<&str>, expected: &[u8]) {
    let request = client.get(url).basic_auth("admin", Some(PASSWORD));
    let request = match range {
        Some(range) => request.header("range", format!("bytes={range}")),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    assert_eq!(answer.status(), status, "{range:?}");
    assert_eq!(answer.content_length(), Some(expected.len() as u64), "{range:?}");
    let body = answer.bytes().await.expect("a whole body");
    assert_eq!(digest_of(&body), digest_of(expected), "{range:?}");
}

/// Sections of a multi-range answer, without their headers.
async fn check_sections(client: &Client, url: &str, ranges: &[(usize, usize)], all: &[u8]) {
    let list: Vec<_> = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    let request = client.get(url).basic_auth("admin", Some(PASSWORD));
    let request = request.header("range", format!("bytes={}", list.join(",")));
    let answer = request.send().await.expect("an answer");
    let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("sections");
    let mut expected = Vec::new();
    for (first, last) in ranges {
        let head = format!(
            "\r\n--{boundary}\r\ncontent-type: application/octet-stream\r\n\
             content-range: bytes {first}-{last}/{}\r\n\r\n",
            all.len()
        );
        expected.extend(head.into_bytes());
        expected.extend(&all[*first..=*last]);
    }
    expected.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    let body = answer.bytes().await.expect("a whole body");
    assert_eq!(digest_of(&body), digest_of(&expected));
}

#[tokio::test]
async fn every_way_out_gives_the_same_bytes() {
    let app = App::start();
    let bytes: Vec<u8> =
        (0..BYTES as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let blob = Blob { digest: digest_of(&bytes), bytes };
    app.push_blob("big", &blob).await;
    let url = format!("http://{}/v2/big/blobs/{}", app.host(), blob.digest);
    let (first, second) =
        (Client::builder().http1_only(), Client::builder().http2_prior_knowledge());
    for (builder, version) in [(first, Version::HTTP_11), (second, Version::HTTP_2)] {
        let client = builder.build().expect("a client");
        let head = client.head(&url).basic_auth("admin", Some(PASSWORD)).send().await;
        let head = head.expect("an answer");
        assert_eq!((head.version(), head.status()), (version, StatusCode::OK));
        for _ in 0..2 {
            check(&client, &url, None, &blob.bytes).await;
            check(&client, &url, Some("0-0"), &blob.bytes[..1]).await;
            check(&client, &url, Some("777-2000777"), &blob.bytes[777..=2_000_777]).await;
            check(&client, &url, Some("-70000"), &blob.bytes[BYTES - 70_000..]).await;
            let ranges = [(1_000_001, 2_999_999), (5, 9), (0, 199_999)];
            check_sections(&client, &url, &ranges, &blob.bytes).await;
        }
    }
}
