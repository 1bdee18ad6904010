//! Tests of a conversation: who may do what, and what rows become of it.

mod threads;

use super::*;
use crate::store::ViewWrite;
use crate::subject::Need;
use proto::v1::Event;
use std::collections::BTreeMap;

/// A conversation with a store made of maps: it asks for rows, and gets them.
struct Desk {
    conversation: Conversation,
    seq: u64,
    /// Events up to here are in the store.
    durable: u64,
    rows: BTreeMap<Micros, MessageRow>,
    reactions: BTreeMap<(Micros, String, UserId), u64>,
    /// As the workspace's log or the conversation's wrote it last.
    row: Option<ConversationRow>,
    /// Rows of messages that were asked for.
    read: usize,
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn limits(rows_max: usize) -> Limits {
    Limits { text_chars_max: 20, json_bytes_max: 20, message_edits_max: 2, rows_max }
}

impl Desk {
    fn new(kind: ConversationKind, rows_max: usize) -> Self {
        let mut desk = Self::before(rows_max);
        desk.create(kind);
        desk
    }
    /// Awake before anybody made the conversation.
    fn before(rows_max: usize) -> Self {
        let channel = proto::id::ConversationId::parse("C1").unwrap();
        Self {
            conversation: Conversation::new(channel, false, None, BTreeSet::new(), limits(rows_max)),
            seq: 0,
            durable: 0,
            rows: BTreeMap::new(),
            reactions: BTreeMap::new(),
            row: None,
            read: 0,
        }
    }
    fn create(&mut self, kind: ConversationKind) {
        let members = vec![user("UANN"), user("UBOB")];
        self.system(Verb::Create { name: "general".into(), kind, members }).unwrap();
    }
    fn public() -> Self {
        Self::new(ConversationKind::Public, 100)
    }
    fn system(&mut self, verb: Verb) -> Result<Micros, &'static str> {
        self.run(Command::system("", verb))
    }
    /// The time of the event that a user's command made; 0 when there was nothing to do.
    fn does(&mut self, name: &str, verb: Verb) -> Result<Micros, &'static str> {
        self.run(Command::by(&user(name), verb))
    }
    fn run(&mut self, command: Command) -> Result<Micros, &'static str> {
        for _ in 0..10 {
            match self.conversation.decide(&command) {
                Decision::Append(draft) => return Ok(self.append(&command, draft.body)),
                Decision::Nothing(_) => return Ok(0),
                Decision::Refuse(refusal) => return Err(refusal.code()),
                Decision::Need(need) => self.load(need),
            }
        }
        panic!("{command:?} asks for rows for ever");
    }
    /// So many other messages: what nobody touches meanwhile leaves a memory that is smaller.
    fn others(&mut self, messages: usize) {
        (0..messages).for_each(|_| _ = self.does("UANN", post("other")).unwrap());
    }
    fn append(&mut self, command: &Command, body: Body) -> Micros {
        self.seq += 1;
        let (seq, us, sender) = (self.seq, 1_000_000 + self.seq, command.sender_str().to_owned());
        let event = Event { seq, us, sender, body: Some(body), ..Event::default() };
        for view in self.conversation.apply(&event).views {
            self.keep(view);
        }
        self.settle();
        us
    }
    fn settle(&mut self) {
        self.durable = self.seq;
        self.conversation.durable(self.seq);
    }
    fn keep(&mut self, view: ViewWrite) {
        match view {
            ViewWrite::Message(row) | ViewWrite::Reply(row) => _ = self.rows.insert(row.us, row),
            ViewWrite::MessageGone { us, .. } | ViewWrite::ReplyGone { us, .. } => _ = self.rows.remove(&us),
            ViewWrite::Reaction { us, name, user, seq, .. } => {
                self.reactions.insert((us, name, user), seq);
            }
            ViewWrite::ReactionGone { us, name, user, .. } => _ = self.reactions.remove(&(us, name, user)),
            ViewWrite::ReactionsGone { us, .. } => self.reactions.retain(|key, _| key.0 != us),
            ViewWrite::Conversation { row, .. } => self.row = Some(row),
            _ => {}
        }
    }
    fn load(&mut self, need: Need) {
        self.read += usize::from(need != Need::Conversation);
        let loaded = match need {
            Need::Message(us) => Loaded::Message(us, self.rows.get(&us).cloned().map(Box::new)),
            Need::Reaction(us, name, user) => {
                let is = self.reactions.contains_key(&(us, name.clone(), user.clone()));
                Loaded::Reaction(us, name, user, is)
            }
            Need::LastReplies { parent_us, durable } => {
                assert!(durable <= self.durable);
                let replies = self.rows.values().rev().filter(|row| row.thread_us == parent_us);
                Loaded::LastReplies(parent_us, durable, replies.take(2).map(|row| row.us).collect())
            }
            Need::Conversation => Loaded::Conversation(self.row.clone().map(Box::new)),
            Need::Keys(_) | Need::Token(_) => panic!("not a conversation's business"),
        };
        self.conversation.loaded(loaded);
    }
    fn parent(&self, us: Micros) -> (u32, Micros) {
        (self.rows[&us].reply_count, self.rows[&us].latest_reply_us)
    }
}

