//! One registry, spoken to by the distribution specification. Requests are made once: who repeats them is told all
//! that the registry says of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{self, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::OnceCell;

use super::answer::{self, Allowance, first_byte, next_page, refused, small_body, text, told_digest};
use super::credentials::login_for;
use super::failure::Failure;
use super::login::{self, Challenge, Login};
use super::manifest::{self, Manifest};
use super::probe::Limits;
use super::reference::Target;
use super::source::{Address, Scheme};
use super::transport::Transport;
use crate::image::Digest;
use crate::loopback::is_loopback;

/// A connection is had within this time, or not at all.
const CONNECT: Duration = Duration::from_secs(30);

/// One registry, with its connections and its logins.
#[derive(Debug)]
pub struct Client {
    address: Address,
    insecure: bool,
    way: OnceCell<Way>,
    login: OnceCell<Login>,
    authorizations: Mutex<Vec<Authorization>>,
    allowance: Mutex<Option<Allowance>>,
}

/// What to send along.
#[derive(Debug)]
struct Authorization {
    header: String,
    /// What it was asked for.
    scopes: Vec<String>,
}

/// How the registry is reached.
#[derive(Debug)]
struct Way {
    http: reqwest::Client,
    base: Url,
}

/// One request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// A path from the root, or a whole address that the registry gave.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<reqwest::Body>,
    pub(super) scopes: Vec<String>,
}

impl Ask {
    /// A request without a body, to read from a repository.
    pub(super) fn to_read(method: Method, repository: &str, path: &str) -> Self {
        Self {
            method,
            path: format!("/v2/{repository}/{path}"),
            headers: HeaderMap::new(),
            body: None,
            scopes: vec![format!("repository:{repository}:pull")],
        }
    }

    /// A request to change a repository.
    pub(super) fn to_write(method: Method, repository: &str, path: &str) -> Self {
        Self::at(method, &format!("/v2/{repository}/{path}"), repository)
    }

    /// A request to an address that the registry gave, to change a repository.
    pub(super) fn at(method: Method, address: &str, repository: &str) -> Self {
        let scopes = vec![format!("repository:{repository}:pull,push")];
        Self { method, path: address.into(), headers: HeaderMap::new(), body: None, scopes }
    }

    pub(super) fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        // What cannot stand in a header cannot be asked for: the registry says what is missing.
        if let Ok(value) = value.parse() {
            self.headers.insert(name, value);
        }
        self
    }
}

impl Client {
    /// A client of the registry at this address. Nothing is sent yet.
    pub fn new(address: Address, insecure: bool) -> Self {
        Self {
            address,
            insecure,
            way: OnceCell::new(),
            login: OnceCell::new(),
            authorizations: Mutex::default(),
            allowance: Mutex::default(),
        }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How many more pulls it allows, by the last of its answers that told.
    pub fn allowance(&self) -> Option<Allowance> {
        *guard(&self.allowance)
    }

    /// The digest that a tag points to, without a pull being counted; none where the registry does not tell it.
    ///
    /// # Errors
    /// When there is no such tag, or the registry does not say in time.
    pub async fn resolve(
        &self,
        repository: &str,
        tag: &str,
        limits: Limits,
    ) -> Result<Option<Digest>, Failure> {
        let ask = Ask::to_read(Method::HEAD, repository, &format!("manifests/{tag}"));
        let ask = ask.header(header::ACCEPT, manifest::ACCEPTED);
        let response = self.send(ask, limits).await?;
        Ok(told_digest(response.headers()))
    }

    /// A manifest, whole and checked.
    ///
    /// # Errors
    /// When it is not there, does not come in time, or is not what the digest says.
    pub async fn manifest(
        &self,
        repository: &str,
        target: &Target,
        limits: Limits,
    ) -> Result<Manifest, Failure> {
        let name = match target {
            Target::Tag(tag) => tag.as_str(),
            Target::Digest(digest) => digest.as_str(),
        };
        let ask = Ask::to_read(Method::GET, repository, &format!("manifests/{name}"));
        let ask = ask.header(header::ACCEPT, manifest::ACCEPTED);
        let response = self.send(ask, limits).await?;
        let told = told_digest(response.headers());
        let media_type = text(response.headers(), header::CONTENT_TYPE.as_str()).map(str::to_owned);
        let length = response.content_length();
        let bytes = small_body(response, manifest::LONGEST as usize, limits.window).await?;
        if let Some(expected) = length.filter(|expected| *expected != bytes.len() as u64) {
            return Err(Failure::Truncated { got: bytes.len() as u64, expected });
        }
        let expected = match target {
            Target::Digest(digest) => Some(digest.clone()),
            Target::Tag(_) => told,
        };
        let got = Digest::of(&bytes);
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            return Err(Failure::WrongDigest { expected, got });
        }
        Manifest::read(bytes, media_type.as_deref())
    }

