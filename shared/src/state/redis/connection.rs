//! The one connection that ticks and wake-ups share, made again whenever it is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ErrorKind, PushInfo,
    PushKind, RedisError, ServerErrorKind, TlsCertificates, Value,
};
use tokio::sync::mpsc;

use super::check;
use super::faults::{is_helped_by_reconnecting, not_tls, trouble_of};
use crate::config::StateTls;
use crate::ids::SessionId;
use crate::secret::Secret;
use crate::state::protocol::Mail;
use crate::state::trouble::{Cause, Trouble};
use crate::state::{StateError, WakeUp, keys};

/// How long one call may take: a frozen Redis is noticed after this.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_millis(500);

type Listener = Arc<Mutex<Option<(SessionId, mpsc::UnboundedSender<WakeUp>)>>>;

pub(super) struct Held {
    client: Client,
    // A clone is taken out for each call; held only between awaits, hence a std mutex.
    connection: Mutex<Option<MultiplexedConnection>>,
    listener: Listener,
    /// It has answered before: a server that is silent now is away, and no other than was meant.
    has_answered: AtomicBool,
    /// How long a call may take.
    patience: Duration,
}

/// A client of `url`, which trusts what `tls` says; nothing is sent yet.
///
/// The certificate of a `rediss://` server is always checked, and nothing goes unencrypted in its place.
pub(super) fn client(url: &str, tls: &StateTls) -> Result<Client, StateError> {
    let refused = |_| StateError::Refused("`state` is not a Redis URL".into());
    if !url.starts_with("rediss://") {
        return Client::open(url).map_err(refused);
    }
    let StateTls {
        ca,
        certificate,
        key,
    } = tls;
    let bytes = |pem: &Secret<String>| pem.expose().clone().into_bytes();
    let client_tls = certificate.as_ref().zip(key.as_ref());
    let certificates = TlsCertificates {
        client_tls: client_tls.map(|(certificate, key)| ClientTlsConfig {
            client_cert: bytes(certificate),
            client_key: bytes(key),
        }),
        root_cert: ca.as_ref().map(bytes),
    };
    Client::build_with_tls(url, certificates).map_err(|error| {
        StateError::Refused(Trouble::new(Cause::Tls, format!("`state_tls`: {error}")))
    })
}

impl Held {
    pub(super) fn new(url: &str, tls: &StateTls, patience: Duration) -> Result<Self, StateError> {
        let separator = if url.contains('?') { '&' } else { '?' };
        // RESP3 lets wake-ups arrive on the same connection as replies, in order.
        Ok(Self {
            client: client(&format!("{url}{separator}protocol=resp3"), tls)?,
            connection: Mutex::default(),
            listener: Listener::default(),
            has_answered: AtomicBool::new(false),
            patience,
        })
    }

    /// Has this connection, and every one after it, pass on what is posted to `session`.
    pub(super) async fn listen(
        &self,
        session: &SessionId,
        wake_ups: &mpsc::UnboundedSender<WakeUp>,
    ) -> Result<(), StateError> {
        let replaced = {
            let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
            listener.replace((session.clone(), wake_ups.clone()))
        };
        if replaced
            .as_ref()
            .is_some_and(|(before, _)| before == session)
            && self.current().is_some()
        {
            return Ok(());
        }
        match self.current() {
            Some(mut connection) => {
                let subscribed = connection.subscribe(keys::channel(session)).await;
                if let Err(error) = subscribed {
                    self.forget();
                    return Err(trouble_of(&error));
                }
                if let Some((before, _)) = replaced {
                    // Nothing depends on it: what it still says is for a session that nobody goes by.
                    let _ = connection.unsubscribe(keys::channel(&before)).await;
                }
            }
            // Connecting subscribes.
            None => drop(self.connected().await?),
        }
        Ok(())
    }

    /// Sends one command. After an error whose outcome is unknown, the connection is made anew by the next call.
    ///
    /// The inner error is that of the command itself, where the connection has stood.
    pub(super) async fn query(
        &self,
        command: &Cmd,
    ) -> Result<Result<Value, RedisError>, StateError> {
        let mut connection = self.connected().await?;
        let reply = connection
            .send_packed_command(command)
            .await
            .and_then(Value::extract_error);
        if let Err(error) = &reply
            && !is_missing_script(error)
            && is_helped_by_reconnecting(error)
        {
            self.forget();
        }
        Ok(reply)
    }

    fn current(&self) -> Option<MultiplexedConnection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Has the next call make a connection of its own.
    pub(super) fn forget(&self) {
        *self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn connected(&self) -> Result<MultiplexedConnection, StateError> {
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let listener = Arc::clone(&self.listener);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience))
            .set_response_timeout(Some(self.patience))
            .set_push_sender(move |push: PushInfo| {
                pass_on(&listener, &push);
                Ok::<(), ()>(())
            });
        let mut connection = match self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
        {
            Ok(connection) => connection,
            Err(error) => return Err(self.why_not_connected(&error).await),
        };
        check::server(&mut connection).await?;
        self.has_answered.store(true, Ordering::Relaxed);
        let listening = {
            let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
            listener.as_ref().map(|(session, _)| session.clone())
        };
        if let Some(session) = listening {
            let subscribed = connection.subscribe(keys::channel(&session)).await;
            subscribed.map_err(|error| trouble_of(&error))?;
        }
        *self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
        Ok(connection)
    }

    /// What only a closer look tells: a server without TLS is silent to the greeting of one that wants it, and one without
    /// a free connection hangs up.
    async fn why_not_connected(&self, error: &RedisError) -> StateError {
        let told = trouble_of(error);
        let is_first = !self.has_answered.load(Ordering::Relaxed);
        match (
            self.client.get_connection_info().addr(),
            told.trouble().cause,
        ) {
            (ConnectionAddr::TcpTls { host, port, .. }, Cause::Timeout)
                if is_first && check::speaks_plainly(host, *port).await =>
            {
                let sentence = format!("`state`: {}", not_tls());
                StateError::Refused(Trouble::new(Cause::Tls, sentence))
            }
            (ConnectionAddr::Tcp(host, port), Cause::Dropped)
                if check::has_too_many_clients(host, *port).await =>
            {
                let sentence = "Redis has no connection left: raise its `maxclients`";
                StateError::Away(Trouble::new(Cause::MaxClients, sentence))
            }
            _ => told,
        }
    }
}

pub(super) fn is_missing_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn pass_on(listener: &Listener, push: &PushInfo) {
    let (PushKind::Message, [Value::BulkString(channel), Value::BulkString(message)]) =
        (&push.kind, &push.data[..])
    else {
        return;
    };
    let session = std::str::from_utf8(channel).ok().and_then(keys::session_of);
    let (Some(session), Ok(mail)) = (session, rmp_serde::from_slice::<Mail>(message)) else {
        return;
    };
    let listener = listener.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((listening, wake_ups)) = listener.as_ref()
        && *listening == session
    {
        // Nobody listens any more: the mailbox still holds it.
        let _ = wake_ups.send((session, mail));
    }
}