fn content(text: &str) -> Content {
    Content { text: text.into(), ..Content::default() }
}
fn post(text: &str) -> Verb {
    reply(0, text)
}
fn reply(thread_us: Micros, text: &str) -> Verb {
    let content = content(text);
    Verb::Post { content, thread_us, reply_broadcast: false, client_msg_id: String::new() }
}
fn edit(target_us: Micros, text: &str) -> Verb {
    Verb::Edit { target_us, content: content(text) }
}
fn delete(target_us: Micros) -> Verb {
    Verb::Delete { target_us }
}
fn react(target_us: Micros, name: &str) -> Verb {
    Verb::React { target_us, name: name.into() }
}

#[test]
fn who_asks_for_a_conversation_too_early_changes_nothing_of_who_made_it() {
    let mut desk = Desk::before(100);
    assert_eq!(desk.does("UEVE", post("hello?")), Err("channel_not_found"));
    // The workspace's log writes the row, and the conversation is told.
    let born = ConversationRow { creator: "UANN".into(), created_us: 7, ..ConversationRow::default() };
    desk.row = Some(ConversationRow { kind: ConversationKind::Im.into(), ..born });
    desk.create(ConversationKind::Im);
    let row = desk.row.clone().unwrap();
    assert_eq!((row.creator.as_str(), row.created_us, row.members), ("UANN", 7, 2));
    assert_eq!(
        desk.system(Verb::Create { name: "x".into(), kind: ConversationKind::Im, members: vec![] }),
        Ok(0)
    );
}

#[test]
fn strangers_may_join_what_is_public_and_learn_nothing_of_the_rest() {
    let (invite, kick) = (Verb::Invite { user: user("UZED") }, Verb::Kick { user: user("UANN") });
    let verbs = [
        post("x"),
        reply(1, "x"),
        edit(1, "x"),
        delete(1),
        react(1, "tada"),
        invite,
        kick,
        Verb::SetTopic { topic: "x".into() },
        Verb::Archive,
        Verb::Unarchive,
        Verb::Rename { name: "x".into() },
    ];
    for verb in verbs {
        assert_eq!(Desk::public().does("UEVE", verb.clone()), Err("not_in_channel"), "{verb:?}");
        let mut closed = Desk::new(ConversationKind::Private, 100);
        assert_eq!(closed.does("UEVE", verb.clone()), Err("channel_not_found"), "{verb:?}");
        assert_eq!(closed.does("UEVE", Verb::Join), Err("channel_not_found"));
        assert_eq!(closed.does("UEVE", Verb::Leave), Err("channel_not_found"));
    }
    let mut desk = Desk::public();
    assert_eq!(desk.does("UEVE", Verb::Leave), Ok(0), "not there already");
    assert!(desk.does("UEVE", Verb::Join).unwrap() > 0);
    assert_eq!(desk.does("UEVE", Verb::Join), Ok(0));
    assert!(desk.does("UEVE", post("hello")).is_ok());
    assert!(desk.does("UEVE", Verb::Leave).is_ok());
    assert_eq!(desk.does("UEVE", post("again")), Err("not_in_channel"));
}

