//! Arguments: three kinds of bodies and a query merged into one map, read as tolerantly as Slack's clients need.

use super::Args;
use super::failure::Failure;
use proto::ts::{self, Micros};
use serde_json::Value;

/// Merges the query and the body; the body wins. `fields` are the text fields of a multipart body, which the
/// caller has split; for other bodies it is empty. Errors are Slack's error strings.
pub fn parse(
    content_type: Option<&str>,
    query: Option<&str>,
    body: &[u8],
    fields: &[(String, String)],
) -> Result<Args, &'static str> {
    let mut args = Args::new();
    form(query.unwrap_or_default().as_bytes(), &mut args)?;
    let (kind, charset) = media_type(content_type.unwrap_or_default());
    if charset.is_some_and(|charset| charset != "utf-8" && charset != "utf8") {
        return Err("invalid_charset");
    }
    match kind.as_str() {
        "multipart/form-data" => {
            args.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone().into())));
        }
        // An empty body of whatever type is a call without arguments: SDKs send it all the time.
        _ if body.trim_ascii().is_empty() => {}
        "application/json" => args.extend(object(body)?),
        "application/x-www-form-urlencoded" => form(body, &mut args)?,
        "" => return Err("missing_post_type"),
        _ => return Err("invalid_post_type"),
    }
    Ok(args)
}

fn media_type(content_type: &str) -> (String, Option<String>) {
    let mut parts = content_type.split(';');
    let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        let charset = value.trim().trim_matches('"').to_ascii_lowercase();
        name.trim().eq_ignore_ascii_case("charset").then_some(charset)
    });
    (kind, charset)
}

fn form(bytes: &[u8], args: &mut Args) -> Result<(), &'static str> {
    for (name, value) in form_urlencoded::parse(bytes) {
        // The codec replaces what is not UTF-8: such a form did not say what it meant.
        if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
            return Err("invalid_form_data");
        }
        args.insert(name.into_owned(), Value::String(value.into_owned()));
    }
    Ok(())
}

fn object(body: &[u8]) -> Result<Args, &'static str> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map.into_iter().collect()),
        Ok(_) => Err("json_not_object"),
        Err(_) => Err("invalid_json"),
    }
}

/// An argument as text. Empty strings and nulls are absent arguments.
pub fn text(args: &Args, name: &str) -> Option<String> {
    match args.get(name)? {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        // A ts sent as a number has lost nothing yet: 6 digits are within a double's precision.
        Value::Number(number) if number.is_f64() => number.as_f64().map(|float| format!("{float:.6}")),
        other => Some(other.to_string()),
    }
}

/// A required argument as text.
pub fn required(args: &Args, name: &str) -> Result<String, Failure> {
    text(args, name).ok_or_else(|| Failure::missing(name))
}

/// A boolean: `1`/`0`, `true`/`false` in any case, JSON true and false.
pub fn flag(args: &Args, name: &str, default: bool) -> Result<bool, Failure> {
    match text(args, name).map(|text| text.to_ascii_lowercase()).as_deref() {
        None => Ok(default),
        Some("1" | "true") => Ok(true),
        Some("0" | "false") => Ok(false),
        Some(_) => Err(Failure::argument(name, "must be a boolean")),
    }
}

/// A list: comma-joined, a JSON array, or a JSON array in a string.
pub fn list(args: &Args, name: &str) -> Result<Vec<String>, Failure> {
    let items = match args.get(name) {
        Some(Value::Array(items)) => items.clone(),
        _ => match text(args, name) {
            Some(text) if text.starts_with('[') => {
                serde_json::from_str(&text).map_err(|_| Failure::named("invalid_array_arg"))?
            }
            Some(text) => return Ok(split(&text)),
            None => return Ok(Vec::new()),
        },
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::String(text) => Ok(text),
            _ => Err(Failure::named("invalid_array_arg")),
        })
        .collect()
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// A page's size: absent or 0 is `default`, more than `max` is `max`.
pub fn limit(args: &Args, default: usize, max: usize) -> Result<usize, Failure> {
    match text(args, "limit") {
        None => Ok(default),
        Some(text) => match text.parse::<usize>() {
            Ok(0) => Ok(default),
            Ok(limit) => Ok(limit.min(max)),
            Err(_) => Err(Failure::named("invalid_limit")),
        },
    }
}

/// A time, as tolerantly as [`ts::parse`], and `now` for the end of time; `error` when it is none.
pub fn time(args: &Args, name: &str, error: &'static str) -> Result<Option<Micros>, Failure> {
    match text(args, name).as_deref() {
        None => Ok(None),
        Some("now") => Ok(Some(Micros::MAX)),
        Some(text) => ts::parse(text).map(Some).ok_or_else(|| Failure::named(error)),
    }
}

/// A JSON value, sent as one or as its text; `Err` when the text is not JSON.
pub fn json(args: &Args, name: &str) -> Result<Option<Value>, serde_json::Error> {
    match args.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => serde_json::from_str(text).map(Some),
        Some(value) => Ok(Some(value.clone())),
    }
}

#[cfg(test)]
mod tests;
