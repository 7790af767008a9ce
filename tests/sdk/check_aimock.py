"""Asks aimock, which fails on purpose, in each language that it speaks as an upstream.

Usage: check_aimock.py ORIGIN

Each model has two accounts there, which drop requests, send half documents, close connections and limit the rate. Whatever they
do, a client gets the whole answer or an error of its SDK, plain or streamed; never a part of it as if it were whole.
"""

import sys
import traceback

import anthropic
import openai

ORIGIN = sys.argv[1]
UPSTREAMS = ["openai", "azure", "responses", "anthropic", "gemini", "ollama", "bedrock"]
QUESTION = [{"role": "user", "content": "What does the river do?"}]
ANSWER = "The river runs past the mill."
ROUNDS = 8

chat = openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key="sk-sdk", max_retries=0, timeout=30)
messages = anthropic.Anthropic(base_url=ORIGIN, api_key="sk-sdk", max_retries=0, timeout=30)


def openai_plain(model):
    return chat.chat.completions.create(model=model, messages=QUESTION).choices[0].message.content


def openai_stream(model):
    stream = chat.chat.completions.create(model=model, messages=QUESTION, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def anthropic_plain(model):
    return messages.messages.create(model=model, max_tokens=50, messages=QUESTION).content[0].text


def anthropic_stream(model):
    with messages.messages.stream(model=model, max_tokens=50, messages=QUESTION) as stream:
        return "".join(stream.text_stream)


n_passed = n_failed = 0
for upstream in UPSTREAMS:
    n_answered = n_told = 0
    for ask in (openai_plain, openai_stream, anthropic_plain, anthropic_stream):
        for _ in range(ROUNDS):
            try:
                text = ask(f"aimock-{upstream}")
                assert text == ANSWER, (ask.__name__, text)
                n_answered += 1
            except (openai.APIError, anthropic.APIError) as error:
                assert "mill-" not in str(error), "an upstream's account is named"
                n_told += 1
            except Exception:
                traceback.print_exc()
    n_asked = ROUNDS * 4
    # Four in ten fail at each account, and a second one is asked: more than half are answered.
    is_right = n_answered + n_told == n_asked and n_answered > n_asked / 2
    n_passed += is_right
    n_failed += not is_right
    print(f"over {upstream:10} {n_answered} of {n_asked} answered, {n_told} told that it failed: {'ok' if is_right else 'FAILED'}")
print(f"aimock: {n_passed} passed, {n_failed} failed")
sys.exit(1 if n_failed else 0)
