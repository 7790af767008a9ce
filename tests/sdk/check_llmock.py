"""Asks a router whose upstreams are llmocks that fail on purpose, then asks each llmock how the router behaved.

Usage: check_llmock.py BASE_URL VERSION NAME=PORT...

The application here is a decent one: the SDK's own retries, and a stream that breaks is asked for again. What llmock
then finds wrong is the router's doing. Prints one line per check and each verdict; exits 1 if any failed.
"""

import concurrent.futures
import itertools
import json
import sys
import traceback
import urllib.request

import openai

BASE_URL, VERSION = sys.argv[1:3]
PORTS = dict(pair.split("=") for pair in sys.argv[3:])

# llmock takes the same body for a retry of the same call, so each call has its own.
NUMBERS = itertools.count(1)


def client(retries):
    return openai.OpenAI(base_url=BASE_URL, api_key="sk-sdk", max_retries=retries, timeout=30)


def question():
    return [{"role": "user", "content": f"What does the river do, number {next(NUMBERS)}?"}]


def at_once(call, count):
    """Makes `count` calls, four at a time, and returns their results; the first exception is raised."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: call(), range(count)))


def check_chat():
    def call():
        answer = client(6).chat.completions.create(model="mock", messages=question())
        assert answer.choices[0].message.content and answer.choices[0].finish_reason == "stop", answer

    at_once(call, 60)


def check_embeddings():
    def call():
        text = f"river {next(NUMBERS)}"
        answer = client(6).embeddings.create(model="mock-embeddings", input=[text, "mill"])
        assert [len(item.embedding) for item in answer.data] == [1536, 1536], answer

    at_once(call, 20)


def check_stream():
    def call():
        messages = question()
        text = ""
        for chunk in client(6).chat.completions.create(model="mock", messages=messages, stream=True):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        assert text, "an empty stream"

    at_once(call, 20)


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
        messages = question()
        for _ in range(8):
            try:
                return attempt(messages)
            # openai.APIError is the error event, the others are the aborted body, by the SDK's HTTP library.
            except (openai.APIError, OSError) as error:
                broken.append(type(error).__name__)
            except Exception as error:
                if not type(error).__module__.startswith("http"):
                    raise
                broken.append(type(error).__name__)
        raise AssertionError("eight streams in a row broke")

    at_once(call, 30)
    assert broken, "llmock broke no stream: nothing was checked"
    print(f"llmock {VERSION:<8} {len(broken)} streams broke and said so: {sorted(set(broken))}")


def check_rate_limit():
    """A key of twenty requests a minute: what comes too early waits or is told how long to."""

    def call():
        client(8).chat.completions.create(model="mock-limited", messages=question())

    at_once(call, 24)


def verdict(name):
    def check():
        base = f"http://127.0.0.1:{PORTS[name]}/_llmock/verdict"
        with urllib.request.urlopen(f"{base}?format=text", timeout=10) as answer:
            print(answer.read().decode().rstrip())
        with urllib.request.urlopen(base, timeout=10) as answer:
            found = json.load(answer)
        assert found["calls"] > 0, "it was never asked"
        assert found["faults_injected"] > 0, "it injected nothing"
        assert found["passed"], [finding for finding in found["findings"] if finding["severity"] == "error"]

    return check


CHECKS = {
    "chat": check_chat,
    "embeddings": check_embeddings,
    "stream": check_stream,
    "broken streams": check_broken_streams,
    "rate limit": check_rate_limit,
    "verdict of one": verdict("one"),
    "verdict of two": verdict("two"),
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
