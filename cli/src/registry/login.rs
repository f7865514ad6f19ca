//! Answering a registry that asks who we are (RFC 6750, RFC 7617, and the distribution project's token endpoint).

use std::time::Duration;

use base64::Engine as _;
use http_auth::ChallengeRef;
use serde::Deserialize;

use super::answer::{refused, small_body};
use super::failure::Failure;

/// An answer with a token is not longer than this, in bytes.
const LONGEST: usize = 1 << 20;

/// And comes within this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who we are to a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// Nobody.
    Anonymous,
    /// A user with a password.
    Basic(String, String),
    /// Whoever holds this token, which is to be changed for others.
    Identity(String),
}

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A user and a password.
    Basic,
    /// A token, which this service gives out.
    Bearer {
        /// Its address.
        realm: String,
        /// For whom it is.
        service: Option<String>,
    },
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets are not for logs.
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic(..) => "Basic(…)",
            Self::Identity(_) => "Identity(…)",
        })
    }
}

/// What a `WWW-Authenticate` header asks for, a token first.
pub(super) fn challenge(header: &str) -> Option<Challenge> {
    let challenges = http_auth::parse_challenges(header).ok()?;
    let parameter = |challenge: &ChallengeRef, name: &str| {
        let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_unescaped())
    };
    let of = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme.eq_ignore_ascii_case(scheme));
    match of("Bearer") {
        Some(bearer) => Some(Challenge::Bearer {
            realm: parameter(bearer, "realm")?,
            service: parameter(bearer, "service"),
        }),
        None => of("Basic").map(|_| Challenge::Basic),
    }
}

/// What to send along to say who we are.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// Asks the service of a challenge for a token with these scopes.
pub(super) async fn token(
    http: &reqwest::Client,
    login: &Login,
    realm: &str,
    service: Option<&str>,
    scopes: &[String],
) -> Result<String, Failure> {
    let nonsense = |_| Failure::Malformed("it names no address for tokens".into());
    let mut url = reqwest::Url::parse(realm).map_err(nonsense)?;
    let request = match login {
        Login::Identity(token) => {
            let mut form = reqwest::Url::parse("http://form").map_err(nonsense)?;
            form.query_pairs_mut()
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "ci-build")
                .append_pair("service", service.unwrap_or_default())
                .append_pair("scope", &scopes.join(" "))
                .append_pair("refresh_token", token);
            let form = form.query().unwrap_or_default().to_owned();
            http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form)
        }
        Login::Anonymous | Login::Basic(..) => {
            let mut query = url.query_pairs_mut();
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            for scope in scopes {
                query.append_pair("scope", scope);
            }
            drop(query);
            match login {
                Login::Basic(user, password) => http.get(url).basic_auth(user, Some(password)),
                _ => http.get(url),
            }
        }
    };
    let response = request.send().await.map_err(|error| Failure::of(&error))?;
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let body = small_body(response, LONGEST, PATIENCE).await?;
    let answer: Option<Answer> = serde_json::from_slice(&body).ok();
    let token = answer.and_then(|answer| answer.token.or(answer.access_token));
    token.ok_or_else(|| Failure::Malformed("no token in the answer to the login".into()))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, Write as _};

    use super::*;

    #[test]
    fn a_challenge_tells_who_gives_out_tokens() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.map(Into::into) })
        };
        assert_eq!(
            challenge(r#"Bearer realm="https://a.example/token",service="b",scope="repository:c:pull""#),
            bearer("https://a.example/token", Some("b"))
        );
        assert_eq!(challenge(r#"Basic realm="x", Bearer realm="y""#), bearer("y", None));
        assert_eq!(challenge(r#"Basic realm="x""#), Some(Challenge::Basic));
        assert_eq!(challenge("Negotiate"), None);
    }

    #[test]
    fn a_service_that_sends_without_end_is_not_read_to_the_end() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let realm = format!("http://{}/token", listener.local_addr().unwrap());
        let service = std::thread::spawn(move || -> std::io::Result<()> {
            let (mut connection, _) = listener.accept()?;
            // Who answers before the question is not listened to.
            let question = std::io::BufReader::new(connection.try_clone()?);
            question.lines().take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).count();
            connection.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            // More than anybody should take, and yet less than what would end this machine.
            (0..1024).try_for_each(|_| connection.write_all(&[b' '; 1 << 16]))
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = runtime.block_on(token(&http, &Login::Anonymous, &realm, None, &[]));
        assert_eq!(told.unwrap_err().to_string(), "makes no sense: an answer of more than 1048576 bytes");
        drop((runtime, http));
        assert!(service.join().unwrap().is_err(), "the connection is given up");
    }
}
