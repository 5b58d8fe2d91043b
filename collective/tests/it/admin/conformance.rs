//! What existing tools rely on (versions, codes, lists).

use serde_json::json;

use super::Admin;
use crate::harness::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_judged_before_anything_else() {
    let lab = Lab::start().await;
    let stranger = Admin::stranger(&lab, 0);
    for accept in [
        None,
        Some("application/json"),
        Some("application/vnd.appgate.peer-v5+json"),
        Some("application/vnd.appgate.peer-v25+json"),
    ] {
        let probing = Admin { accept: accept.map(str::to_owned), ..stranger.clone() };
        for (method, path, body) in [
            ("POST", "/authentication", r#"{"deviceId":"not even an id"}"#),
            ("POST", "/login", "{ no JSON"),
            ("GET", "/sites", ""),
            ("GET", "/no/such/path", ""),
            ("GET", "/identity-providers/names", ""),
        ] {
            let reply = probing.call(method, path, body).await;
            assert_eq!(reply.status, 406, "{accept:?} {method} {path}: {reply:?}");
            assert_eq!(
                (&reply.body["minSupportedVersion"], &reply.body["maxSupportedVersion"]),
                (&json!(18), &json!(24))
            );
        }
    }
    for version in 18..=24 {
        let accept = Some(format!("application/vnd.appgate.peer-v{version}+json"));
        let reply = Admin { accept, ..stranger.clone() }.get("/identity-providers/names").await;
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.ok()["data"], json!([{"name": "local", "displayName": "local", "type": "Credentials"}]));
    }
    let asking = Admin { accept: Some("application/json".to_owned()), ..stranger };
    assert_eq!(asking.get("/version").await.ok(), json!({"peerVersion": 24, "lowestPeerVersionSupported": 18}));
    let described = asking.get("/openapi.json").await.ok();
    assert!(described["paths"]["/on-boarded-devices/revoke-tokens"]["post"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_described_operation_is_served_and_wants_a_session() {
    let lab = Lab::start().await;
    let (stranger, root) = (Admin::stranger(&lab, 0), Admin::root(&lab).await);
    let described = stranger.get("/openapi.json").await.ok();
    let open = ["/version", "/openapi.json", "/identity-providers/names", "/login", "/authentication"];
    for (path, item) in described["paths"].as_object().expect("paths") {
        let concrete = path
            .replace("{id}", "0190a000-0000-7000-8000-00000000dead")
            .replace("{dn}", "CN%3D4c07bc6757ea42ddb702c2d6c45419fc%2CCN%3Dnobody%2COU%3Dlocal");
        for method in ["get", "post", "put", "delete"].into_iter().filter(|method| item[*method].is_object()) {
            let call = method.to_uppercase();
            if !open.contains(&path.as_str()) {
                let body = if path.ends_with("/otp") { r#"{"otp":"1"}"# } else { "{}" };
                assert_eq!(stranger.call(&call, &concrete, body).await.status, 401, "{method} {path}");
            }
            if path != "/authentication/logout" && method != "delete" {
                let reply = root.call(&call, &concrete, "{}").await;
                let unknown = reply.body["message"].as_str().is_some_and(|text| text.contains("no such resource"));
                assert!(!unknown && reply.status < 500, "{method} {path}: {reply:?}");
            }
        }
    }
    let unknown = root.get("/no/such/path").await;
    assert_eq!((unknown.status, unknown.body["id"].as_str()), (404, Some("notFound")));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_in_length_and_depth_and_must_be_json() {
    let lab = Lab::start().await;
    let (stranger, root) = (Admin::stranger(&lab, 0), Admin::root(&lab).await);
    let reply = root.call("POST", "/sites", "{ no JSON").await;
    assert_eq!((reply.status, reply.body["id"].as_str()), (400, Some("malformed")));
    let deep = format!("{{\"name\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    assert_eq!(root.call("POST", "/sites", &deep).await.status, 400);
    let long = json!({"name": "s", "notes": "x".repeat(1024 * 1024)}).to_string();
    assert_eq!(root.call("POST", "/sites", &long).await.status, 413);
    let long = stranger.login("root", &"x".repeat(20_000)).to_string();
    assert_eq!(stranger.call("POST", "/login", &long).await.status, 413, "strangers have less");
    let reply = stranger.call("POST", "/login", r#"{"providerName":"local","username":"root","password":["hunter2"],"deviceId":"4c07bc67-57ea-42dd-b702-c2d6c45419fc"}"#).await;
    assert_eq!(reply.fields(), ["password"]);
    assert!(!reply.body.to_string().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_searched_sorted_and_cut_as_asked() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    for (name, tags) in [("web", json!(["prod"])), ("Webmail", json!([])), ("data", json!(["prod", "web"]))] {
        root.create("conditions", json!({"name": name, "expression": "true", "tags": tags})).await;
    }
    let names = |list: &serde_json::Value| -> Vec<String> {
        let items = list["data"].as_array().expect("items");
        items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
    };
    let all = root.get("/conditions").await.ok();
    assert_eq!(names(&all), ["data", "web", "Webmail"]);
    assert_eq!(
        (&all["range"], &all["totalCount"], &all["orderBy"], &all["descending"]),
        (&json!("0-2/3"), &json!(3), &json!("name"), &json!(false))
    );
    let page = root.get("/conditions?query=web&orderBy=name&descending=true&range=0-0").await.ok();
    assert_eq!(
        (names(&page), &page["range"], &page["totalCount"]),
        (vec!["Webmail".to_owned()], &json!("0-0/3"), &json!(3))
    );
    let both = root.get("/conditions?query=web&query=mail").await.ok();
    assert_eq!((names(&both), &both["queries"]), (vec!["Webmail".to_owned()], &json!(["web", "mail"])));
    let filtered = root.get("/conditions?tags=prod&name=da").await.ok();
    assert_eq!(names(&filtered), ["data"]);
    assert_eq!(filtered["filterBy"], json!([{"name": "tags", "value": "prod"}, {"name": "name", "value": "da"}]));
    assert_eq!(root.get("/conditions?range=5").await.fields(), ["range"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minority_answers_503_and_shows_nothing() {
    let mut lab = Lab::start().await;
    lab.join().await;
    let root = Admin::root(&lab).await;
    lab.stop(1).await;
    crate::harness::until("the quorum is lost", async || lab.controller(0).replica.current().await.is_err()).await;
    for path in ["/sites", "/client-profiles", "/authorization"] {
        let reply = root.get(path).await;
        assert_eq!((reply.status, reply.body["id"].as_str()), (503, Some("noQuorum")), "{path}");
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(root.sign_in("root", "a long password").await.status, 503);
}
