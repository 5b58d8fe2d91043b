//! The first files of the corpora: a file as the demonstration loads it, bombs, and answers of Controllers.

use serde_json::json;

use super::replay::Seeds;

pub(super) fn seeds() -> Vec<Seeds> {
    vec![("answer", answers()), ("apply", files())]
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let objects = "kind: GlobalSettings\nspaMode: TCP\n---\nkind: Site\nname: office\nnetworkSubnets: [10.0.0.0/8]\n---\n\
                   kind: Entitlement\nname: web\nsite: office\nconditions: [managed]\nactions:\n  - subtype: tcp_up\n    \
                   action: allow\n    hosts: [10.0.0.1]\n    ports: ['443']\n---\nkind: Policy\nname: staff\n\
                   expression: >\n  \"staff\" in user.groups\nentitlements: [web, nobody]\n";
    // Each alias stands for nine of the one before: ten lines come to a billion texts.
    let mut laughs = "kind: Site\nname: bomb\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 9].join(", "));
    }
    let deep = format!("kind: Site\nname: deep\nnotes: {}{}\n", "[".repeat(1_500), "]".repeat(1_500));
    let merged = "base: &base {kind: Site, name: one}\n<<: *base\n";
    let tagged = "!!python/object:os.system\nkind: Site\nname: !!binary aGVsbG8=\nnumber: 0x1F\nfloat: .nan\n";
    [("objects", objects), ("laughs", laughs.as_str()), ("deep", deep.as_str()), ("merged", merged), ("tagged", tagged)]
        .map(|(name, text)| (name, text.as_bytes().to_vec()))
        .to_vec()
}

fn answers() -> Vec<(&'static str, Vec<u8>)> {
    let list =
        json!({"data": [{"name": "a"}], "range": "0-0/1", "totalCount": 1, "orderBy": "name", "descending": false});
    let refusal = json!({"id": "validation", "message": "the object is invalid",
        "errors": [{"field": "name", "message": "missing"}]});
    let after = |status: u8, body: String| [&[status], body.as_bytes()].concat();
    vec![
        ("list", after(0, list.to_string())),
        ("unauthorized", after(1, r#"{"id":"tokenExpired","message":"expired"}"#.to_owned())),
        ("refused", after(2, refusal.to_string())),
        ("page", after(3, "<html>bad gateway</html>".to_owned())),
    ]
}
