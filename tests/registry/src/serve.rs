//! The server: threads, connections, and how it ends.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::fault::{Fault, On};
use crate::image::{INDEX, Image, MANIFEST};
use crate::login::Login;
use crate::route;
use crate::state::{Limit, Request, State};

/// Nobody's test needs more at once.
const MOST_CONNECTIONS: usize = 512;

/// A running registry. It ends when this is dropped.
#[derive(Debug)]
pub struct Registry {
    shared: Arc<Shared>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) address: SocketAddrV4,
    /// Where somebody listens who does not know TLS.
    pub(crate) no_tls: SocketAddrV4,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's socket, to reset it.
pub(crate) type Socket = Arc<Mutex<Option<OwnedFd>>>;

impl Registry {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When there is no port, or no thread.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let bind = || async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = listener.local_addr()?.port();
            Ok::<_, io::Error>((listener, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))
        };
        let ((listener, address), (deaf, no_tls)) =
            runtime.block_on(async { Ok::<_, io::Error>((bind().await?, bind().await?)) })?;
        let shared = Arc::new(Shared { state: Mutex::default(), address, no_tls });
        let (end, ended) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("registry".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = serve(listener, serving) => {}
                    () = answer_nonsense(deaf) => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { shared, end: Some(end), thread: Some(thread) })
    }

    /// Where it is: what stands before the names of its images.
    #[must_use]
    pub fn address(&self) -> SocketAddrV4 {
        self.shared.address
    }

    /// Has the image under this name; without a tag where it is empty.
    pub fn put(&self, repository: &str, tag: &str, image: &Image) {
        self.shared.state().repositories.entry(repository.into()).or_default().put(tag, image);
    }

    /// Has an index under this name, and gives its digest.
    pub fn put_index(&self, repository: &str, tag: &str, index: &Bytes) -> String {
        let mut state = self.shared.state();
        state.repositories.entry(repository.into()).or_default().put_manifest(Some(tag), INDEX, index)
    }

    /// Has a manifest without a name.
    pub fn put_manifest(&self, repository: &str, manifest: &Bytes) -> String {
        let mut state = self.shared.state();
        state.repositories.entry(repository.into()).or_default().put_manifest(None, MANIFEST, manifest)
    }

    /// Lets this go wrong from now on, with each request of the kind.
    pub fn fault(&self, on: On, fault: Fault) {
        self.shared.state().faults.insert(on, (fault, None));
    }

    /// Lets this go wrong so many times.
    pub fn fault_times(&self, on: On, fault: Fault, times: u32) {
        self.shared.state().faults.insert(on, (fault, Some(times)));
    }

    /// Lets nothing go wrong any more.
    pub fn heal(&self) {
        self.shared.state().faults.clear();
    }

    /// Answers 429 with `Retry-After` to more than so many requests in any such time.
    pub fn limit(&self, most: usize, window: Duration) {
        self.shared.state().limit = Some(Limit { most, window, seen: Default::default() });
    }

    /// Answers what says something about a manifest, as of OCI 1.1.
    pub fn tell_referrers(&self) {
        self.shared.state().has_referrers = true;
    }

    /// Refuses to delete anything.
    pub fn refuse_deletion(&self) {
        self.shared.state().refuses_deletion = true;
    }

    /// Takes no blob from another of its repositories.
    pub fn refuse_mounts(&self) {
        self.shared.state().refuses_mounts = true;
    }

    /// Lets nobody in from now on but this user, by tokens that are given out for a user and a password.
    pub fn ask_for_tokens(&self, user: &str, password: &str) {
        let (user, password) = (user.into(), password.into());
        let login = Login { user, password, identity: None, tokens: BTreeMap::new(), given: 0 };
        self.shared.state().login = Some(login);
    }

    /// Gives tokens to whoever holds this identity token as well, once it [asks for tokens](Self::ask_for_tokens).
    pub fn know_identity(&self, token: &str) {
        if let Some(login) = &mut self.shared.state().login {
            login.identity = Some(token.into());
        }
    }

    /// All requests until now, in the order in which they were answered.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Forgets the requests until now.
    pub fn forget(&self) {
        self.shared.state().requests.clear();
    }

    /// What a tag points to.
    #[must_use]
    pub fn tag(&self, repository: &str, tag: &str) -> Option<String> {
        self.shared.state().repositories.get(repository)?.tags.get(tag).cloned()
    }

    /// The tags of a repository.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let state = self.shared.state();
        state
            .repositories
            .get(repository)
            .map(|found| found.tags.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether a repository has a blob or a manifest.
    #[must_use]
    pub fn has(&self, repository: &str, digest: &str) -> bool {
        let state = self.shared.state();
        let found = state.repositories.get(repository);
        found.is_some_and(|found| found.blobs.contains_key(digest) || found.manifests.contains_key(digest))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                let Ok((connection, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                connections.spawn(one(connection, shared));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn one(connection: TcpStream, shared: Arc<Shared>) {
    let socket: Socket = Arc::new(Mutex::new(connection.as_fd().try_clone_to_owned().ok()));
    let in_service = Arc::clone(&socket);
    let service = service_fn(move |request| {
        let (shared, socket) = (Arc::clone(&shared), Arc::clone(&in_service));
        async move { Ok::<_, Infallible>(route::answer(shared, socket, request).await) }
    });
    let _ =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
    drop(socket);
}

/// Says what no TLS client understands.
async fn answer_nonsense(listener: TcpListener) {
    loop {
        let Ok((connection, _)) = listener.accept().await else { continue };
        let _ = connection.writable().await;
        let _ = connection.try_write(b"this is no TLS, and no HTTP either\n\n");
    }
}

/// Closes the connection, when it is closed, as one whose other end has crashed.
pub(crate) fn reset(socket: &Socket) {
    if let Some(fd) = socket.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = rustix::net::sockopt::set_socket_linger(&fd, Some(Duration::ZERO));
    }
}
