//! The client against registries that behave as real ones do, badly at times.

mod fake;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use fake::{Fake, answer};
use futures::{StreamExt, stream};
use oci::{Digest, Reference};
use registry::upstream::{Patience, Remote, Upstream, UpstreamError};
use serde_json::json;
use tokio::sync::Notify;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn tag(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

#[tokio::test]
async fn a_bearer_challenge_is_answered_once_and_remembered() {
    let token_service =
        Fake::start(|_, _| answer(200, &[], r#"{"token":"T","expires_in":300}"#)).await;
    let realm = format!("http://{}/token", token_service.address);
    let fake = Fake::start(move |asked, _| {
        let challenge =
            format!(r#"Bearer realm="{realm}",service="s",scope="repository:a/b:pull""#);
        match asked.authorization.as_deref() {
            Some("Bearer T") => answer(200, &[("content-type", INDEX)], "{}"),
            _ => answer(401, &[("www-authenticate", &challenge)], ""),
        }
    })
    .await;
    let (client, remote) = (fake.client(), fake.remote(Some((Some("u"), "p"))));
    for _ in 0..2 {
        let manifest = client.manifest(&remote, &tag("1")).await.unwrap();
        assert_eq!((manifest.digest, manifest.media_type.as_str()), (Digest::sha256(b"{}"), INDEX));
    }
    assert_eq!(fake.asked().len(), 3, "one challenge for two requests: {:?}", fake.asked());
    let token = &token_service.asked()[..];
    assert_eq!(token.len(), 1);
    assert!(token[0].line.contains("scope=repository%3Aa%2Fb%3Apull&service=s"), "{token:?}");
    assert_eq!(token[0].authorization.as_deref(), Some("Basic dTpw"), "u:p");
}

#[tokio::test]
async fn a_token_alone_is_tried_as_a_refresh_token() {
    let token_service = Fake::start(|asked, _| match asked.line.split('?').next() {
        Some("POST /oauth2/token") if asked.body.contains("refresh_token=secret") => {
            answer(200, &[], r#"{"access_token":"A"}"#)
        }
        _ => answer(400, &[], ""),
    })
    .await;
    let realm = format!("http://{}/oauth2/token", token_service.address);
    let fake = Fake::start(move |asked, _| match asked.authorization.as_deref() {
        Some("Bearer A") => answer(200, &[], "{}"),
        _ => {
            let challenge = format!(r#"Bearer realm="{realm}",service="s""#);
            answer(401, &[("www-authenticate", &challenge)], "")
        }
    })
    .await;
    let remote = fake.remote(Some((None, "secret")));
    fake.client().manifest(&remote, &tag("1")).await.unwrap();
    let asked = token_service.asked();
    assert!(asked[0].body.contains("scope=repository%3Aa%2Fb%3Apull"), "{asked:?}");
}

#[tokio::test]
async fn basic_is_answered_with_basic_and_refusals_keep_their_words() {
    let fake = Fake::start(|asked, _| match asked.authorization.as_deref() {
        // u:p
        Some("Basic dTpw") => answer(200, &[], "{}"),
        _ => answer(
            401,
            &[("www-authenticate", "Basic realm=\"r\"")],
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}"#,
        ),
    })
    .await;
    let client = fake.client();
    client.manifest(&fake.remote(Some((Some("u"), "p"))), &tag("1")).await.unwrap();
    let wrong = fake.remote(Some((Some("u"), "q")));
    let error = client.manifest(&wrong, &tag("1")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("wrong password"), "{error}");
    let nobody = client.manifest(&fake.remote(None), &tag("1")).await.unwrap_err();
    assert!(nobody.to_string().contains("user name"), "{nobody}");
}

#[tokio::test]
async fn throttling_and_outages_are_waited_out() {
    let fake = Fake::start(|_, before| match before {
        0 => answer(429, &[("retry-after", "0")], ""),
        1 => answer(503, &[], ""),
        _ => answer(200, &[], "{}"),
    })
    .await;
    fake.client().manifest(&fake.remote(None), &tag("1")).await.unwrap();
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn who_waits_at_a_client_hears_of_throttling_soon() {
    let words = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}"#;
    let fake = Fake::start(move |_, _| answer(429, &[("retry-after", "60")], words)).await;
    let remote = Remote { patience: Patience::Client, ..fake.remote(None) };
    let error = fake.client().manifest(&remote, &tag("1")).await.unwrap_err();
    let UpstreamError::Throttled { words, retry_after, .. } = error else { panic!("{error:?}") };
    assert_eq!(
        (words.as_str(), retry_after.map(|r| r.as_secs())),
        ("TOOMANYREQUESTS: pull rate limit", Some(60))
    );
    assert_eq!(fake.asked().len(), 1);
}

/// Reads a blob and says `arrived` with each piece: a server that breaks off at
/// once may not send anything at all.
async fn read(
    client: &impl Upstream,
    remote: &Remote,
    digest: &Digest,
    arrived: &Notify,
) -> Result<Vec<u8>, String> {
    let mut blob = client.blob(remote, digest).await.map_err(|e| e.to_string())?.body;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.next().await {
        bytes.extend_from_slice(&chunk.map_err(|e| e.to_string())?);
        arrived.notify_one();
    }
    Ok(bytes)
}

/// A body that ends too early, after its bytes have arrived.
fn broken(bytes: &'static [u8], arrived: &Arc<Notify>) -> Body {
    let arrived = Arc::clone(arrived);
    let cut = stream::once(async move {
        arrived.notified().await;
        Err(std::io::Error::other("cut"))
    });
    Body::from_stream(stream::iter([Ok(Bytes::from_static(bytes))]).chain(cut))
}

#[tokio::test]
async fn a_blob_goes_on_where_its_connection_broke() {
    let arrived = Arc::new(Notify::new());
    let cut = Arc::clone(&arrived);
    let fake = Fake::start(move |asked, before| match (before, asked.range.as_deref()) {
        (0, None) => answer(200, &[("content-length", "10")], broken(b"0123", &cut)),
        (1, Some("bytes=4-")) => {
            let headers = [("content-length", "6"), ("content-range", "bytes 4-9/10")];
            answer(206, &headers, broken(b"45", &cut))
        }
        // Knows no ranges this time, and sends everything.
        (2, Some("bytes=6-")) => answer(200, &[], "0123456789"),
        other => panic!("{other:?}"),
    })
    .await;
    let digest = Digest::sha256(b"x");
    let bytes = read(&fake.client(), &fake.remote(None), &digest, &arrived).await;
    assert_eq!(bytes.as_deref(), Ok(&b"0123456789"[..]));
}

#[tokio::test]
async fn a_blob_that_goes_on_elsewhere_is_refused() {
    let arrived = Arc::new(Notify::new());
    let cut = Arc::clone(&arrived);
    let fake = Fake::start(move |_, before| match before {
        0 => answer(200, &[("content-length", "10")], broken(b"0123", &cut)),
        _ => answer(206, &[("content-range", "bytes 3-9/10")], "3456789"),
    })
    .await;
    let digest = Digest::sha256(b"x");
    let error = read(&fake.client(), &fake.remote(None), &digest, &arrived).await.unwrap_err();
    assert!(error.contains("asked from byte 4"), "{error}");
}

#[tokio::test]
async fn a_manifest_has_the_digest_that_it_was_asked_for_by() {
    let fake = Fake::start(|_, _| answer(200, &[], "{\"a\":1}")).await;
    let digest = Digest::sha256(b"{}");
    let error = fake.client().manifest(&fake.remote(None), &digest.into()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Untrue { expected, .. } if *expected == digest));
}

#[tokio::test]
async fn a_manifest_is_no_larger_than_manifests_are() {
    let fake = Fake::start(|_, _| answer(200, &[], vec![b' '; 5 << 20])).await;
    let error = fake.client().manifest(&fake.remote(None), &tag("1")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn credentials_stay_with_the_host_that_they_are_for() {
    let store = Fake::start(|_, _| answer(200, &[], "bytes")).await;
    let elsewhere = format!("http://{}/signed?by=somebody", store.address);
    let fake = Fake::start(move |asked, _| match asked.authorization {
        Some(_) => answer(307, &[("location", &elsewhere)], ""),
        None => answer(401, &[("www-authenticate", "Basic")], ""),
    })
    .await;
    let remote = fake.remote(Some((Some("u"), "p")));
    let digest = Digest::sha256(b"bytes");
    let bytes = read(&fake.client(), &remote, &digest, &Notify::new()).await;
    assert_eq!(bytes.as_deref(), Ok(&b"bytes"[..]));
    assert_eq!(store.asked()[0].authorization, None);
}

#[tokio::test]
async fn a_redirect_does_not_lead_to_where_nobody_may_go() {
    let fake = Fake::start(|_, _| {
        answer(307, &[("location", "http://169.254.169.254/latest/meta-data/")], "")
    })
    .await;
    let error = fake.client().blob(&fake.remote(None), &Digest::sha256(b"x")).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Forbidden { .. }), "{error:?}");
}

#[tokio::test]
async fn this_machine_is_not_asked_unless_it_is_listed() {
    let fake = Fake::start(|_, _| answer(200, &[], "{}")).await;
    let client = upstream::HttpUpstream::new(upstream::UpstreamSettings {
        plain_http: vec![fake.address.to_string()],
        ..Default::default()
    })
    .unwrap();
    let error = client.manifest(&fake.remote(None), &tag("1")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Forbidden { .. }), "{error:?}");
    assert!(fake.asked().is_empty());
}

fn list(digests: &[Digest]) -> String {
    let entries: Vec<_> =
        digests.iter().map(|d| json!({ "mediaType": "m", "digest": d, "size": 2 })).collect();
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string()
}

#[tokio::test]
async fn referrers_come_on_pages_or_under_the_fallback_tag() {
    let (first, second) = (Digest::sha256(b"1"), Digest::sha256(b"2"));
    let subject = Digest::sha256(b"subject");
    let pages = Fake::start(move |asked, _| {
        if asked.line.ends_with("?last=1") {
            return answer(200, &[], list(&[second]));
        }
        let next = format!("</v2/a/b/referrers/{subject}?last=1>; rel=\"next\"");
        answer(200, &[("link", &next)], list(&[first]))
    })
    .await;
    let found = pages.client().referrers(&pages.remote(None), &subject).await.unwrap();
    assert_eq!(found.iter().map(|d| d.digest).collect::<Vec<_>>(), [first, second]);

    let fallback = Fake::start(move |asked, _| {
        if asked.line == format!("GET /v2/a/b/manifests/sha256-{}", subject.hex()) {
            return answer(200, &[("content-type", INDEX)], list(&[first]));
        }
        answer(404, &[], "404 page not found")
    })
    .await;
    let client = fallback.client();
    let found = client.referrers(&fallback.remote(None), &subject).await.unwrap();
    assert_eq!(found.iter().map(|d| d.digest).collect::<Vec<_>>(), [first]);
    let none = client.referrers(&fallback.remote(None), &second).await.unwrap();
    assert_eq!(none, []);
}
