//! Slack's error strings that a channel can answer, so that one from another node is the same text that lives as long
//! as the program.

/// All of them, sorted. One that is no longer answered stays: an owner of an earlier build may answer it.
pub const CODES: [&str; 28] = [
    "already_archived",
    "already_reacted",
    "cant_delete_message",
    "cant_update_message",
    "channel_not_found",
    "edit_window_closed",
    "email_taken",
    "invalid_name",
    "invalid_name_maxlength",
    "invalid_name_punctuation",
    "invalid_name_required",
    "invalid_name_specials",
    "is_archived",
    "message_not_found",
    "method_not_supported_for_channel_type",
    "msg_blocks_too_long",
    "msg_too_long",
    "name_taken",
    "no_permission",
    "no_reaction",
    "no_text",
    "not_archived",
    "not_in_channel",
    "team_not_found",
    "thread_not_found",
    "token_not_found",
    "too_long",
    "user_not_found",
];

/// The string of the list with this text.
pub fn known(text: &str) -> Option<&'static str> {
    CODES.binary_search(&text).ok().map(|at| CODES[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::{fs, io};

    /// Modules whose refusals an owner answers; what lies below them counts too.
    const ANSWERING: [&str; 7] = ["channel", "conversation", "inbox", "roster", "router", "slot", "subject"];
    /// How they name a refusal: by itself, as a decision, and as the reason why a name is not free.
    const FORMS: [&str; 3] = ["Named(\"", "refuse(\"", "Err(\""];

    /// The error strings in a file of Rust, or in all of a folder.
    fn in_sources(path: &Path, found: &mut BTreeSet<String>) -> io::Result<()> {
        if path.is_dir() {
            return fs::read_dir(path)?.try_for_each(|entry| in_sources(&entry?.path(), found));
        }
        let text = fs::read_to_string(path)?;
        for form in FORMS {
            let codes = text.split(form).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(codes.map(str::to_owned));
        }
        Ok(())
    }

    #[test]
    fn the_list_has_every_error_string_that_stands_in_what_channels_answer() {
        let mut found = BTreeSet::new();
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for module in ANSWERING {
            in_sources(&src.join(format!("{module}.rs")), &mut found).expect("the module is there");
            if src.join(module).exists() {
                in_sources(&src.join(module), &mut found).expect("what lies below is readable");
            }
        }
        for of_each_form in ["no_text", "is_archived", "email_taken"] {
            assert!(found.contains(of_each_form), "{of_each_form} was not found: {found:?}");
        }
        let strange: Vec<&String> = found.iter().filter(|code| known(code).is_none()).collect();
        assert!(strange.is_empty(), "not in CODES, so that they do not cross from node to node: {strange:?}");
    }

    #[test]
    fn the_list_is_sorted_and_names_nothing_twice() {
        assert!(CODES.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((known("is_archived"), known("is"), known("")), (Some("is_archived"), None, None));
    }
}
