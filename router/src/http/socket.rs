//! A client's socket as hyper sees it: read ahead for hang-ups, and patient only as long as it should be.
//!
//! A connection is closed in two steps, or a client that is still sending would be reset and lose its answer.
//!
//! hyper's own header time-out also runs while a kept-alive connection is idle, and nothing at all runs while it guesses
//! the HTTP version of a silent client or waits for one that does not read. These three clocks stand here instead.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::http::hang_up::ReadAhead;

/// How long a client may take for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// First byte of a request's head to its last.
    pub(crate) head: Duration,
    /// Between requests.
    pub(crate) idle: Duration,
    /// Without taking a single byte of its answer.
    pub(crate) stall: Duration,
}

/// How long a client may take to close its side after ours.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct ClientSocket {
    reader: Arc<ReadAhead>,
    writer: OwnedWriteHalf,
    activity: Arc<Activity>,
    patience: Patience,
    read_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes nothing.
    write_timer: Option<Pin<Box<Sleep>>>,
    /// Runs once our side is closed and the client's is not.
    linger: Option<Pin<Box<Sleep>>>,
}

/// Whether a connection's requests are being answered, which only the service knows and the socket has to know.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<Doing>);

#[derive(Debug)]
struct Doing {
    /// Requests being answered.
    n_active: u32,
    quiet_since: Instant,
    /// When the first byte of a head came in.
    head_since: Option<Instant>,
    /// Frames come at any time there: no head can be told apart.
    is_http2: bool,
    /// Who waits for bytes without a clock, while requests are being answered.
    reader: Option<Waker>,
}

/// A request that is being answered; over when dropped, which is when its body was sent.
#[derive(Debug)]
pub(crate) struct ActiveRequest(Arc<Activity>);

impl ClientSocket {
    pub(crate) fn new(socket: TcpStream, patience: Patience) -> Self {
        let (reader, writer) = socket.into_split();
        Self {
            reader: Arc::new(ReadAhead::new(reader)),
            writer,
            activity: Arc::new(Activity(Mutex::new(Doing {
                n_active: 0,
                quiet_since: Instant::now(),
                head_since: None,
                is_http2: false,
                reader: None,
            }))),
            patience,
            read_timer: None,
            write_timer: None,
            linger: None,
        }
    }

    pub(crate) fn reader(&self) -> Arc<ReadAhead> {
        Arc::clone(&self.reader)
    }

    pub(crate) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    fn poll_write_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let stall = self.patience.stall;
        let timer = self
            .write_timer
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + stall)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes nothing of its answer",
        ))
    }

    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(written) => {
                self.write_timer = None;
                Poll::Ready(written)
            }
            Poll::Pending => self.poll_write_stall(cx).map(Err),
        }
    }
}

impl Activity {
    pub(crate) fn begin(self: Arc<Self>, is_http2: bool) -> ActiveRequest {
        let mut doing = self.doing();
        doing.n_active += 1;
        doing.head_since = None;
        doing.is_http2 = is_http2;
        drop(doing);
        ActiveRequest(self)
    }

    fn received(&self) {
        let mut doing = self.doing();
        if doing.n_active == 0 && !doing.is_http2 && doing.head_since.is_none() {
            doing.head_since = Some(Instant::now());
        }
    }

    /// Until when the next bytes must have come; pending while a request is being answered.
    fn poll_deadline(&self, patience: &Patience, cx: &Context<'_>) -> Poll<Instant> {
        let mut doing = self.doing();
        if doing.n_active > 0 {
            match &mut doing.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                None => doing.reader = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        Poll::Ready(match doing.head_since {
            Some(head_since) => head_since + patience.head,
            None => doing.quiet_since + patience.idle,
        })
    }

    // Held only between awaits, hence a std mutex.
    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let mut doing = self.0.doing();
        doing.n_active -= 1;
        if doing.n_active == 0 {
            doing.quiet_since = Instant::now();
            // The clock starts now.
            if let Some(reader) = doing.reader.take() {
                reader.wake();
            }
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n_before = buffer.filled().len();
        if let Poll::Ready(read) = self.reader.poll_read(cx, buffer) {
            if buffer.filled().len() > n_before {
                self.activity.received();
            }
            return Poll::Ready(read);
        }

        let deadline = ready!(self.activity.poll_deadline(&self.patience, cx));
        let timer = self
            .read_timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "no request came in time",
        )))
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.writer).poll_write(cx, bytes);
        self.poll_written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.writer).poll_write_vectored(cx, slices);
        self.poll_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.writer).poll_shutdown(cx))?;
            self.linger = Some(Box::pin(sleep_until(Instant::now() + LINGER)));
        }
        loop {
            let mut thrown_away = [0; 4096];
            let mut buffer = ReadBuf::new(&mut thrown_away);
            match self.reader.poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        if let Some(linger) = &mut self.linger {
            ready!(linger.as_mut().poll(cx));
        }
        Poll::Ready(Ok(()))
    }
}
