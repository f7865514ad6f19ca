//! Logins by token, as the distribution project's registries ask for them: a request without one is told where there are some,
//! and a token is good for what it was asked for.

use std::collections::BTreeMap;

use base64::Engine as _;

/// Who may come in, and the tokens that were given out.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
    /// What else lets its holder in, as a login by a browser leaves it.
    pub(crate) identity: Option<String>,
    /// Tokens, with the scopes that they are good for.
    pub(crate) tokens: BTreeMap<String, Vec<String>>,
    /// How many were given out.
    pub(crate) given: u64,
}

impl Login {
    /// A token for the scopes of a query, if whoever asks is the user.
    pub(crate) fn token(&mut self, authorization: Option<&str>, query: &str) -> Option<String> {
        let pair = format!("{}:{}", self.user, self.password);
        let expected = base64::engine::general_purpose::STANDARD.encode(pair);
        if authorization?.strip_prefix("Basic ")? != expected {
            return None;
        }
        Some(self.give(values(query, "scope")))
    }

    /// A token for the scopes of a form, if whoever sends it holds the identity token (RFC 6749, section 6).
    pub(crate) fn refreshed(&mut self, form: &str) -> Option<String> {
        let is_right = |name: &str, expected: &str| values(form, name) == [expected];
        let identity = self.identity.as_deref()?;
        if !(is_right("grant_type", "refresh_token") && is_right("refresh_token", identity)) {
            return None;
        }
        let scopes = values(form, "scope");
        Some(self.give(scopes.iter().flat_map(|scopes| scopes.split(' ')).map(str::to_owned).collect()))
    }

    fn give(&mut self, scopes: Vec<String>) -> String {
        let token = format!("token-{}", self.given);
        self.given += 1;
        self.tokens.insert(token.clone(), scopes);
        token
    }

    /// Whether what was sent along is good for this: `pull` or `push` in a repository, where it is about one.
    pub(crate) fn lets_in(
        &self,
        authorization: Option<&str>,
        repository: Option<&str>,
        action: &str,
    ) -> bool {
        let scopes = authorization.and_then(|text| self.tokens.get(text.strip_prefix("Bearer ")?));
        let Some(scopes) = scopes else { return false };
        let Some(repository) = repository else { return true };
        let prefix = format!("repository:{repository}:");
        let actions = |scope: &String| {
            scope.strip_prefix(&prefix).is_some_and(|actions| actions.split(',').any(|one| one == action))
        };
        scopes.iter().any(actions)
    }
}

/// What a query or a form says under this name.
fn values(pairs: &str, name: &str) -> Vec<String> {
    let text = |word: &str| {
        let spaced = word.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = pairs.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| text(value)).collect()
}
