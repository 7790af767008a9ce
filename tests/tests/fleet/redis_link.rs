//! How a router gets to its Redis: what it refuses at start, with cause and remedy, and what it accepts.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use shared::state::redis::ACL_RIGHTS;
use tests::client::Request;
use tests::figures::row;
use tests::fleet::binary;
use tests::redis::Redis;
use tests::{Process, free_address};
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "hidden-word";

/// What became of a router that was started against a Redis.
#[derive(Debug, PartialEq, Eq)]
enum Started {
    Ready,
    /// With status 2 and these words.
    Refused(String),
    /// It keeps trying, and says so.
    Waiting(String),
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_way_to_redis_is_refused_with_its_cause_and_never_shows_the_password() {
    let directory = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(directory.path());
    let secure = certificates.redis(directory.path(), "server", "no").await;
    let expired = certificates.redis(directory.path(), "expired", "no").await;
    let mutual = certificates.redis(directory.path(), "server", "yes").await;
    let plain = Redis::start(subdirectory(directory.path(), "plain")).await;
    plain
        .must(&[
            "ACL",
            "SETUSER",
            "few",
            "on",
            ">hidden-word",
            "~sluice:1:*",
            "&sluice:1:*",
            "+@all",
            "-eval",
            "-evalsha",
        ])
        .await;
    plain
        .must(&[
            "ACL",
            "SETUSER",
            "fewer",
            "on",
            ">hidden-word",
            "~sluice:1:*",
            "&sluice:1:*",
            "+@all",
            "-zadd",
        ])
        .await;
    let all: Vec<&str> = ["ACL", "SETUSER", "own", "on", ">hidden-word"]
        .into_iter()
        .chain(ACL_RIGHTS.split_whitespace())
        .collect();
    plain.must(&all).await;
    let evicting = Redis::start_with(
        subdirectory(directory.path(), "evicting"),
        &["--maxmemory-policy", "allkeys-lru"],
    )
    .await;
    let cluster = Redis::start_with(
        subdirectory(directory.path(), "cluster"),
        &["--cluster-enabled", "yes"],
    )
    .await;
    let ca = json!({ "ca": format!("file:{}", certificates.path("ca.pem")) });
    let other = json!({ "ca": format!("file:{}", certificates.path("other.pem")) });
    let own = json!({
        "ca": ca["ca"],
        "certificate": format!("file:{}", certificates.path("server.pem")),
        "key": format!("file:{}", certificates.path("server.key")),
    });
    let at = |scheme: &str, user: &str, redis: &Redis, port: u16, database: u32| {
        format!(
            "{scheme}://{user}{PASSWORD}@{}:{port}/{database}",
            redis.address().ip()
        )
    };
    let plain_port = plain.address().port();

    let cases: Vec<(&str, String, &Value, Result<(), &str>)> = vec![
        ("private authority", tls(&secure), &ca, Ok(())),
        (
            "authority of the system",
            tls(&secure),
            &Value::Null,
            Err("not trusted (UnknownIssuer); give the authority that signed it as `state_tls.ca`"),
        ),
        (
            "wrong authority",
            tls(&secure),
            &other,
            Err("`state_tls.ca`"),
        ),
        (
            "expired certificate",
            tls(&expired),
            &ca,
            Err("has expired; renew it"),
        ),
        ("client certificate", tls(&mutual), &own, Ok(())),
        (
            "no client certificate",
            tls(&mutual),
            &ca,
            Err("`state_tls.certificate`"),
        ),
        (
            "server without TLS",
            at("rediss", ":", &plain, plain_port, 0),
            &ca,
            Err("does not speak TLS on this port"),
        ),
        (
            "own user with the documented rights",
            at("redis", "own:", &plain, plain_port, 0),
            &Value::Null,
            Ok(()),
        ),
        (
            "user without EVALSHA",
            at("redis", "few:", &plain, plain_port, 0),
            &Value::Null,
            Err("grant it: ACL SETUSER <name> ~sluice:1:*"),
        ),
        (
            "user without ZADD",
            at("redis", "fewer:", &plain, plain_port, 0),
            &Value::Null,
            Err("(ZADD); grant it"),
        ),
        (
            "wrong password",
            at("redis", "own:not-", &plain, plain_port, 0),
            &Value::Null,
            Err("refused the user or password"),
        ),
        (
            "wrong database",
            format!("redis://{}/99", plain.address()),
            &Value::Null,
            Err("DB index is out of range"),
        ),
        (
            "eviction",
            format!("redis://{}/0", evicting.address()),
            &Value::Null,
            Err("CONFIG SET maxmemory-policy noeviction"),
        ),
        (
            "cluster",
            format!("redis://{}/0", cluster.address()),
            &Value::Null,
            Err("cluster-enabled no"),
        ),
    ];
    let n_cases = cases.len();
    let mut wrong = Vec::new();
    let mut slowest = Duration::ZERO;
    for (number, (what, url, tls, expected)) in cases.into_iter().enumerate() {
        let place = subdirectory(directory.path(), &format!("router-{number}"));
        let began = Instant::now();
        let started = start(&place, &url, tls).await;
        slowest = slowest.max(began.elapsed());
        let is_right = match (&started, expected) {
            (Started::Ready, Ok(())) => true,
            (Started::Refused(words), Err(expected)) => {
                words.contains(expected) && !words.contains(PASSWORD)
            }
            (Started::Ready | Started::Refused(_) | Started::Waiting(_), _) => false,
        };
        if !is_right {
            wrong.push((what, started, expected));
        }
    }
    row(
        24,
        format!(
            "{} of {n_cases} starts as they should be, slowest {slowest:.2?}",
            n_cases - wrong.len()
        ),
        format!("{n_cases}, no password shown"),
    );
    assert!(wrong.is_empty(), "{wrong:#?}");

    // It may be promoted any moment, so a router waits for it.
    plain.must(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let place = subdirectory(directory.path(), "replica");
    let waiting = start(
        &place,
        &format!("redis://{}/0", plain.address()),
        &Value::Null,
    )
    .await;
    let Started::Waiting(words) = waiting else {
        panic!("{waiting:?}");
    };
    assert!(words.contains("replica of 127.0.0.1:1"), "{words}");
}

fn tls(redis: &SecureRedis) -> String {
    format!("rediss://:@127.0.0.1:{}/0", redis.port)
}

struct SecureRedis {
    port: u16,
    _redis: Redis,
}

/// Certificates of one authority for 127.0.0.1, a good one and an expired one, and another authority.
struct Certificates(std::path::PathBuf);

impl Certificates {
    fn make(directory: &Path) -> Self {
        let place = subdirectory(directory, "certificates");
        let script = "
            set -eu
            new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
            openssl req -x509 $new -keyout ca.key -out ca.pem -days 30 -subj '/CN=ca'
            openssl req -x509 $new -keyout other.key -out other.pem -days 30 -subj '/CN=other'
            openssl req $new -keyout server.key -out server.csr -subj '/CN=localhost'
            cp server.key expired.key
            printf 'subjectAltName=IP:127.0.0.1' > names
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.pem
            touch index
            printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index\\nnew_certs_dir=.\\nrand_serial=yes\\npolicy=p\\n[p]\\ncommonName=supplied\\n' > ca.conf
            openssl ca -batch -notext -config ca.conf -cert ca.pem -keyfile ca.key -md sha256 -extfile names \\
                -startdate 20200101000000Z -enddate 20200201000000Z -in server.csr -out expired.pem
        ";
        let made = Command::new("sh")
            .args(["-c", script])
            .current_dir(&place)
            .output()
            .expect("sh runs");
        assert!(
            made.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Self(place)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    async fn redis(&self, directory: &Path, certificate: &str, asks_clients: &str) -> SecureRedis {
        let port = free_address().port();
        let place = subdirectory(directory, &format!("{certificate}-{asks_clients}"));
        let flags = [
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &self.path(&format!("{certificate}.pem")),
            "--tls-key-file",
            &self.path(&format!("{certificate}.key")),
            "--tls-ca-cert-file",
            &self.path("ca.pem"),
            "--tls-auth-clients",
            asks_clients,
        ];
        SecureRedis {
            port,
            _redis: Redis::start_with(place, &flags).await,
        }
    }
}

/// Starts a router on `url`, and sees within a few seconds what becomes of it.
async fn start(directory: &Path, url: &str, tls: &Value) -> Started {
    let (listen, admin) = (free_address(), free_address());
    let mut config = json!({
        "listen": listen,
        "admin_listen": admin,
        "state": url,
        "providers": [{
            "name": "nobody",
            "dialect": "openai_chat",
            "base_url": "http://127.0.0.1:1/v1",
            "keys": [{ "name": "only", "secret": "only" }],
        }],
        "models": [{ "name": "tiny", "upstreams": [{ "provider": "nobody" }] }],
        "telemetry": { "log": "json", "level": "warn" },
    });
    if !tls.is_null() {
        config["state_tls"] = tls.clone();
    }
    let path = directory.join("sluice.yaml");
    std::fs::write(&path, format!("{config:#}")).unwrap();
    let mut router = Process::start(
        "router",
        Command::new(binary()).arg("router").arg("-c").arg(path),
        directory,
    );
    let deadline = Instant::now() + Duration::from_secs(6);
    loop {
        if let Some(status) = router.exit_status() {
            assert_eq!(status.code(), Some(2), "{}", router.errors());
            return Started::Refused(router.errors());
        }
        let ready = Request::get("/readyz").send(listen).await;
        if ready.is_ok_and(|answer| answer.status == 200) {
            return Started::Ready;
        }
        if Instant::now() >= deadline {
            return Started::Waiting(router.output() + &router.errors());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn subdirectory(directory: &Path, name: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::create_dir(&path).unwrap();
    path
}
