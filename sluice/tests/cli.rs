//! The command line as a user meets it: exit codes, and one line where something is wrong.
#![expect(clippy::expect_used, reason = "a test harness fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

const GOOD: &str = "
providers:
  - name: local
    dialect: openai_chat
    base_url: http://127.0.0.1:1/v1
    keys: [{ name: main, secret: sk-hidden }]
models:
  - { name: demo, upstreams: [{ provider: local }] }
";

fn sluice(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments)
        .output()
        .expect("sluice starts")
}

fn file(yaml: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(yaml.as_bytes()).expect("written");
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("a Unicode path")
}

/// The one line on standard error of a command that ends with `code`.
#[track_caller]
fn complaint(output: &Output, code: i32) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(output.stdout.is_empty(), "nothing on standard output");
    complaint
}

#[test]
fn a_good_file_is_told_in_one_line() {
    let file = file(GOOD);

    let output = sluice(&["config", "check", path(&file)]);

    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!(
            "{}: fine: 1 provider, 1 key, 1 model, 0 client keys\n",
            path(&file)
        )
    );
}

#[test]
fn a_bad_file_is_refused_in_one_line_without_its_secrets() {
    let file = file(&GOOD.replace("sk-hidden", "sk-hidden, weight: -1"));

    let complaint = complaint(&sluice(&["config", "check", path(&file)]), 2);

    let expected = "`providers[0].keys[0].weight` is `-1`, but must be a positive number";
    assert!(complaint.contains(expected), "{complaint}");
    assert!(complaint.contains(path(&file)), "{complaint}");
    assert!(!complaint.contains("hidden"), "{complaint}");
}

#[test]
fn a_router_with_a_bad_configuration_exits_2() {
    let file = file(GOOD);
    let arguments = ["router", "-c", path(&file), "--state", "http://elsewhere"];

    let complaint = complaint(&sluice(&arguments), 2);

    assert!(complaint.contains("`state` is `http://…`"), "{complaint}");
}

#[test]
fn a_missing_file_is_named() {
    let complaint = complaint(&sluice(&["router", "-c", "/not/there.yaml"]), 2);

    assert!(complaint.contains("/not/there.yaml"), "{complaint}");
}

#[test]
fn the_schema_is_valid_json() {
    let output = sluice(&["config", "schema"]);

    assert_eq!(output.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(schema["properties"]["providers"].is_object());
}

#[test]
fn a_coordinator_of_nobody_is_refused_with_the_remedy() {
    let file = file(GOOD);

    let complaint = complaint(&sluice(&["coordinator", "-c", path(&file)]), 2);

    assert!(complaint.contains("`state` is `memory`"), "{complaint}");
    assert!(complaint.contains("`sluice serve`"), "{complaint}");
}

#[test]
fn bad_usage_is_told_in_one_line() {
    for (arguments, expected) in [
        (&["fly"][..], "fly"),
        (&[], "sluice demo"),
        (&["router"], "--config <FILE>"),
        (&["serve"], "--config <FILE>"),
        (&["coordinator"], "--config <FILE>"),
        (&["keys", "drain", "main"], "openai/main"),
        (&["simulate", "--error-rate", "2"], "from 0 to 1"),
        (&["simulate", "--key", "sk:cpm=1"], "cpm"),
    ] {
        let complaint = complaint(&sluice(arguments), 2);

        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for arguments in [&["--help"][..], &["--version"], &["help", "simulate"]] {
        let output = sluice(arguments);

        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn a_taken_port_names_the_flag_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("its address").to_string();
    for flag in ["--listen", "--admin-listen", "--simulator-listen"] {
        let mut arguments = vec!["demo"];
        for other in ["--listen", "--admin-listen", "--simulator-listen"] {
            let address = if other == flag {
                taken.as_str()
            } else {
                "127.0.0.1:0"
            };
            arguments.extend([other, address]);
        }

        let complaint = complaint(&sluice(&arguments), 2);

        assert!(complaint.contains(&taken), "{complaint}");
        assert!(complaint.contains(&format!("`{flag}`")), "{complaint}");
    }
}

#[test]
fn a_view_is_printed_as_a_table_or_as_it_comes() {
    const VIEW: &str = r#"{"now_ms":0,"tick":7,"epoch":0,"learning":false,"catalog_version":1,"anomalies":0,"scopes":[],
        "models":[{"name":"demo","strategy":"weighted","queued":2,"queued_by_priority":[[5,2]]}],"sessions":[]}"#;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let admin = format!("http://{}/", listener.local_addr().expect("its address"));
    let admin_port = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = String::new();
            BufReader::new(&stream)
                .read_line(&mut request)
                .expect("a request");
            assert!(request.starts_with("GET /view HTTP/1.1"), "{request}");
            let length = VIEW.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{VIEW}"
            )
            .expect("written");
        }
    });

    let table = sluice(&["view", "--admin", &admin]);
    let json = sluice(&["view", "--admin", &admin, "--json"]);

    admin_port.join().expect("two requests");
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("demo   weighted  2       5:2\n"), "{table}");
    let json = String::from_utf8_lossy(&json.stdout).into_owned();
    assert_eq!(json, format!("{VIEW}\n"));
}

