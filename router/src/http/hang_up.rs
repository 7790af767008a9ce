//! Notices that a client has gone while its request is still being answered.
//!
//! hyper watches an idle socket by itself, but not while bytes that it has already read lie behind the request's body
//! (a stray CRLF, a pipelined request): then a client's hang-up would hold a slot until the answer ends. So the socket
//! is read ahead, into a small buffer that hyper gets later, until it ends.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{Interest, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

/// How far the socket is read ahead of hyper, per connection.
const AHEAD_MAX: usize = 16 * 1024;

/// The most that one read takes.
const READ_MAX: usize = 64 * 1024;

/// What tells that a socket is closed while unread bytes lie in it.
///
/// On Linux every interest but `ERROR` includes "the peer closed", and nobody sends urgent data here; elsewhere only
/// a reset is noticed once [`AHEAD_MAX`] is reached.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOSED: Interest = Interest::PRIORITY.add(Interest::ERROR);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOSED: Interest = Interest::ERROR;

/// The reading half of a client's socket, shared by hyper and by who watches for the hang-up.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    socket: OwnedReadHalf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Read from the socket, not yet taken by hyper.
    ahead: BytesMut,
    end: Option<End>,
    /// hyper, when it waits for bytes.
    reader: Option<Waker>,
    /// Whoever waits for room in `ahead`.
    watcher: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Failed(io::ErrorKind),
}

/// What reading ahead came to.
enum Watched {
    Ended,
    Full,
}

impl ReadAhead {
    pub(crate) fn new(socket: OwnedReadHalf) -> Self {
        Self {
            socket,
            state: Mutex::default(),
        }
    }