    /// A blob's bytes from this one on, where the registry can do that, else from its beginning. Who reads them has the limits
    /// for what comes after the first byte.
    pub(super) async fn blob(
        &self,
        repository: &str,
        digest: &Digest,
        from: u64,
        limits: Limits,
    ) -> Result<Response, Failure> {
        let ask = Ask::to_read(Method::GET, repository, &format!("blobs/{digest}"));
        let ask = if from == 0 { ask } else { ask.header(header::RANGE, &format!("bytes={from}-")) };
        self.send(ask, limits).await
    }

    /// All tags of a repository.
    ///
    /// # Errors
    /// When there is no such repository, or the registry does not say in time.
    pub async fn tags(&self, repository: &str, limits: Limits) -> Result<Vec<String>, Failure> {
        #[derive(serde::Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        /// No repository has more, and who sends us in circles is found out.
        const MOST_PAGES: usize = 10_000;
        let mut ask = Ask::to_read(Method::GET, repository, "tags/list?n=1000");
        let mut tags = Vec::new();
        for _ in 0..MOST_PAGES {
            let scopes = ask.scopes.clone();
            let response = self.send(ask, limits).await?;
            let next = text(response.headers(), header::LINK.as_str()).and_then(next_page);
            let next = next.map(|next| self.join(response.url(), next)).transpose()?;
            let page = small_body(response, 32 << 20, limits.window).await?;
            let page: Page =
                serde_json::from_slice(&page).map_err(|error| Failure::Malformed(error.to_string()))?;
            tags.extend(page.tags.unwrap_or_default());
            let Some(path) = next else { return Ok(tags) };
            ask = Ask { method: Method::GET, path, headers: HeaderMap::new(), body: None, scopes };
        }
        Err(Failure::Redirects)
    }

    /// What an address in an answer means.
    pub(super) fn join(&self, base: &Url, location: &str) -> Result<String, Failure> {
        let url = base.join(location);
        url.map(Into::into).map_err(|_| Failure::Malformed(format!("it points to '{location}'")))
    }

    /// Sends a request, with a login where the registry asks for one. Gives the answer if it is a good one, and begins in time.
    pub(super) async fn send(&self, ask: Ask, limits: Limits) -> Result<Response, Failure> {
        first_byte(limits, self.send_without_limit(ask)).await
    }