#[test]
fn an_archived_conversation_takes_leaves_and_its_opening_only() {
    let mut desk = Desk::public();
    let said = desk.does("UANN", post("x")).unwrap();
    assert_eq!(desk.does("UANN", Verb::Unarchive), Err("not_archived"));
    desk.does("UANN", Verb::Archive).unwrap();
    assert_eq!(desk.does("UANN", Verb::Archive), Err("already_archived"));
    for verb in
        [post("y"), edit(said, "y"), delete(said), react(said, "tada"), Verb::Invite { user: user("UZED") }]
    {
        assert_eq!(desk.does("UANN", verb.clone()), Err("is_archived"), "{verb:?}");
    }
    assert_eq!(desk.does("UEVE", Verb::Join), Err("is_archived"));
    assert!(desk.does("UBOB", Verb::Leave).unwrap() > 0);
    assert!(desk.does("UANN", Verb::Unarchive).is_ok() && desk.does("UANN", post("y")).is_ok());
}

#[test]
fn a_name_is_given_once() {
    let mut desk = Desk::public();
    let rename = |name: &str| Verb::Rename { name: name.into() };
    assert_eq!(desk.does("UANN", rename("general")), Ok(0), "it has that name already");
    assert!(desk.does("UANN", rename("random")).unwrap() > 0);
    assert_eq!(desk.row.as_ref().unwrap().name, "random");
    assert_eq!(desk.does("UANN", rename("random")), Ok(0));
}

#[test]
fn a_row_that_is_read_late_does_not_replace_what_memory_has() {
    let mut desk = Desk::public();
    let before = desk.row.clone().unwrap();
    desk.does("UANN", Verb::SetTopic { topic: "new".into() }).unwrap();
    desk.conversation.loaded(Loaded::Conversation(Some(Box::new(before))));
    desk.does("UANN", Verb::SetPurpose { purpose: "kept".into() }).unwrap();
    assert_eq!(desk.row.unwrap().topic, "new");
}

#[test]
fn what_was_just_said_is_shown_from_memory() {
    let mut desk = Desk::public();
    let said = desk.does("UANN", post("x")).unwrap();
    assert_eq!(*desk.conversation.message(said).unwrap(), desk.rows[&said]);
    desk.does("UANN", delete(said)).unwrap();
    assert_eq!(desk.conversation.message(said), None);
}

#[test]
fn direct_conversations_have_the_members_they_were_made_with() {
    for kind in [ConversationKind::Im, ConversationKind::Mpim] {
        let mut desk = Desk::new(kind, 100);
        for verb in [Verb::Leave, Verb::Invite { user: user("UEVE") }, Verb::Kick { user: user("UBOB") }] {
            let refused = desk.does("UANN", verb);
            assert_eq!(refused, Err("method_not_supported_for_channel_type"));
        }
        assert!(desk.does("UANN", post("hi")).is_ok());
    }
    let mut desk = Desk::new(ConversationKind::Im, 100);
    let topic = Verb::SetTopic { topic: "x".into() };
    assert_eq!(desk.does("UANN", topic), Err("method_not_supported_for_channel_type"));
}

#[test]
fn nothing_comes_before_the_event_that_makes_a_conversation() {
    let row = ConversationRow { kind: ConversationKind::Public.into(), ..ConversationRow::default() };
    let channel = proto::id::ConversationId::parse("C1").unwrap();
    let mut early = Conversation::new(channel, false, Some(row), BTreeSet::new(), limits(100));
    let join = Command::by(&user("UEVE"), Verb::Join);
    assert!(matches!(early.decide(&join), Decision::Refuse(Refusal::Busy { .. })));
    let rename = Command::system("", Verb::Rename { name: "x".into() });
    assert!(matches!(early.decide(&rename), Decision::Refuse(Refusal::Busy { .. })));
    let members = vec![user("UANN")];
    let create = Verb::Create { name: "x".into(), kind: ConversationKind::Public, members };
    assert!(matches!(early.decide(&Command::system("", create.clone())), Decision::Append(_)));
    let mut desk = Desk::public();
    assert_eq!(desk.system(create), Ok(0), "made once");
}