    /// Reads for hyper: what was read ahead first, then the socket.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if !state.ahead.is_empty() {
            let length = state.ahead.len().min(buffer.remaining());
            buffer.put_slice(&state.ahead[..length]);
            state.ahead.advance(length);
            wake(&mut state.watcher);
            return Poll::Ready(Ok(()));
        }
        match state.end {
            Some(End::Closed) => return Poll::Ready(Ok(())),
            Some(End::Failed(kind)) => return Poll::Ready(Err(kind.into())),
            None => {}
        }

        let length = buffer.remaining().min(READ_MAX);
        let space = buffer.initialize_unfilled_to(length);
        let Poll::Ready(read) = self.poll_socket(cx, space) else {
            park(&mut state.reader, cx);
            return Poll::Pending;
        };
        match read {
            Ok(0) => {
                state.end = Some(End::Closed);
                wake(&mut state.watcher);
            }
            Ok(length) => buffer.advance(length),
            Err(error) => {
                state.end = Some(End::Failed(error.kind()));
                wake(&mut state.watcher);
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Completes when the client has closed its side, or reset the connection.
    ///
    /// Half a close counts as well: no client of ours sends a request and then closes only its writing side.
    pub(crate) async fn gone(self: Arc<Self>) {
        loop {
            match poll_fn(|cx| self.poll_ahead(cx)).await {
                Watched::Ended => return,
                Watched::Full => {}
            }
            let mut closed = pin!(self.socket.ready(CLOSED));
            let is_closed = poll_fn(|cx| match closed.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending => self.poll_room(cx).map(|()| false),
            });
            if is_closed.await {
                return;
            }
        }
    }

    fn poll_ahead(&self, cx: &mut Context<'_>) -> Poll<Watched> {
        let mut state = self.state();
        loop {
            if state.end.is_some() {
                return Poll::Ready(Watched::Ended);
            }
            let length = state.ahead.len();
            if length == AHEAD_MAX {
                return Poll::Ready(Watched::Full);
            }
            let mut chunk = [0; 2048];
            let room = chunk.len().min(AHEAD_MAX - length);
            let Poll::Ready(read) = self.poll_socket(cx, &mut chunk[..room]) else {
                // hyper may end the connection's reading itself.
                park(&mut state.watcher, cx);
                return Poll::Pending;
            };
            match read {
                Ok(0) => state.end = Some(End::Closed),
                Ok(length) => state.ahead.extend_from_slice(&chunk[..length]),
                Err(error) => state.end = Some(End::Failed(error.kind())),
            }
            wake(&mut state.reader);
        }
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.ahead.len() < AHEAD_MAX || state.end.is_some() {
            return Poll::Ready(());
        }
        park(&mut state.watcher, cx);
        Poll::Pending
    }

    fn poll_socket(&self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.as_ref().poll_read_ready(cx))?;
            match self.socket.try_read(space) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    // Held only between awaits, hence a std mutex.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn park(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

fn wake(slot: &mut Option<Waker>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;

    async fn connected() -> (TcpStream, Arc<ReadAhead>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let (reader, writer) = socket.into_split();
        writer.forget();
        (client, Arc::new(ReadAhead::new(reader)))
    }

    async fn read(ahead: &ReadAhead, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut buffer = ReadBuf::new(&mut bytes);
        timeout(
            Duration::from_secs(5),
            poll_fn(|cx| ahead.poll_read(cx, &mut buffer)),
        )
        .await
        .unwrap()
        .unwrap();
        buffer.filled().to_vec()
    }

    async fn is_gone(ahead: &Arc<ReadAhead>) -> bool {
        timeout(Duration::from_millis(200), Arc::clone(ahead).gone())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_client_that_waits_is_not_gone() {
        let (_client, ahead) = connected().await;

        assert!(!is_gone(&ahead).await);
    }

    #[tokio::test]
    async fn a_client_that_closes_is_gone() {
        let (client, ahead) = connected().await;

        drop(client);

        assert!(is_gone(&ahead).await);
    }

    #[tokio::test]
    async fn a_half_close_counts_as_gone() {
        let (mut client, ahead) = connected().await;

        client.shutdown().await.unwrap();

        assert!(is_gone(&ahead).await);
    }

    #[tokio::test]
    async fn stray_bytes_before_the_close_do_not_hide_it_and_reach_hyper() {
        let (mut client, ahead) = connected().await;

        client.write_all(b"\r\n").await.unwrap();
        assert!(!is_gone(&ahead).await);
        drop(client);

        assert!(is_gone(&ahead).await);
        assert_eq!(read(&ahead, 10).await, b"\r\n");
        assert_eq!(read(&ahead, 10).await, b"");
    }

    #[tokio::test]
    async fn bytes_read_ahead_come_in_order_whatever_the_reader_asks_for() {
        let (mut client, ahead) = connected().await;
        let sent: Vec<u8> = (0..=250).cycle().take(AHEAD_MAX + 5_000).collect();

        client.write_all(&sent).await.unwrap();
        assert!(!is_gone(&ahead).await);
        let mut received = Vec::new();
        while received.len() < sent.len() {
            received.extend(read(&ahead, 777).await);
        }

        assert_eq!(received, sent);
    }

    #[tokio::test]
    async fn hyper_is_woken_for_what_the_watcher_read() {
        let (mut client, ahead) = connected().await;
        let reader = {
            let ahead = Arc::clone(&ahead);
            async move { read(&ahead, 10).await }
        };
        let mut reader = pin!(reader);
        assert!(futures_util::poll!(reader.as_mut()).is_pending());

        client.write_all(b"hello").await.unwrap();
        let watcher = Arc::clone(&ahead).gone();
        let (bytes, watched) = tokio::join!(reader, timeout(Duration::from_millis(200), watcher));

        assert_eq!(bytes, b"hello");
        assert!(watched.is_err());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_close_behind_more_than_is_read_ahead_is_noticed() {
        let (mut client, ahead) = connected().await;
        client.write_all(&vec![0; AHEAD_MAX * 4]).await.unwrap();
        assert!(!is_gone(&ahead).await);

        drop(client);

        assert!(is_gone(&ahead).await);
    }
}
