//! A TCP proxy between two processes that delays, splits, stalls or cuts what passes through it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What happens to the bytes of all connections, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Each piece arrives later by this much.
    Delay(Duration),
    /// Bytes arrive one by one, each in a segment of its own.
    SplitBytes,
    /// Bytes vanish and the connections stay open, as behind a dead host.
    Swallow,
    /// Connections end with a reset.
    Reset,
    /// Replies are other bytes than were sent.
    Garbage,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// A running proxy; dropped, it ends with all of its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let fault = Arc::new(Mutex::new(Fault::None));

        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, Arc::clone(&fault)));
        Self {
            address,
            fault,
            _tasks: tasks,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes effect with the next bytes of every connection.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, fault: Arc<Mutex<Fault>>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let fault = Arc::clone(&fault);
        connections.spawn(async move {
            // Either end may go at any time; that is what the proxy is for.
            connect(near, target, &fault).await.ok();
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(near: TcpStream, target: SocketAddr, fault: &Mutex<Fault>) -> io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();

    let result = tokio::try_join!(
        pass(&mut near_in, &mut far_out, Way::There, fault),
        pass(&mut far_in, &mut near_out, Way::Back, fault),
    );
    if result.is_err() {
        near_in.as_ref().set_zero_linger()?;
        far_in.as_ref().set_zero_linger()?;
        // Dropped, they would say goodbye before the reset.
        near_out.forget();
        far_out.forget();
    }
    Ok(())
}

/// Copies until the end; an error means that both sides shall be reset.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    way: Way,
    fault: &Mutex<Fault>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let now = *fault.lock().unwrap_or_else(PoisonError::into_inner);
        match now {
            Fault::Garbage if way == Way::Back => to.write_all(b"\0what\xff?\r\n").await?,
            Fault::None | Fault::Garbage => to.write_all(&buffer[..count]).await?,
            Fault::Delay(delay) => {
                sleep(delay).await;
                to.write_all(&buffer[..count]).await?;
            }
            Fault::SplitBytes => {
                for byte in &buffer[..count] {
                    to.write_all(&[*byte]).await?;
                    tokio::task::yield_now().await;
                }
            }
            Fault::Swallow => {}
            Fault::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.ok();
            }
        });
        (address, tasks)
    }

    async fn ask(proxy: &Proxy) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(proxy.address()).await?;
        stream.write_all(b"hello").await?;
        let mut answer = vec![0; 5];
        timeout(Duration::from_millis(300), stream.read_exact(&mut answer)).await??;
        Ok(answer)
    }

    #[tokio::test]
    async fn bytes_pass_unharmed_whole_late_or_one_by_one() {
        let (address, _echo) = echo().await;
        let proxy = Proxy::start(address).await;

        let faults = [
            Fault::None,
            Fault::Delay(Duration::from_millis(20)),
            Fault::SplitBytes,
        ];
        for fault in faults {
            proxy.set(fault);

            assert_eq!(ask(&proxy).await.unwrap(), b"hello", "{fault:?}");
        }
    }

    #[tokio::test]
    async fn a_dead_host_is_silent_and_a_reset_is_told() {
        let (address, _echo) = echo().await;
        let proxy = Proxy::start(address).await;

        proxy.set(Fault::Swallow);
        let silent = ask(&proxy).await.unwrap_err();
        proxy.set(Fault::Reset);
        let reset = ask(&proxy).await.unwrap_err();

        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
    }
}