#[test]
fn contents_have_limits() {
    let mut desk = Desk::public();
    let long = "ü".repeat(20);
    let said = desk.does("UANN", post(&long)).unwrap();
    assert_eq!(desk.does("UANN", post(&format!("{long}!"))), Err("msg_too_long"));
    assert_eq!(desk.does("UANN", edit(said, &format!("{long}!"))), Err("msg_too_long"));
    assert_eq!(desk.does("UANN", post("")), Err("no_text"));
    let blocks = Content { blocks: "[".repeat(21), ..content("x") };
    let heavy = Verb::Edit { target_us: said, content: blocks };
    assert_eq!(desk.does("UANN", heavy), Err("msg_blocks_too_long"));
    let full = Content { blocks: "[".repeat(20), ..content("x") };
    assert!(desk.does("UANN", Verb::Edit { target_us: said, content: full }).is_ok());
    assert_eq!(desk.does("UANN", Verb::SetTopic { topic: "ü".repeat(251) }), Err("too_long"));
    assert!(desk.does("UANN", Verb::SetTopic { topic: "ü".repeat(250) }).is_ok());
    assert_eq!(desk.does("UANN", react(said, &"x".repeat(101))), Err("invalid_name"));
    assert!(desk.does("UANN", react(said, &"x".repeat(100))).is_ok());
    for name in ["", "Tada", "ta da", "tada\n"] {
        assert_eq!(desk.does("UANN", react(said, name)), Err("invalid_name"), "{name:?}");
    }
}

#[test]
fn only_who_wrote_it_may_change_a_message_and_not_for_ever() {
    let mut desk = Desk::public();
    let said = desk.does("UANN", post("x")).unwrap();
    assert_eq!(desk.does("UBOB", edit(said, "y")), Err("cant_update_message"));
    assert_eq!(desk.does("UBOB", delete(said)), Err("cant_delete_message"));
    assert_eq!(desk.does("UANN", edit(said, "x")), Ok(0), "it says so already");
    assert!(desk.does("UANN", edit(said, "y")).is_ok() && desk.does("UANN", edit(said, "z")).is_ok());
    assert_eq!(desk.does("UANN", edit(said, "x")), Err("edit_window_closed"));
    assert_eq!(desk.rows[&said].body_seqs, [2, 3, 4], "what a deletion has to redact");
    assert_eq!(desk.does("UANN", edit(77, "y")), Err("message_not_found"));
    let joined = desk.does("UEVE", Verb::Join).unwrap();
    assert_eq!(desk.does("UEVE", edit(joined, "y")), Err("cant_update_message"), "a notice is not text");
    assert!(desk.system(delete(said)).is_ok(), "the workspace may");
    assert_eq!(desk.does("UANN", delete(said)), Err("message_not_found"));
}

#[test]
fn a_deleted_parent_stays_as_a_stone_that_takes_nothing() {
    let mut desk = Desk::public();
    let parent = desk.does("UANN", post("p")).unwrap();
    let first = desk.does("UBOB", reply(parent, "r")).unwrap();
    desk.does("UBOB", react(parent, "tada")).unwrap();
    desk.does("UANN", delete(parent)).unwrap();
    let stone = desk.rows[&parent].clone();
    assert_eq!((stone.kind(), stone.content, stone.reply_count), (v1::MessageKind::Tombstone, None, 1));
    assert!(desk.reactions.is_empty());
    for verb in [delete(parent), react(parent, "eyes")] {
        assert_eq!(desk.does("UANN", verb), Err("message_not_found"));
    }
    assert_eq!(desk.does("UANN", edit(parent, "y")), Err("cant_update_message"));
    for us in [parent, first] {
        assert_eq!(desk.does("UANN", reply(us, "y")), Err("thread_not_found"));
    }
    assert!(desk.does("UBOB", edit(first, "y")).is_ok(), "its replies live on");
    desk.does("UBOB", delete(first)).unwrap();
    assert_eq!(desk.parent(parent), (0, 0));
}

