//! What a peer may do, as its transport has proved it.

use std::fmt;

/// What a node can do in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Holds clients' sockets.
    Gateway,
    /// Owns channels.
    Channels,
    /// Keeps the store.
    Store,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Channels, Self::Store];

    /// As certificates and configurations name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Channels => "channels",
            Self::Store => "store",
        }
    }
}

/// Some of the roles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// None of them.
    pub const NONE: Self = Self::of(&[]);
    /// All of them: what a transport says that proves nothing, and what a service for everybody asks for.
    pub const ALL: Self = Self::of(&Role::ALL);

    /// These.
    pub const fn of(roles: &[Role]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < roles.len() {
            bits |= 1 << roles[at] as u8;
            at += 1;
        }
        Self(bits)
    }
    /// By their names; those of a later build are passed over.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = |name: &str| Role::ALL.into_iter().find(|role| role.name() == name);
        let bits = names.into_iter().filter_map(known).fold(0, |bits, role| bits | 1 << role as u8);
        Self(bits)
    }
    /// Whether this one is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & 1 << role as u8 != 0
    }
    /// Whether one of these is.
    pub fn has_any(self, roles: Self) -> bool {
        self.0 & roles.0 != 0
    }
    /// Whether all of these are.
    pub fn has_all(self, roles: Self) -> bool {
        self.0 & roles.0 == roles.0
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Role::ALL.into_iter().filter(|role| self.has(*role)).map(Role::name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roles({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_go_by_their_names_and_those_of_a_later_build_give_nothing() {
        let some = Roles::named(["store", "sorcerer", "gateway"]);
        assert_eq!(
            (some, some.to_string()),
            (Roles::of(&[Role::Gateway, Role::Store]), "gateway, store".into())
        );
        assert!(some.has(Role::Store) && !some.has(Role::Channels));
        assert!(some.has_any(Roles::of(&[Role::Channels, Role::Store])) && !some.has_any(Roles::NONE));
        assert!(Roles::ALL.has_all(some) && !some.has_all(Roles::ALL) && some.has_all(Roles::NONE));
        assert_eq!(Roles::named(["Store"]).to_string(), "none");
    }
}
