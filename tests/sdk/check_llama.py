"""Asks a llama.cpp server in each of the languages that it speaks, by clients that speak another.

Usage: check_llama.py ORIGIN

The model is random: what counts is that there is an answer, that it ends, and that its tokens are told.
"""

import sys
import traceback

import anthropic
import openai
from google import genai
from google.genai import types

ORIGIN = sys.argv[1]
MODELS = ["llama", "llama-responses", "llama-messages"]
QUESTION = "What does the river do?"

chat = openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key="sk-sdk", max_retries=0, timeout=30)
messages = anthropic.Anthropic(base_url=ORIGIN, api_key="sk-sdk", max_retries=0, timeout=30)
gemini = genai.Client(api_key="sk-sdk", http_options=types.HttpOptions(base_url=ORIGIN, timeout=30_000))


def openai_chat(model):
    answer = chat.chat.completions.create(model=model, messages=[{"role": "user", "content": QUESTION}], max_tokens=16)
    assert answer.choices[0].message.content and answer.usage.completion_tokens > 0, answer


def openai_chat_stream(model):
    stream = chat.chat.completions.create(
        model=model, messages=[{"role": "user", "content": QUESTION}], max_tokens=16, stream=True
    )
    chunks = [chunk for chunk in stream if chunk.choices]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length"), chunks[-1]


def openai_responses(model):
    # Its own events have no indexes, which the SDK's helper for streams cannot do without; they pass as they are.
    stream = chat.responses.create(model=model, input=QUESTION, max_output_tokens=16, stream=True)
    events = [event.type for event in stream]
    assert events[-1] in ("response.completed", "response.incomplete"), events[-1]
    assert "response.output_text.delta" in events, events


def anthropic_messages(model):
    question = [{"role": "user", "content": QUESTION}]
    answer = messages.messages.create(model=model, max_tokens=16, messages=question)
    assert answer.content and answer.usage.output_tokens > 0, answer
    with messages.messages.stream(model=model, max_tokens=16, messages=question) as stream:
        assert "".join(stream.text_stream)


def google_genai(model):
    config = types.GenerateContentConfig(max_output_tokens=16)
    answer = gemini.models.generate_content(model=model, contents=QUESTION, config=config)
    assert answer.text and answer.usage_metadata.candidates_token_count > 0, answer
    chunks = list(gemini.models.generate_content_stream(model=model, contents=QUESTION, config=config))
    assert "".join(chunk.text or "" for chunk in chunks)


n_failed = 0
checks = [openai_chat, openai_chat_stream, openai_responses, anthropic_messages, google_genai]
for model in MODELS:
    for check in checks:
        try:
            check(model)
            outcome = "ok"
        except Exception:
            traceback.print_exc()
            n_failed += 1
            outcome = "FAILED"
        print(f"{check.__name__:20} over {model:16} {outcome}")
print(f"llama: {len(MODELS) * len(checks) - n_failed} passed, {n_failed} failed")
sys.exit(1 if n_failed else 0)