    /// The same for a body that takes its time: whoever sends it sees whether it moves.
    pub(super) async fn send_without_limit(&self, ask: Ask) -> Result<Response, Failure> {
        let way = self.way.get_or_try_init(|| self.find_way()).await?;
        let Ask { method, path, headers, body, scopes } = ask;
        let nonsense = |_| Failure::Malformed(format!("it points to '{path}'"));
        let url = way.base.join(&path).map_err(nonsense)?;
        let mut request = way.http.request(method, url.clone()).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let mut request = request.build().map_err(|error| Failure::of(&error))?;
        // A login is for the registry, not for whomever it points to.
        let is_ours = url.origin() == way.base.origin();
        if let Some(known) = self.known(&scopes).filter(|_| is_ours) {
            authorize(&mut request, &known);
        }
        let again = request.try_clone();
        let mut response = self.execute(way, request).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && is_ours
            && let Some(challenge) = text(response.headers(), header::WWW_AUTHENTICATE.as_str())
            && let Some(challenge) = login::challenge(challenge)
            && let Some(authorization) = self.authorization(way, challenge, &scopes).await?
        {
            self.keep(authorization.clone(), scopes);
            // A body that is a stream cannot be sent again.
            let mut again = again.ok_or(Failure::LoginEnded)?;
            authorize(&mut again, &authorization);
            response = self.execute(way, again).await?;
        }
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    /// What was good for these scopes, or for more: the token for an upload that may take a blob from elsewhere is good for
    /// sending the blob too.
    fn known(&self, scopes: &[String]) -> Option<String> {
        let known = guard(&self.authorizations);
        let found = known.iter().filter(|known| scopes.iter().all(|scope| known.scopes.contains(scope)));
        found.min_by_key(|known| known.scopes.len()).map(|known| known.header.clone())
    }

    fn keep(&self, header: String, scopes: Vec<String>) {
        let mut known = guard(&self.authorizations);
        known.retain(|known| known.scopes != scopes);
        known.push(Authorization { header, scopes });
    }

    async fn execute(&self, way: &Way, request: reqwest::Request) -> Result<Response, Failure> {
        let response = way.http.execute(request).await.map_err(|error| Failure::of(&error))?;
        self.note_allowance(response.headers());
        Ok(response)
    }

    /// What to send along so that the registry knows us; nothing where we have no login of the kind that it wants.
    async fn authorization(
        &self,
        way: &Way,
        challenge: Challenge,
        scopes: &[String],
    ) -> Result<Option<String>, Failure> {
        let login = self.login.get_or_try_init(|| async {
            login_for(&self.address.host).map_err(|error| Failure::Credentials(error.to_string()))
        });
        match (challenge, login.await?) {
            (Challenge::Bearer { realm, service }, login) => {
                let token = login::token(&way.http, login, &realm, service.as_deref(), scopes).await?;
                Ok(Some(format!("Bearer {token}")))
            }
            (Challenge::Basic, Login::Basic(user, password)) => Ok(Some(login::basic(user, password))),
            (Challenge::Basic, Login::Anonymous | Login::Identity(_)) => Ok(None),
        }
    }

    /// Finds out whether the registry has TLS, where that is open.
    async fn find_way(&self) -> Result<Way, Failure> {
        // It fails where a provider is there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let choices: &[Transport] = match (self.address.scheme, self.insecure) {
            (Scheme::Http, _) => &[Transport::Plain],
            (Scheme::Https, false) => &[Transport::Tls],
            (Scheme::Https, true) => &[Transport::UnverifiedTls],
            (Scheme::Usual, insecure) => Transport::choices(&self.address.host, insecure),
        };
        for transport in choices {
            let way = self.way(*transport)?;
            // The last is as good as known.
            if choices.last() == Some(transport) || way.http.get(way.base.clone()).send().await.is_ok() {
                return Ok(way);
            }
        }
        Err(Failure::Malformed("no way leads to it".into()))
    }

    fn way(&self, transport: Transport) -> Result<Way, Failure> {
        let scheme = if transport == Transport::Plain { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/v2/", self.address.host));
        let base = base.map_err(|error| Failure::Malformed(error.to_string()))?;
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("ci-build/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .tls_danger_accept_invalid_certs(transport == Transport::UnverifiedTls);
        if is_loopback(&self.address.host) {
            // A proxy would look for this host's registry on its own host.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| Failure::of(&error))?;
        Ok(Way { http, base })
    }

    fn note_allowance(&self, headers: &HeaderMap) {
        if let Some(allowance) = answer::allowance(headers) {
            *guard(&self.allowance) = Some(allowance);
        }
    }
}

fn authorize(request: &mut reqwest::Request, authorization: &str) {
    if let Ok(mut value) = header::HeaderValue::from_str(authorization) {
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
}

/// No state that a panic could leave is worse than another.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
