//! Ports for the processes of a test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the kernel takes the ports of outgoing connections: else a client's connection could
/// sit on the port of a process that is being restarted.
const FIRST: u16 = 13_000;
const COUNT: u16 = 18_000;

static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A loopback address that nobody listens on, and that no other caller of this process gets.
pub fn free_address() -> SocketAddr {
    let start = u16::try_from(std::process::id() * 61 % u32::from(COUNT)).expect("below COUNT");
    for _ in 0..COUNT {
        let step = GIVEN.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + (start + step) % COUNT));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}
