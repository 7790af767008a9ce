"""Asks a router whose upstreams are llmocks that fail on purpose, then asks each llmock how the router behaved.

Usage: check_llmock.py BASE_URL VERSION NAME=PORT...

The application here is a decent one: the SDK's own retries, and a stream that breaks is asked for again. What llmock
then finds wrong is the router's doing. Prints one line per check and each verdict; exits 1 if any failed.
"""

import collections
import concurrent.futures
import itertools
import json
import random
import sys
import time
import traceback
import urllib.request

import openai

BASE_URL, VERSION = sys.argv[1:3]
PORTS = dict(pair.split("=") for pair in sys.argv[3:])

# llmock takes the same body for a retry of the same call, so each call has its own.
NUMBERS = itertools.count(1)


def client(retries):
    return openai.OpenAI(base_url=BASE_URL, api_key="sk-sdk", max_retries=retries, timeout=30)


def question(repeats=1):
    text = f"What does the river do, number {next(NUMBERS)}? "
    return [{"role": "user", "content": text * repeats}]


def at_once(call, count):
    """Makes `count` calls, four at a time, and returns their results; the first exception is raised."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: call(), range(count)))


def mostly(call, count):
    """Makes `count` calls: nearly all are answered, and where both accounts failed the caller is told how."""

    def told():
        try:
            call()
            return 200
        except openai.APIStatusError as error:
            return error.status_code

    statuses = at_once(told, count)
    answered = statuses.count(200)
    refused = sorted(status for status in statuses if status != 200)
    print(f"llmock {VERSION:<8} {answered} of {count} answered, refused: {refused}")
    assert set(refused) <= {429, 500, 502, 503}, refused
    # One call in five fails at either account, so one in twenty-five at both.
    assert answered >= 0.6 * count, refused


def check_chat():
    def call():
        answer = client(6).chat.completions.create(model="mock", messages=question())
        assert answer.choices[0].message.content and answer.choices[0].finish_reason == "stop", answer

    mostly(call, 60)


def check_embeddings():
    def call():
        text = f"river {next(NUMBERS)}"
        answer = client(6).embeddings.create(model="mock-embeddings", input=[text, "mill"])
        assert [len(item.embedding) for item in answer.data] == [1536, 1536], answer

    mostly(call, 20)


def check_stream():
    def call():
        messages = question()
        text = ""
        for chunk in client(6).chat.completions.create(model="mock", messages=messages, stream=True):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        assert text, "an empty stream"

    mostly(call, 20)


def check_broken_streams():
    """No stream that broke may look like one that ended: it raises, or it has its finish."""
    broken = []

    def attempt(messages):
        finish = None
        for chunk in client(0).chat.completions.create(model="mock-streams", messages=messages, stream=True):
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
        assert finish == "stop", f"a stream ended as if whole, with finish_reason {finish}"

    def call():
        # Echoed, it is longer than the six chunks within which llmock breaks a stream.
        messages = question(repeats=10)
        for turn in range(12):
            if turn > 0:
                time.sleep(min(0.1 * 2**turn, 2) * random.uniform(0.8, 1.2))
            try:
                return attempt(messages)
            # openai.APIError is the error event, the others are the aborted body, by the SDK's HTTP library.
            except (openai.APIError, OSError) as error:
                broken.append(type(error).__name__)
            except Exception as error:
                if not type(error).__module__.startswith("http"):
                    raise
                broken.append(type(error).__name__)
        raise AssertionError("twelve streams in a row broke")

    at_once(call, 30)
    assert broken, "llmock broke no stream: nothing was checked"
    print(f"llmock {VERSION:<8} {len(broken)} streams broke and said so: {sorted(set(broken))}")


def check_rate_limit():
    """A key of twenty requests a minute: what comes too early is told when to come back, not sent on."""

    def call():
        try:
            client(2).chat.completions.create(model="mock-limited", messages=question())
            return True
        except openai.RateLimitError as error:
            assert float(error.response.headers["retry-after"]) > 0, error.response.headers
            return False

    answered = at_once(call, 24).count(True)
    print(f"llmock {VERSION:<8} {answered} of 24 answered at 20 requests a minute")
    assert answered >= 18, answered


def asked(name, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{PORTS[name]}/_llmock/{path}", timeout=10) as answer:
        return json.load(answer)


def verdict(name, other=None):
    """Nothing wrong, not even a warning; but for calls that were given up here to go on at the `other` account."""

    def check():
        found = asked(name, "verdict")
        codes = collections.Counter(finding["code"] for finding in found["findings"])
        counts = {key: found[key] for key in ("calls", "attempts", "faults_injected", "errors", "warnings")}
        print(f"llmock {VERSION:<8} verdict of {name}: passed: {found['passed']}, {counts}, {dict(codes)}")
        # A router that reads what is left of a limit never meets it.
        assert found["faults_injected"] > 0 or name == "limited", "it injected nothing"
        assert found["calls"] > 0, "it was never asked"
        assert found["passed"], found["findings"]
        if name == "limited":
            # A 429 that asks for more patience than a request has is the client's to see; `check_rate_limit` saw that it is
            # told when to come back. There is no other account to go on at.
            assert set(codes) <= {"gave_up"}, found["findings"]
            return
        if other is None:
            assert not codes, found["findings"]
            return
        assert set(codes) <= {"gave_up"}, found["findings"]
        given_up = {number for finding in found["findings"] for number in finding["requests"]}
        seen = {each["fingerprint"] for each in asked(other, "requests")["requests"]}
        bodies = [each["fingerprint"] for each in asked(name, "requests")["requests"] if each["seq"] in given_up]
        went_on = sum(body in seen for body in bodies)
        print(f"llmock {VERSION:<8} {went_on} of {len(bodies)} calls that failed at {name} were made at {other} too")
        # The rest had no retry left in the cluster's budget.
        assert went_on >= 0.4 * len(bodies)

    return check


CHECKS = {
    "chat": check_chat,
    "embeddings": check_embeddings,
    "stream": check_stream,
    "broken streams": check_broken_streams,
    "rate limit": check_rate_limit,
    "verdict of one": verdict("one", "two"),
    "verdict of two": verdict("two", "one"),
    "verdict of streams": verdict("streams"),
    "verdict of limited": verdict("limited"),
}


def main():
    failed = 0
    for name, check in CHECKS.items():
        try:
            check()
            outcome = "ok"
        except Exception:
            failed += 1
            outcome = "FAILED"
            traceback.print_exc()
        print(f"llmock {VERSION:<8} {name:<20} {outcome}", flush=True)
    print(f"llmock {VERSION}: {len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
