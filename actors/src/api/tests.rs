use super::*;
use crate::scopes::Scopes;
use proto::refusal::Refusal;

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).expect("answers are JSON")
}
fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(have, _)| *have == name).map(|(_, value)| value.as_str())
}

#[test]
fn an_answer_is_200_and_ok_whatever_it_says() {
    let said = respond(Ok(shape::object(json!({ "ts": "1.000000" }))), "r1");
    assert_eq!((said.status, body(&said)), (200, json!({ "ok": true, "ts": "1.000000" })));
    assert_eq!(header(&said, "X-Slack-Req-Id"), Some("r1"));
    assert_eq!(header(&said, "Content-Type"), Some("application/json; charset=utf-8"));
    let refused = refused("r2", "invalid_json");
    assert_eq!((refused.status, body(&refused)), (200, json!({ "ok": false, "error": "invalid_json" })));
}

#[test]
fn only_a_full_queue_changes_the_status_and_says_for_how_many_whole_seconds() {
    for (ms, seconds) in [(1, "1"), (1000, "1"), (1001, "2")] {
        let busy = respond(Err(Refusal::Busy { retry_after_ms: ms }.into()), "r");
        assert_eq!((busy.status, header(&busy, "Retry-After")), (429, Some(seconds)));
        assert_eq!(body(&busy), json!({ "ok": false, "error": "ratelimited" }));
    }
    let full = respond(Err(Refusal::Unavailable("disk full".into()).into()), "r");
    assert_eq!((full.status, body(&full)["error"].as_str()), (200, Some("service_unavailable")));
}

#[test]
fn refusals_say_what_was_wrong() {
    let missing = respond(Err(Failure::missing("channel")), "r");
    let messages = json!(["[ERROR] missing required field: channel"]);
    assert_eq!(body(&missing)["response_metadata"]["messages"], messages);
    let scope = respond(Err(Failure::scope("chat:write", &Scopes::Default(&["a", "b"]))), "r");
    let expected =
        json!({ "ok": false, "error": "missing_scope", "needed": "chat:write", "provided": "a,b" });
    assert_eq!(body(&scope), expected);
}

#[test]
fn api_test_says_back_what_it_was_told() {
    let args: Args = [("foo".to_owned(), json!("bar"))].into_iter().collect();
    assert_eq!(Value::Object(api_test(&args).unwrap()), json!({ "args": { "foo": "bar" } }));
    let args: Args = [("error".to_owned(), json!("my_error"))].into_iter().collect();
    let refused = api_test(&args).unwrap_err();
    assert_eq!(refused.code, "my_error");
    assert_eq!(refused.detail["args"], json!({ "error": "my_error" }));
}
