//! The one connection that ticks and wake-ups share, made again whenever it is lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, PushInfo, PushKind, RedisError, ServerErrorKind,
    Value,
};
use tokio::sync::mpsc;

use super::check;
use crate::ids::SessionId;
use crate::state::protocol::Mail;
use crate::state::{StateError, WakeUp, keys};

/// How long one call may take: a frozen Redis is noticed after this.
const CALL_TIMEOUT: Duration = Duration::from_millis(500);

type Listener = Arc<Mutex<Option<(SessionId, mpsc::UnboundedSender<WakeUp>)>>>;

pub(super) struct Held {
    client: Client,
    // A clone is taken out for each call; held only between awaits, hence a std mutex.
    connection: Mutex<Option<MultiplexedConnection>>,
    listener: Listener,
}

impl Held {
    pub(super) fn new(url: &str) -> Result<Self, StateError> {
        let refused = |_| StateError::Refused("`state` is not a Redis URL".into());
        let separator = if url.contains('?') { '&' } else { '?' };
        // RESP3 lets wake-ups arrive on the same connection as replies, in order.
        let client = Client::open(format!("{url}{separator}protocol=resp3")).map_err(refused)?;
        Ok(Self {
            client,
            connection: Mutex::default(),
            listener: Listener::default(),
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
                    return Err(sentence(&error));
                }
                if let Some((before, _)) = replaced {
                    // Nothing depends on it: what it still says is for a session that nobody goes by.
                    let _ = connection.unsubscribe(keys::channel(&before)).await;
                }
            }
            // Connecting subscribes.
            None => drop(self.connected().await.map_err(|error| sentence(&error))?),
        }
        Ok(())
    }

    /// Sends one command. After an error whose outcome is unknown, the connection is made anew by the next call.
    pub(super) async fn query(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut connection = self.connected().await?;
        let reply = connection
            .send_packed_command(command)
            .await
            .and_then(|value| Ok(value.extract_error()?));
        if let Err(error) = &reply
            && !matches!(error.kind(), ErrorKind::Server(ServerErrorKind::NoScript))
        {
            self.forget();
        }
        reply
    }

    fn current(&self) -> Option<MultiplexedConnection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn forget(&self) {
        *self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn connected(&self) -> Result<MultiplexedConnection, RedisError> {
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let listener = Arc::clone(&self.listener);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CALL_TIMEOUT))
            .set_response_timeout(Some(CALL_TIMEOUT))
            .set_push_sender(move |push: PushInfo| {
                pass_on(&listener, &push);
                Ok::<(), ()>(())
            });
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        check::server(&mut connection).await?;
        let listening = {
            let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
            listener.as_ref().map(|(session, _)| session.clone())
        };
        if let Some(session) = listening {
            connection.subscribe(keys::channel(&session)).await?;
        }
        *self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
        Ok(connection)
    }
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

/// What went wrong, in words that hold no secret; `Refused` where only an operator can help.
pub(super) fn sentence(error: &RedisError) -> StateError {
    match error.kind() {
        ErrorKind::AuthenticationFailed => StateError::Refused(
            "`state`: Redis refused the user or password; check them in the URL (redis://user:password@host:port)".into(),
        ),
        ErrorKind::InvalidClientConfig => StateError::Refused(format!("`state`: {error}")),
        ErrorKind::Server(ServerErrorKind::NoPerm) => StateError::Refused(format!("`state`: {}", check::acl_remedy(error))),
        ErrorKind::Client if check::is_own(error) => {
            StateError::Refused(format!("`state`: {}", error.detail().unwrap_or_default()))
        }
        _ => StateError::Away(error.to_string()),
    }
}
