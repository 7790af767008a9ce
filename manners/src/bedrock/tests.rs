//! The expected signatures are those of Amazon's test suite (`get-vanilla`) and of botocore 1.44.5.

use std::time::{Duration, SystemTime};

use http::HeaderValue;
use http::header::AUTHORIZATION;
use shared::config::{Dialect, Manners};

use super::*;

const BODY: &[u8] = br#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#;
const KEY: &str = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn outgoing<'a>(
    secret: &'a Secret<String>,
    url: &'a str,
    body: &'a [u8],
    none: &'a HeaderMap,
) -> Outgoing<'a> {
    Outgoing {
        dialect: Dialect::BedrockConverse,
        manners: Manners::Plain,
        secret,
        url,
        body,
        client_headers: none,
        is_faithful: false,
        // 2015-08-30T12:36:00Z
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160),
    }
}

fn authorized(key: &str, url: &str) -> Result<HeaderMap, CredentialError> {
    let secret = Secret::new(key.to_owned());
    let none = HeaderMap::new();
    let mut headers = HeaderMap::new();
    authorize(&mut headers, &outgoing(&secret, url, BODY, &none))?;
    Ok(headers)
}

#[test]
fn amazons_own_sample_has_amazons_signature() {
    let secret = Secret::new(KEY.to_owned());
    let none = HeaderMap::new();
    let outgoing = outgoing(&secret, "https://example.amazonaws.com/", b"", &none);
    let credentials = credentials(&secret).unwrap();

    let signature = signature("GET", &outgoing, credentials, "us-east-1", "service").unwrap();

    let headers: Vec<_> = signature.headers().collect();
    assert_eq!(
        headers,
        [
            ("x-amz-date", "20150830T123600Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, \
                 Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
            ),
        ]
    );
}

#[track_caller]
fn check(key: &str, url: &str, authorization: &str) {
    let headers = authorized(key, url).unwrap();
    assert_eq!(headers["x-amz-date"], "20150830T123600Z");
    assert_eq!(headers[AUTHORIZATION], authorization);
    assert!(headers.values().all(HeaderValue::is_sensitive));
}

#[test]
fn requests_are_signed_as_botocore_signs_them() {
    check(
        KEY,
        "https://bedrock-runtime.eu-central-1.amazonaws.com/model/anthropic.claude-sonnet-4-20250514-v1%3A0/converse",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/bedrock/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=93e6b744fa2fa431b75603441060959ad0892e622247a9fce1aa60cf1722e55d",
    );
    check(
        KEY,
        "http://localhost:4000/aws/model/m/converse",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=ea446c428168ea60f26bf5b859da32bad596a3e0a84b5be1c65c70ef0a990689",
    );
}

#[test]
fn a_session_shows_its_token_and_signs_it() {
    let key = format!("{KEY}:AQoDYXdzEPT//////////wEXAMPLE");
    let url = "https://bedrock-runtime.us-gov-west-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-gov-west-1%3A\
               123456789012%3Ainference-profile%2Fus.anthropic.claude-3/converse-stream";

    let headers = authorized(&key, url).unwrap();

    assert_eq!(
        headers["x-amz-security-token"],
        "AQoDYXdzEPT//////////wEXAMPLE"
    );
    assert_eq!(
        headers[AUTHORIZATION],
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-gov-west-1/bedrock/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-security-token, \
         Signature=afc29c757b2dbbc5d0105deccebeae8fb6b71e990aa203c4956dd46b83fd2312"
    );
}

#[test]
fn a_key_of_bedrocks_own_is_borne() {
    let headers = authorized("ABSKQmVkcm9jaw==", "http://localhost/").unwrap();

    assert_eq!(headers.len(), 1);
    assert_eq!(headers[AUTHORIZATION], "Bearer ABSKQmVkcm9jaw==");
}

#[test]
fn half_a_key_is_refused_without_being_told() {
    for key in ["AKIDEXAMPLE:", ":secret", "::token"] {
        let refused = authorized(key, "http://localhost/");

        assert_eq!(refused, Err(CredentialError::NotAmazons), "{key}");
    }
}

#[test]
fn what_is_no_url_cannot_be_signed() {
    for url in ["", "/model/m/converse", "unix:/run/sock", "http://[::1"] {
        let refused = authorized(KEY, url);

        assert!(
            matches!(refused, Err(CredentialError::Unsignable(_))),
            "{url}"
        );
    }
}

#[track_caller]
fn check_region(host: &str, expected: &str) {
    assert_eq!(
        region(&format!("https://{host}/x")),
        Ok(expected.to_owned())
    );
}

#[test]
fn the_host_tells_the_region() {
    check_region("bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1");
    check_region(
        "bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
        "us-gov-west-1",
    );
    check_region(
        "bedrock-runtime.cn-northwest-1.amazonaws.com.cn",
        "cn-northwest-1",
    );
    check_region(
        "vpce-0a1b-us-east-1a.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com",
        "ap-southeast-2",
    );
    check_region("aws.eu-west-3.proxy.example", "eu-west-3");
    check_region("bedrock.example", "us-east-1");
    check_region("proxy-1.east-1.example:8443", "us-east-1");
    check_region("10.0.0.1", "us-east-1");
}