#[test]
fn a_reaction_is_given_once_and_taken_back_once() {
    let mut desk = Desk::public();
    let said = desk.does("UANN", post("x")).unwrap();
    let back = Verb::Unreact { target_us: said, name: "tada".into() };
    assert_eq!(desk.does("UBOB", back.clone()), Err("no_reaction"));
    assert!(desk.does("UBOB", react(said, "tada")).is_ok() && desk.does("UANN", react(said, "tada")).is_ok());
    assert_eq!(desk.does("UBOB", react(said, "tada")), Err("already_reacted"));
    assert!(desk.does("UBOB", back.clone()).is_ok());
    assert_eq!(desk.does("UBOB", back), Err("no_reaction"));
    assert_eq!(desk.does("UBOB", react(404, "tada")), Err("message_not_found"));
}

#[test]
fn what_is_said_to_all_counts_where_all_see_it() {
    let mut desk = Desk::public();
    let parent = desk.does("UANN", post("p")).unwrap();
    let counts =
        |desk: &mut Desk, verb: Verb| match desk.conversation.decide(&Command::by(&user("UANN"), verb)) {
            Decision::Append(draft) => (draft.countable, draft.broadcast),
            other => panic!("{other:?}"),
        };
    assert_eq!(counts(&mut desk, post("x")), (true, false));
    assert_eq!(counts(&mut desk, post("<!here> x")), (true, true));
    assert_eq!(counts(&mut desk, reply(parent, "<!channel> x")), (false, false));
    let mut shown = reply(parent, "<!channel> x");
    if let Verb::Post { reply_broadcast, .. } = &mut shown {
        *reply_broadcast = true;
    }
    assert_eq!(counts(&mut desk, shown), (true, true));
    assert_eq!(counts(&mut desk, edit(parent, "<!here> x")), (false, false));
}

#[test]
fn a_message_that_is_gone_takes_its_own_reactions_out_of_memory() {
    let mut desk = Desk::public();
    let [gone, stays] = ["x", "y"].map(|text| desk.does("UANN", post(text)).unwrap());
    for us in [gone, stays] {
        desk.does("UBOB", react(us, "tada")).unwrap();
    }
    desk.does("UANN", delete(gone)).unwrap();
    let known = [gone, stays].map(|us| desk.conversation.rows.reacted(us, "tada", &user("UBOB")));
    assert_eq!(known, [None, Some(true)]);
}

#[test]
fn a_command_that_needs_several_old_rows_gets_them_in_a_busy_channel() {
    let mut desk = Desk::new(ConversationKind::Public, 8);
    let parent = desk.does("UANN", post("p")).unwrap();
    let last = desk.does("UBOB", reply(parent, "r")).unwrap();
    let command = Command::by(&user("UBOB"), delete(last));
    desk.others(10);
    for _ in 0..6 {
        match desk.conversation.decide(&command) {
            Decision::Append(_) => return,
            Decision::Need(need) => desk.load(need),
            other => panic!("{other:?}"),
        }
        // Others write between any two of its rows.
        desk.others(1);
    }
    panic!("the rows that it waits for are the first to go");
}

#[test]
fn memory_is_bounded_by_durable_events_and_by_reads() {
    let mut desk = Desk::new(ConversationKind::Public, 8);
    for us in 0..1000 {
        assert_eq!(desk.does("UANN", react(us, "tada")), Err("message_not_found"));
    }
    let here = (0..1000).filter(|us| desk.conversation.rows.find(*us) != rows::Found::Unknown).count();
    assert!(here <= 8, "{here} absent messages are remembered");
    let read = desk.read;
    let said = desk.does("UANN", post("x")).unwrap();
    assert!(desk.does("UANN", edit(said, "y")).is_ok());
    assert_eq!(desk.read, read, "what was just said is in memory");
}