#[test]
fn serve_leads_itself_takes_orders_and_ends_on_sigterm() {
    let admin = free_address();
    let listen = free_address();
    let file = file(GOOD);
    let mut serve = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["serve", "-c", path(&file)])
        .args(["--listen", &listen, "--admin-listen", &admin])
        .stderr(Stdio::null())
        .spawn()
        .expect("sluice starts");
    let url = format!("http://{admin}");
    let metrics = wait_for(&admin, "/metrics", "sluice_coordinator_is_leader 1");
    let leader = wait_for(&admin, "/leader", "\"is_me\":true");

    let drained = sluice(&["keys", "drain", "local/main", "--admin", &url]);
    let unknown = sluice(&["keys", "drain", "local/other", "--admin", &url]);
    let view = sluice(&["view", "--admin", &url]);
    let kill = Command::new("kill").arg(serve.id().to_string()).status();
    let status = serve.wait().expect("it ends");

    let drained = String::from_utf8_lossy(&drained.stdout).into_owned();
    let view = String::from_utf8_lossy(&view.stdout).into_owned();
    let unknown = complaint(&unknown, 1);
    assert!(
        metrics.contains("sluice_leases"),
        "the router's are there too"
    );
    assert!(leader.contains(&admin), "{leader}");
    assert!(drained.contains("\"admin\":\"drained\""), "{drained}");
    assert!(view.contains("drained"), "{view}");
    assert!(unknown.contains("there are local/main"), "{unknown}");
    assert!(kill.expect("kill runs").success());
    assert_eq!(status.code(), Some(0));
}

/// An address that nobody listens on.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

/// What `path` answers, once it contains `what`.
#[track_caller]
fn wait_for(admin: &str, path: &str, what: &str) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(admin) {
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"
            )
            .ok();
            stream.read_to_string(&mut answer).ok();
        }
        if answer.contains(what) {
            return answer;
        }
        assert!(Instant::now() < until, "no `{what}`: {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_view_of_nobody_names_the_flag_to_change() {
    let complaint = complaint(&sluice(&["view", "--admin", "http://127.0.0.1:1"]), 1);

    assert!(complaint.contains("http://127.0.0.1:1"), "{complaint}");
    assert!(complaint.contains("--admin"), "{complaint}");
}

#[test]
fn the_demo_prints_lines_to_try_and_ends_on_sigterm() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["demo", "--listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0"])
        .args(["--simulator-listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("sluice starts");
    let output = demo.stdout.take().expect("piped");

    let lines: Vec<String> = BufReader::new(output)
        .lines()
        .map(|line| line.expect("text"))
        .take_while(|line| !line.ends_with("/metrics"))
        .collect();
    let kill = Command::new("kill").arg(demo.id().to_string()).status();
    let status = demo.wait().expect("the demo ends");

    assert!(kill.expect("kill runs").success());
    assert_eq!(status.code(), Some(0));
    let n_requests = lines
        .iter()
        .filter(|line| line.starts_with("curl "))
        .count();
    assert_eq!(n_requests, 8, "{lines:#?}");
}
