use super::*;

fn ids(text: &str) -> Vec<ConversationId> {
    text.split_whitespace().map(|id| ConversationId::parse(id).unwrap()).collect()
}
fn listed(text: &str, more: bool) -> Listed<ConversationId, ()> {
    Listed { rows: ids(text).into_iter().map(|id| (id, ())).collect(), more }
}
fn walked(limit: usize, lists: &[(&str, bool)]) -> (Vec<ConversationId>, Option<ConversationId>) {
    let mut walk = Walk::new(limit);
    lists.iter().for_each(|(text, more)| walk.take(&listed(text, *more), |_, ()| true));
    walk.end()
}

#[test]
fn two_lists_make_one_in_the_order_of_ids() {
    assert_eq!(walked(9, &[("C1 C4", false), ("C2 D1", false)]), (ids("C1 C2 C4 D1"), None));
    assert_eq!(walked(9, &[("C1 C4", false), ("C4 D1", false)]), (ids("C1 C4 D1"), None), "once each");
}

#[test]
fn a_page_ends_where_a_list_that_has_more_ends() {
    let (page, next) = walked(2, &[("C1 C2", true), ("D1 D2", true)]);
    assert_eq!((page, next), (ids("C1 C2"), Some(ids("C2")[0].clone())));
    let (page, next) = walked(2, &[("C3 C4", true), ("C1 D2", false)]);
    assert_eq!((page, next), (ids("C1 C3"), Some(ids("C3")[0].clone())), "cut by the limit");
}

#[test]
fn pages_put_together_are_the_whole_list() {
    let (public, own) = (ids("C01 C02 C05 C06 C07"), ids("C03 C04 D01 D02 G01 G02"));
    for limit in 1..12 {
        let mut after: Option<ConversationId> = None;
        let mut all = Vec::new();
        loop {
            let mut walk = Walk::new(limit);
            for list in [&public, &own] {
                let rest: Vec<_> = list
                    .iter()
                    .filter(|id| after.as_ref().is_none_or(|after| *id > after))
                    .cloned()
                    .collect();
                let more = rest.len() > limit;
                let rows = rest.into_iter().take(limit).map(|id| (id, ())).collect();
                walk.take(&Listed { rows, more }, |_, ()| true);
            }
            let (page, next) = walk.end();
            assert!(page.len() <= limit);
            all.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
        }
        let mut whole = [public.clone(), own.clone()].concat();
        whole.sort_unstable();
        assert_eq!(all, whole, "limit {limit}");
    }
}

#[test]
fn types_are_slacks_words() {
    let named = |types: &[&str]| Kinds::named(&types.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
    assert_eq!(named(&["im", "public_channel"]).map(|kinds| kinds.closed()), Ok(true));
    assert_eq!(named(&["public_channel"]).map(|kinds| kinds.closed()), Ok(false));
    assert_eq!(named(&["channels"]).map_err(|failure| failure.code), Err("invalid_types".into()));
}
