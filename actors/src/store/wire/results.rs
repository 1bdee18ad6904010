//! Results of calls: each type has its arm of the answer.

use super::{Malformed, each, narrow, present, sixteen, slot, wide};
use crate::store::{Appended, KeySeen, Listed, LogId, LogPage, ReactionCount};
use cluster::claims::ClaimOutcome;
use cluster::slots::Slot;
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::v1::store_answer::Answer;
use proto::v1::{
    BucketRow, ConversationRow, Head, JoinedRow, MarkRow, MemberRow, MessageRow, SlotRow, StoreAppended,
    StoreBucket, StoreClaimOutcome, StoreClaimed, StoreConversation, StoreConversations, StoreDirectory,
    StoreFoundConversation, StoreFoundMessage, StoreFoundToken, StoreFoundUser, StoreHead, StoreJoined,
    StoreJoinedPage, StoreKey, StoreKeys, StoreLogPage, StoreLogs, StoreMark, StoreMarks, StoreMember,
    StoreMembers, StoreMembership, StoreMemberships, StoreMessages, StoreOutcome, StoreReacted,
    StoreReactionCount, StoreReactions, StoreRetained, StoreSlot, StoreSlots, StoreUser, StoreUsers,
    StoreWorkspace, StoreWorkspaces, TokenRow, UserRow, WorkspaceRow,
};

/// What a call results in.
pub trait Carried: Sized + Send + 'static {
    /// The answer that holds it.
    fn into_answer(self) -> Answer;
    /// Takes it out of an answer.
    fn from_answer(answer: Answer) -> Result<Self, Malformed>;
}

/// `Result = Arm: |result| its message, |message| the result;`
macro_rules! carried {
    ($($result:ty = $arm:ident: |$value:pat_param| $write:expr, |$message:pat_param| $read:expr;)+) => {$(
        impl Carried for $result {
            fn into_answer(self) -> Answer {
                let $value = self;
                Answer::$arm($write)
            }
            fn from_answer(answer: Answer) -> Result<Self, Malformed> {
                match answer {
                    Answer::$arm($message) => $read,
                    _ => Err(Malformed::OtherKind(stringify!($arm))),
                }
            }
        }
    )+};
}

carried! {
    Appended = Appended: |outcome| appended_message(outcome), |message| appended(message);
    usize = Retained:
        |dropped| StoreRetained { dropped: wide(dropped) },
        |message| Ok(narrow(message.dropped));
    Vec<ClaimOutcome> = Claimed:
        |outcomes| StoreClaimed { outcomes: made(outcomes, claim_outcome_message) },
        |message| each(message.outcomes, claim_outcome);

    Option<(u32, Head)> = Head:
        |head| {
            let (bucket, head) = head.map_or((0, None), |(bucket, head)| (bucket, Some(head)));
            StoreHead { bucket, head }
        },
        |message| Ok(message.head.map(|head| (message.bucket, head)));
    LogPage = Page:
        |LogPage { events, first, tail }| StoreLogPage { events, first, tail },
        |StoreLogPage { events, first, tail }| Ok(LogPage { events, first, tail });
    Vec<KeySeen> = Keys:
        |keys| StoreKeys { keys: made(keys, key_message) },
        |message| each(message.keys, key);
    Vec<(u32, BucketRow)> = Directory:
        |rows| StoreDirectory {
            buckets: made(rows, |(bucket, row)| StoreBucket { bucket, row: Some(row) }),
        },
        |message| each(message.buckets, |of| Ok((of.bucket, present(of.row, "bucket")?)));
    Vec<LogId> = Logs:
        |logs| StoreLogs { logs: logs.iter().map(Into::into).collect() },
        |message| each(message.logs, TryInto::try_into);
    Vec<(Slot, SlotRow)> = Slots:
        |rows| StoreSlots {
            slots: made(rows, |(slot, row)| StoreSlot { slot: slot.number().into(), row: Some(row) }),
        },
        |message| each(message.slots, |of| Ok((slot(of.slot)?, present(of.row, "slot's row")?)));

    Vec<MessageRow> = Messages: |rows| StoreMessages { rows }, |message| Ok(message.rows);
    Option<MessageRow> = Message: |row| StoreFoundMessage { row }, |message| Ok(message.row);
    Vec<ReactionCount> = Reactions:
        |counts| StoreReactions { counts: made(counts, count_message) },
        |message| each(message.counts, count);
    bool = Reacted: |reacted| StoreReacted { reacted }, |message| Ok(message.reacted);
    Option<MemberRow> = Membership: |row| StoreMembership { row }, |message| Ok(message.row);
    Vec<Option<MemberRow>> = Memberships:
        |rows| StoreMemberships { memberships: made(rows, |row| StoreMembership { row }) },
        |message| Ok(made(message.memberships, |of| of.row));
    Listed<UserId, MemberRow> = Members:
        |Listed { rows, more }| StoreMembers {
            rows: made(rows, |(user, row)| StoreMember { user: user.to_string(), row: Some(row) }),
            more,
        },
        |StoreMembers { rows, more }| Ok(Listed {
            rows: each(rows, |of| Ok((UserId::parse(&of.user)?, present(of.row, "member")?)))?,
            more,
        });
    Listed<ConversationId, JoinedRow> = Joined:
        |Listed { rows, more }| StoreJoinedPage {
            rows: made(rows, |(id, row)| StoreJoined { channel: id.to_string(), row: Some(row) }),
            more,
        },
        |StoreJoinedPage { rows, more }| Ok(Listed {
            rows: each(rows, |of| Ok((ConversationId::parse(&of.channel)?, present(of.row, "join")?)))?,
            more,
        });
    Vec<(ConversationId, MarkRow)> = Marks:
        |rows| StoreMarks {
            rows: made(rows, |(id, row)| StoreMark { channel: id.to_string(), row: Some(row) }),
        },
        |message| each(message.rows, |of| Ok((ConversationId::parse(&of.channel)?, present(of.row, "mark")?)));
    Option<UserRow> = User: |row| StoreFoundUser { row }, |message| Ok(message.row);
    Option<ConversationRow> = Conversation: |row| StoreFoundConversation { row }, |message| Ok(message.row);
    Listed<UserId, UserRow> = Users:
        |Listed { rows, more }| StoreUsers {
            rows: made(rows, |(user, row)| StoreUser { user: user.to_string(), row: Some(row) }),
            more,
        },
        |StoreUsers { rows, more }| Ok(Listed {
            rows: each(rows, |of| Ok((UserId::parse(&of.user)?, present(of.row, "user")?)))?,
            more,
        });
    Listed<ConversationId, ConversationRow> = Conversations:
        |Listed { rows, more }| StoreConversations {
            rows: made(rows, |(id, row)| StoreConversation { channel: id.to_string(), row: Some(row) }),
            more,
        },
        |StoreConversations { rows, more }| Ok(Listed {
            rows: each(rows, |of| Ok((ConversationId::parse(&of.channel)?, present(of.row, "conversation")?)))?,
            more,
        });
    Vec<(WorkspaceId, WorkspaceRow)> = Workspaces:
        |rows| StoreWorkspaces {
            rows: made(rows, |(id, row)| StoreWorkspace { workspace: id.to_string(), row: Some(row) }),
        },
        |message| each(message.rows, |of| {
            Ok((WorkspaceId::parse(&of.workspace)?, present(of.row, "workspace")?))
        });
    Option<TokenRow> = Token: |row| StoreFoundToken { row }, |message| Ok(message.row);
}

