//! Ids: what is taken, what is made, and whose conversation a direct id is.

use super::*;
use proptest::prelude::*;

fn users(ids: &[&str]) -> Vec<UserId> {
    ids.iter().map(|id| UserId::parse(id).expect("a test's user id")).collect()
}

fn workspace(id: &str) -> WorkspaceId {
    WorkspaceId::parse(id).expect("a test's workspace id")
}

#[test]
fn an_id_is_taken_only_as_its_own_kind() {
    assert!(UserId::parse("U061F7AUR").is_ok() && UserId::parse("W012A3CDE").is_ok());
    for id in ["C0EAQDV4Z", "G0AKFJBEU", "D0G9QPY56"] {
        assert!(
            ConversationId::parse(id).is_ok()
                && UserId::parse(id).is_err()
                && WorkspaceId::parse(id).is_err()
        );
    }
    let why = UserId::parse("C0EAQDV4Z").map_err(|e| e.to_string());
    assert_eq!(why, Err(r#""C0EAQDV4Z" is not a user id (U…): its first letter is another kind"#.to_owned()));
}

#[test]
fn whatever_is_not_upper_case_letters_and_digits_is_no_id() {
    let long = format!("C{}", "A".repeat(ID_BYTES_MAX));
    for text in
        ["", "C", "c0eaqdv4z", "C0eaqdv4z", "C 1", "C1\n", "C1\0", "CÄ", "Ç1", "C١", "🦀", "C-1", &long]
    {
        assert!(ConversationId::parse(text).is_err(), "{text:?}");
    }
    assert!(ConversationId::parse(&long[..ID_BYTES_MAX]).is_ok());
}

#[test]
fn an_error_quotes_no_more_than_an_ids_length() {
    let error = UserId::parse(&"ü".repeat(100_000)).expect_err("not an id");
    assert!(error.to_string().chars().count() < 2 * ID_BYTES_MAX, "{error}");
}

#[test]
fn a_channel_is_a_conversation_a_workspace_or_a_user() {
    for text in ["C0EAQDV4Z", "D0G9QPY56", "ws:T061EG9R6", "user:U061F7AUR"] {
        assert_eq!(ChannelId::parse(text).map(|id| id.to_string()), Ok(text.to_owned()));
    }
    for text in [
        "ws:U061F7AUR",
        "user:T061EG9R6",
        "ws:",
        "user:",
        ":",
        "ws:ws:T1",
        "C1:C1",
        "WS:T061EG9R6",
        "T061EG9R6",
    ] {
        assert!(ChannelId::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn minted_ids_are_pinned_and_match_slacks_patterns() {
    assert_eq!(mint('C', 0), "C0000000000");
    assert_eq!(mint('U', 35), "UZ000000000");
    assert_eq!(mint('T', u64::MAX), mint('T', u64::MAX % 36u64.pow(10)));
}

#[test]
fn a_direct_id_depends_on_who_is_in_it_not_on_their_order() {
    let t = workspace("T1");
    let [ab, ba, aab] = [["U1", "U2"].as_slice(), &["U2", "U1"], &["U1", "U1", "U2"]].map(users);
    assert_eq!(direct(&t, &ab), direct(&t, &ba));
    assert_eq!(direct(&t, &ab), direct(&t, &aab), "naming somebody twice changes nothing");
    assert_ne!(direct(&t, &ab), direct(&t, &users(&["U1", "U3"])));
    assert_ne!(direct(&t, &ab), direct(&workspace("T2"), &ab), "another tenant's is another");
    assert_ne!(
        direct(&t, &users(&["U1", "U23"])),
        direct(&t, &users(&["U12", "U3"])),
        "names do not run together"
    );
}

#[test]
fn direct_ids_start_with_d_up_to_two_people_and_with_g_beyond() {
    let t = workspace("T1");
    let letter = |ids: &[&str]| direct(&t, &users(ids)).as_str().chars().next();
    assert_eq!(letter(&["U1"]), Some('D'));
    assert_eq!(letter(&["U1", "U2"]), Some('D'));
    assert_eq!(letter(&["U1", "U2", "U3"]), Some('G'));
    assert_eq!(direct(&t, &users(&["U1", "U2"])).as_str(), "DGVUS4V5FZH", "pinned: it is kept for ever");
}

proptest! {
    #[test]
    fn whatever_is_minted_is_an_id_of_its_kind(random: u64) {
        for letter in ['C', 'G', 'D'] {
            let id = mint(letter, random);
            prop_assert_eq!(id.len(), 1 + ID_RANDOM_CHARS);
            prop_assert!(ConversationId::parse(&id).is_ok(), "{}", id);
        }
        prop_assert!(UserId::parse(&mint('U', random)).is_ok());
        prop_assert!(WorkspaceId::parse(&mint('T', random)).is_ok());
    }
    #[test]
    fn two_numbers_below_the_modulus_never_mint_the_same_id(a in 0..36u64.pow(10), b in 0..36u64.pow(10)) {
        prop_assert_eq!(mint('C', a) == mint('C', b), a == b);
    }
    #[test]
    fn any_text_is_refused_or_comes_back_as_it_was(text in any::<String>()) {
        if let Ok(id) = ChannelId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }
    #[test]
    fn texts_that_look_like_ids_are_refused_or_come_back(text in "(ws:|user:)?[A-Za-z]?[A-Z0-9é]{0,70}") {
        if let Ok(id) = ChannelId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }
    #[test]
    fn every_order_of_the_same_people_is_the_same_conversation(
        (ids, shuffled) in prop::collection::vec("U[A-Z0-9]{1,10}", 1..9)
            .prop_flat_map(|ids| (Just(ids.clone()), Just(ids).prop_shuffle()))
    ) {
        let members = |ids: &[String]| users(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let t = workspace("T1");
        prop_assert_eq!(direct(&t, &members(&ids)), direct(&t, &members(&shuffled)));
    }
}
