//! A relay on the loopback that counts what goes through it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

/// A relay to one address. Its threads end with this process.
#[derive(Debug)]
pub(super) struct Counter {
    address: SocketAddrV4,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    there: AtomicU64,
    back: AtomicU64,
}

impl Counter {
    pub(super) fn start(to: SocketAddrV4) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
        let port = listener.local_addr().context("a listener has an address")?.port();
        let counts = Arc::new(Counts::default());
        let counting = Arc::clone(&counts);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(to) else { continue };
                relay(&client, &server, Arc::clone(&counting), |counts| &counts.there);
                relay(&server, &client, Arc::clone(&counting), |counts| &counts.back);
            }
        });
        Ok(Self { address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), counts })
    }

    pub(super) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Bytes to the address, and back.
    pub(super) fn counted(&self) -> (u64, u64) {
        (self.counts.there.load(Ordering::SeqCst), self.counts.back.load(Ordering::SeqCst))
    }
}

fn relay(from: &TcpStream, to: &TcpStream, counts: Arc<Counts>, of: fn(&Counts) -> &AtomicU64) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            of(&counts).fetch_add(read as u64, Ordering::SeqCst);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
