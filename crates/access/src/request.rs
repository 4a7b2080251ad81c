//! What is known of the request that a permit was given for, for events and logs.

use std::net::IpAddr;

/// A request, as events and logs tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestInfo {
    /// Its id, also in the server's log and in the answer's `X-Request-Id`.
    pub id: String,
    /// The registry's host as the client sees it.
    pub host: String,
    /// Such as `PUT`.
    pub method: String,
    /// As the client calls itself, at most [`USER_AGENT_CHARS_MAX`] characters.
    pub user_agent: String,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// Longest user agent that is kept.
pub const USER_AGENT_CHARS_MAX: usize = 256;
