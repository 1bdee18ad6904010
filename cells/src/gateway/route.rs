//! What a path asks for.

use actors::api::method;

/// A place that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// A method of Slack's Web API.
    Api(&'a str),
    /// An RTM socket, by ticket.
    Rtm(&'a str),
    /// A native socket.
    Connect,
    /// The page for people.
    Home,
    /// The page behind a sign-in link.
    SignIn(&'a str),
    /// The process lives.
    Health,
    /// The node takes work.
    Ready,
    /// Prometheus' text.
    Metrics,
    /// Nothing.
    Unknown,
}

impl<'a> Route<'a> {
    /// Reads a path. Clients join base and method in every way there is: two slashes, one more at the end, and the
    /// base without `api` are all taken.
    pub fn of(path: &'a str) -> Self {
        let trimmed = path.trim_matches('/');
        let (first, rest) = trimmed.split_once('/').unwrap_or((trimmed, ""));
        let rest = rest.trim_start_matches('/');
        match (first, rest) {
            ("", "") => Self::Home,
            ("api", method) => Self::Api(method),
            ("rtm", ticket) if !ticket.is_empty() => Self::Rtm(ticket),
            ("signin", ticket) if !ticket.is_empty() => Self::SignIn(ticket),
            ("connect", "") => Self::Connect,
            ("healthz", "") => Self::Health,
            ("readyz", "") => Self::Ready,
            ("metrics", "") => Self::Metrics,
            (name, "") if method::find(name).is_some() => Self::Api(name),
            _ => Self::Unknown,
        }
    }
    /// The route without what is the client's, for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Api(_) => "api",
            Self::Rtm(_) => "rtm",
            Self::Connect => "connect",
            Self::Home => "home",
            Self::SignIn(_) => "signin",
            Self::Health => "healthz",
            Self::Ready => "readyz",
            Self::Metrics => "metrics",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_join_base_and_method_leads_to_the_method() {
        for path in ["/api/auth.test", "/api//auth.test", "//api/auth.test", "/api/auth.test/", "/auth.test"]
        {
            assert_eq!(Route::of(path), Route::Api("auth.test"), "{path}");
        }
        assert_eq!(
            Route::of("/api/no.such"),
            Route::Api("no.such"),
            "the API itself says that it is unknown"
        );
        assert_eq!(Route::of("/no.such"), Route::Unknown);
    }

    #[test]
    fn other_places_are_told_apart() {
        for (path, route) in [
            ("/", Route::Home),
            ("", Route::Home),
            ("/rtm/abc", Route::Rtm("abc")),
            ("/rtm/", Route::Unknown),
            ("/signin/abc", Route::SignIn("abc")),
            ("/connect", Route::Connect),
            ("/connect/x", Route::Unknown),
            ("/healthz", Route::Health),
            ("/readyz", Route::Ready),
            ("/metrics", Route::Metrics),
            ("/favicon.ico", Route::Unknown),
            ("/../etc/passwd", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
