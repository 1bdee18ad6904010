//! Tests of a workspace's log: names that are allowed, and free.

use super::*;

struct Desk {
    roster: Roster,
    seq: u64,
    rows: BTreeMap<ConversationId, ConversationRow>,
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}
fn channel(name: &str) -> ConversationId {
    ConversationId::parse(name).unwrap()
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self { roster: Roster::default(), seq: 0, rows: BTreeMap::new() };
        assert_eq!(desk.adds("UANN", "ann", ""), Err("team_not_found"), "first there must be a workspace");
        desk.does(Verb::CreateWorkspace { name: "Test".into(), domain: "test".into() }).unwrap();
        desk.adds("UANN", "ann", "ann@example.org").unwrap();
        desk
    }
    /// The event's seq; 0 when there was nothing to do.
    fn does(&mut self, verb: Verb) -> Result<u64, &'static str> {
        match self.roster.decide(&Command::system("", verb)) {
            Decision::Append(draft) => {
                self.seq += 1;
                let event = Event { seq: self.seq, us: self.seq, body: Some(draft.body), ..Event::default() };
                for view in self.roster.apply(&event).views {
                    if let ViewWrite::Conversation { channel, row } = view {
                        self.rows.insert(channel, row);
                    }
                }
                Ok(self.seq)
            }
            Decision::Nothing(_) => Ok(0),
            Decision::Refuse(refusal) => Err(refusal.code()),
            Decision::Need(need) => panic!("a roster is all in memory, and needs {need:?}"),
        }
    }
    fn adds(&mut self, id: &str, name: &str, email: &str) -> Result<u64, &'static str> {
        self.does(Verb::AddUser {
            user: user(id),
            name: name.into(),
            real_name: String::new(),
            email: email.into(),
            bot_id: String::new(),
            admin: false,
        })
    }
    fn opens(&mut self, id: &str, name: &str, kind: ConversationKind) -> Result<u64, &'static str> {
        let members = vec![user("UANN")];
        self.does(Verb::AddConversation { channel: channel(id), name: name.into(), kind, members })
    }
    fn renames(&mut self, id: &str, name: &str) -> Result<u64, &'static str> {
        self.does(Verb::RenameConversation { channel: channel(id), name: name.into() })
    }
}

const PUBLIC: ConversationKind = ConversationKind::Public;

#[test]
fn a_conversations_name_follows_slacks_rules() {
    let mut desk = Desk::new();
    let long = "ü".repeat(NAME_CHARS_MAX);
    for (number, name) in ["general", "a", "9-lives_", "日本語", "straße", &long].into_iter().enumerate()
    {
        assert!(desk.opens(&format!("C{number}"), name, PUBLIC).is_ok(), "{name}");
    }
    let too_long = "x".repeat(NAME_CHARS_MAX + 1);
    let refused = [
        ("", "invalid_name_required"),
        (too_long.as_str(), "invalid_name_maxlength"),
        ("General", "invalid_name_specials"),
        ("two words", "invalid_name_specials"),
        ("a.b", "invalid_name_specials"),
        ("a\nb", "invalid_name_specials"),
        ("Ärger", "invalid_name_specials"),
        ("-_-", "invalid_name_punctuation"),
    ];
    for (name, why) in refused {
        assert_eq!(desk.opens("C99", name, PUBLIC), Err(why), "{name:?}");
        assert_eq!(desk.renames("C0", name), Err(why), "{name:?}");
    }
}

#[test]
fn a_name_is_taken_until_it_is_given_up_whoever_may_see_it() {
    let mut desk = Desk::new();
    desk.opens("C1", "one", ConversationKind::Private).unwrap();
    assert_eq!(desk.opens("C2", "one", PUBLIC), Err("name_taken"));
    assert_eq!(desk.opens("C1", "other", PUBLIC), Ok(0), "the same conversation again");
    desk.opens("C2", "two", PUBLIC).unwrap();
    assert_eq!(desk.renames("C2", "one"), Err("name_taken"));
    assert_eq!(desk.renames("C2", "two"), Ok(0));
    assert!(desk.renames("C1", "three").is_ok());
    assert!(desk.renames("C2", "one").is_ok(), "it is free now");
    assert_eq!(desk.opens("C3", "three", PUBLIC), Err("name_taken"));
    assert_eq!(desk.renames("C9", "nine"), Err("channel_not_found"));
}

#[test]
fn direct_conversations_have_no_names_to_take() {
    let mut desk = Desk::new();
    for (id, kind) in
        [("D1", ConversationKind::Im), ("D2", ConversationKind::Im), ("G1", ConversationKind::Mpim)]
    {
        assert!(desk.opens(id, "", kind).is_ok(), "{id}");
    }
}

#[test]
fn members_must_be_users_of_the_workspace() {
    let mut desk = Desk::new();
    let members = vec![user("UANN"), user("UEVE")];
    let add = Verb::AddConversation { channel: channel("C1"), name: "one".into(), kind: PUBLIC, members };
    assert_eq!(desk.does(add), Err("user_not_found"));
}

#[test]
fn users_names_and_addresses_are_unique_however_they_are_written() {
    let mut desk = Desk::new();
    assert_eq!(desk.adds("UBOB", "Ann", ""), Err("name_taken"));
    assert_eq!(desk.adds("UBOB", "bob", "ANN@example.org"), Err("email_taken"));
    for name in ["", "a\u{7}b", &"x".repeat(NAME_CHARS_MAX + 1)] {
        assert_eq!(desk.adds("UBOB", name, ""), Err("invalid_name"), "{name:?}");
    }
    assert!(desk.adds("UBOB", "bob", "").is_ok());
    assert!(desk.adds("ULONG", &"ü".repeat(NAME_CHARS_MAX), "").is_ok());
    assert!(desk.adds("UEVE", "eve", "").is_ok(), "no address is nobody's");
    assert_eq!(desk.adds("UANN", "anything", ""), Ok(0), "the same user again");
}

#[test]
fn who_has_a_bots_id_is_a_bot() {
    let mut desk = Desk::new();
    for (id, bot_id) in [("UBOB", ""), ("UBOT", "B1")] {
        let [name, bot_id] = [id.to_lowercase(), bot_id.to_owned()];
        let (real_name, email) = (String::new(), String::new());
        let add = Verb::AddUser { user: user(id), name, real_name, email, bot_id, admin: false };
        let Decision::Append(draft) = desk.roster.decide(&Command::system("", add)) else {
            panic!("{id} is new")
        };
        let Body::UserAdded(added) = draft.body else { panic!("a user is added") };
        assert_eq!(added.bot, id == "UBOT");
    }
}

#[test]
fn what_the_views_say_is_what_was_decided() {
    let mut desk = Desk::new();
    desk.opens("C1", "one", PUBLIC).unwrap();
    let workspace = Some(WorkspaceRow { name: "Test".into(), ..WorkspaceRow::default() });
    let ann = UserRow { name: "ann".into(), email: "ann@example.org".into(), ..UserRow::default() };
    let rows = desk.rows.into_iter().collect();
    let roster = Roster::new(workspace, vec![(user("UANN"), ann)], rows);
    let mut again = Desk { roster, seq: desk.seq, rows: BTreeMap::new() };
    assert_eq!(again.opens("C2", "one", PUBLIC), Err("name_taken"));
    assert_eq!(again.adds("UBOB", "ann", ""), Err("name_taken"));
    assert_eq!(again.adds("UBOB", "bob", "ann@example.org"), Err("email_taken"));
    let again = again.does(Verb::CreateWorkspace { name: "Test".into(), domain: "test".into() });
    assert_eq!(again, Ok(0));
}
