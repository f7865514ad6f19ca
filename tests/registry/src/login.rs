//! Logins by token, as the distribution project's registries ask for them: a request without one is told where there are some,
//! and a token is good for what it was asked for.

use std::collections::BTreeMap;

use base64::Engine as _;

/// Who may come in, and the tokens that were given out.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
    /// Tokens, with the scopes that they are good for.
    pub(crate) tokens: BTreeMap<String, Vec<String>>,
    /// How many were given out.
    pub(crate) given: u64,
}

impl Login {
    /// A token for these scopes, if whoever asks is the user.
    pub(crate) fn token(&mut self, authorization: Option<&str>, scopes: Vec<String>) -> Option<String> {
        let pair = format!("{}:{}", self.user, self.password);
        let expected = base64::engine::general_purpose::STANDARD.encode(pair);
        if authorization?.strip_prefix("Basic ")? != expected {
            return None;
        }
        let token = format!("token-{}", self.given);
        self.given += 1;
        self.tokens.insert(token.clone(), scopes);
        Some(token)
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