/// Makes something of each.
fn made<T, U>(parts: Vec<T>, make: impl FnMut(T) -> U) -> Vec<U> {
    parts.into_iter().map(make).collect()
}

fn appended_message(appended: Appended) -> StoreAppended {
    let (outcome, head) = match appended {
        Appended::Applied => (StoreOutcome::Applied, None),
        Appended::Already => (StoreOutcome::Already, None),
        Appended::Refused(head) => (StoreOutcome::Refused, head),
    };
    StoreAppended { outcome: outcome.into(), head }
}

fn appended(message: StoreAppended) -> Result<Appended, Malformed> {
    match message.outcome() {
        StoreOutcome::Applied => Ok(Appended::Applied),
        StoreOutcome::Already => Ok(Appended::Already),
        StoreOutcome::Refused => Ok(Appended::Refused(message.head)),
        StoreOutcome::Unknown => Err(Malformed::Missing("outcome of the append")),
    }
}

fn claim_outcome_message(outcome: ClaimOutcome) -> StoreClaimOutcome {
    let (outcome, row) = match outcome {
        ClaimOutcome::Applied => (StoreOutcome::Applied, None),
        ClaimOutcome::Refused(row) => (StoreOutcome::Refused, Some(row)),
    };
    StoreClaimOutcome { outcome: outcome.into(), row }
}

fn claim_outcome(message: StoreClaimOutcome) -> Result<ClaimOutcome, Malformed> {
    match message.outcome() {
        StoreOutcome::Applied => Ok(ClaimOutcome::Applied),
        StoreOutcome::Refused => Ok(ClaimOutcome::Refused(present(message.row, "row that refused")?)),
        StoreOutcome::Already | StoreOutcome::Unknown => Err(Malformed::Missing("outcome of the claim")),
    }
}

fn key_message(seen: KeySeen) -> StoreKey {
    let KeySeen { key, seq, us, body } = seen;
    StoreKey { key: key.to_be_bytes().to_vec(), seq, us, body }
}

fn key(message: StoreKey) -> Result<KeySeen, Malformed> {
    let StoreKey { key, seq, us, body } = message;
    Ok(KeySeen { key: u128::from_be_bytes(sixteen(&key, "key's hash")?), seq, us, body })
}

fn count_message(count: ReactionCount) -> StoreReactionCount {
    let ReactionCount { us, name, count, users } = count;
    StoreReactionCount { us, name, count, users: made(users, |user| user.to_string()) }
}

fn count(message: StoreReactionCount) -> Result<ReactionCount, Malformed> {
    let StoreReactionCount { us, name, count, users } = message;
    Ok(ReactionCount { us, name, count, users: each(users, |user| Ok(UserId::parse(&user)?))? })
}
