//! Challenges, tokens, and who may do what.

use http::{Method, StatusCode};
use serde_json::Value;

use crate::app::{PASSWORD, TestApp, basic};

pub async fn form(app: &TestApp, path: &str, form: &str) -> crate::app::Answer {
    let request = app
        .anonymous(Method::POST, path)
        .header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned()).send().await
}

/// The claims of a token, unverified.
pub fn claims(token: &Value) -> Value {
    use base64::Engine;
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap(),
    )
    .unwrap()
}

#[tokio::test]
async fn the_challenge_names_the_host_that_the_client_sees() {
    let app = TestApp::start().await;
    let challenge = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = app.anonymous(Method::GET, path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().await.refused(401, "UNAUTHORIZED").header("www-authenticate").to_owned()
    };
    let host = app.address.to_string();
    let base = format!("Bearer realm=\"http://{host}/oauth2/token\",service=\"{host}\"");
    assert_eq!(challenge("/v2/", &[]).await, base);
    assert_eq!(
        challenge("/v2/a/b/manifests/v1", &[]).await,
        format!("{base},scope=\"repository:a/b:pull\"")
    );
    assert_eq!(
        challenge("/v2/_catalog", &[]).await,
        format!("{base},scope=\"registry:catalog:*\"")
    );
    assert_eq!(
        challenge(
            "/v2/",
            &[("x-forwarded-proto", "https"), ("x-forwarded-host", "Reg.example, inner")]
        )
        .await,
        "Bearer realm=\"https://reg.example/oauth2/token\",service=\"reg.example\""
    );
    assert!(
        !challenge("/v2/", &[("x-forwarded-host", "a\",realm=\"evil")]).await.contains("\"evil")
    );
    let push = app
        .anonymous(Method::POST, "/v2/a/blobs/uploads/")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    assert!(push.header("www-authenticate").ends_with(",scope=\"repository:a:pull,push\""));
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_no_more() {
    let app = TestApp::start().await;
    let path = "/oauth2/token?service=x&scope=repository:a:pull,push&scope=repository:b:pull+registry:catalog:*&offline_token=true";
    let answer = app.get(path).await.expect(StatusCode::OK).json();
    assert_eq!(answer["token"], answer["access_token"]);
    assert!(
        answer["expires_in"].as_i64().unwrap() > 60
            && answer["issued_at"].as_str().unwrap().ends_with('Z')
    );
    assert_eq!(
        claims(&answer["token"])["access"][0]["actions"],
        serde_json::json!(["pull", "push"])
    );
    assert!(claims(&answer["refresh_token"])["exp"].is_i64());

    let bearer = format!("Bearer {}", answer["token"].as_str().unwrap());
    let send = async |method, path: &str| {
        app.request(method, path).header("authorization", &bearer).send().await
    };
    send(Method::GET, "/v2/").await.expect(StatusCode::OK);
    send(Method::POST, "/v2/a/blobs/uploads/").await.expect(StatusCode::ACCEPTED);
    send(Method::GET, "/v2/_catalog").await.expect(StatusCode::OK);
    send(Method::GET, "/v2/b/manifests/x").await.refused(404, "MANIFEST_UNKNOWN");
    let weak = send(Method::POST, "/v2/b/blobs/uploads/").await.refused(401, "UNAUTHORIZED");
    let challenge = weak.header("www-authenticate");
    assert!(
        challenge.contains("scope=\"repository:b:pull,push\",error=\"insufficient_scope\""),
        "{challenge}"
    );
    send(Method::DELETE, "/v2/a/manifests/x").await.refused(401, "UNAUTHORIZED");
    // Made for this host, it is no good under another name.
    let elsewhere = app
        .request(Method::GET, "/v2/")
        .header("authorization", &bearer)
        .header("host", "elsewhere");
    elsewhere.send().await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn tokens_by_form_and_exchange() {
    let app = TestApp::start().await;
    let password =
        "grant_type=password&username=admin&password=correct+horse&service=x&scope=repository:a:*";
    let answer = form(&app, "/oauth2/token", &format!("{password}&access_type=offline"))
        .await
        .expect(StatusCode::OK)
        .json();
    let refresh = answer["refresh_token"].as_str().unwrap().to_owned();
    let by_refresh =
        format!("grant_type=refresh_token&refresh_token={refresh}&scope=repository:b:pull");
    let redeemed = form(&app, "/token", &by_refresh).await.expect(StatusCode::OK).json();
    assert_eq!(claims(&redeemed["access_token"])["access"][0]["name"], "b");
    let by_identity = format!("grant_type=access_token&service=x&access_token={refresh}");
    let exchanged =
        form(&app, "/oauth2/exchange", &by_identity).await.expect(StatusCode::OK).json();
    // `docker login` with the refresh token as a password.
    let token_user =
        basic("00000000-0000-0000-0000-000000000000", exchanged["refresh_token"].as_str().unwrap());
    let request = app.request(Method::GET, "/v2/_catalog").header("authorization", token_user);
    request.send().await.expect(StatusCode::OK);

    for bad in [
        "grant_type=password&username=admin&password=wrong",
        "grant_type=refresh_token&refresh_token=x",
        "grant_type=password&password=correct+horse",
    ] {
        form(&app, "/oauth2/token", bad).await.refused(401, "UNAUTHORIZED");
    }
    form(&app, "/oauth2/token", "grant_type=magic").await.refused(400, "UNSUPPORTED");
    let scoped = answer["access_token"].as_str().unwrap();
    let widened = format!("grant_type=access_token&access_token={scoped}");
    form(&app, "/oauth2/exchange", &widened).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn nobody_and_accounts_without_a_role_get_empty_tokens() {
    let app = TestApp::start().await;
    let anonymous =
        app.anonymous(Method::GET, "/oauth2/token?scope=repository:a:pull").send().await;
    let token = anonymous.expect(StatusCode::OK).json()["token"].clone();
    assert_eq!(claims(&token)["access"][0]["actions"], serde_json::json!([]));
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let pull =
        app.request(Method::GET, "/v2/a/manifests/x").header("authorization", bearer).send().await;
    pull.refused(401, "UNAUTHORIZED");
    let guest = app
        .request(Method::GET, "/v2/a/manifests/x")
        .header("authorization", basic("guest", PASSWORD));
    guest.send().await.refused(403, "DENIED");
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let app = TestApp::start().await;
    for _ in 0..6 {
        let guess = app
            .request(Method::GET, "/oauth2/token")
            .header("authorization", basic("admin", "guess"));
        guess.send().await.refused(401, "UNAUTHORIZED");
    }
    let answer = app.get("/oauth2/token").await.refused(429, "TOOMANYREQUESTS");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    for header in ["Basic", "Basic !!", "Digest x", "Bearer x.y.z", "Basic bm8gY29sb24="] {
        app.request(Method::GET, "/v2/")
            .header("authorization", header)
            .send()
            .await
            .refused(401, "UNAUTHORIZED");
    }
}
