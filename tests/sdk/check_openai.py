"""Asks a running router by the official OpenAI SDK, and expects what the real API answers: results and exceptions.

Usage: check_openai.py BASE_URL

Prints one line per check; exits 1 if any failed.
"""

import sys
import traceback

import openai

MODEL = "simulated"
STORED_MODEL = "simulated-responses"
REAL_MODEL = "llama"
REAL_EMBEDDINGS = "llama-embeddings"
QUESTION = [{"role": "user", "content": "What does the river do?"}]

BASE_URL = sys.argv[1]


def client(key="sk-sdk"):
    # No retries: the SDK would hide what it was told first.
    return openai.OpenAI(base_url=BASE_URL, api_key=key, max_retries=0, timeout=30)


def raised(kind, call):
    """Returns the exception of exactly this kind that `call` raises."""
    try:
        call()
    except kind as error:
        assert type(error) is kind, type(error)
        return error
    raise AssertionError(f"no {kind.__name__}")


def check_chat():
    answer = client().chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=12)
    assert answer.object == "chat.completion"
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length"), choice.finish_reason
    usage = answer.usage
    assert usage.completion_tokens == 12, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    assert answer._request_id, "the SDK shows x-request-id to its users"


def check_stream():
    chunks = list(client().chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=12, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    plain = client().chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=12)
    assert text == plain.choices[0].message.content, text
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    assert all(chunk.usage is None for chunk in chunks), "nobody asked for usage"


def check_stream_with_usage():
    options = {"include_usage": True}
    stream = client().chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=12, stream=True, stream_options=options
    )
    chunks = list(stream)
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 12, chunks[-1]
    assert all(chunk.usage is None for chunk in chunks[:-1])


def check_embeddings():
    answer = client().embeddings.create(model=MODEL, input=["river", "mill"])
    assert [item.index for item in answer.data] == [0, 1]
    assert all(isinstance(number, float) for item in answer.data for number in item.embedding)
    assert len(answer.data[0].embedding) == len(answer.data[1].embedding) > 0
    assert answer.usage.total_tokens > 0
    plain = client().embeddings.create(model=MODEL, input="river", encoding_format="float")
    assert len(plain.data[0].embedding) == len(answer.data[0].embedding)


def check_models():
    names = [model.id for model in client().models.list()]
    assert MODEL in names and REAL_MODEL in names, names
    model = client().models.retrieve(MODEL)
    assert model.object == "model" and isinstance(model.created, int), model


def check_stored_responses():
    responses = client().responses
    made = responses.create(model=STORED_MODEL, input="What does the river do?")
    assert responses.retrieve(made.id).output_text == made.output_text
    items = responses.input_items.list(made.id, order="asc", limit=1).data
    assert items[0].content[0].text == "What does the river do?", items
    next_one = responses.create(model=STORED_MODEL, input="And the mill?", previous_response_id=made.id)
    assert next_one.previous_response_id == made.id
    responses.delete(made.id)
    error = raised(openai.NotFoundError, lambda: responses.retrieve(made.id))
    assert (error.status_code, error.code) == (404, "response_not_found"), (error.status_code, error.body)


def check_background_responses():
    responses = client().responses
    begun = responses.create(model=STORED_MODEL, input="What does the river do?", background=True)
    assert begun.status == "queued" and not begun.output_text, begun
    cancelled = responses.cancel(begun.id)
    assert cancelled.status in ("cancelled", "completed"), cancelled
    stream = responses.create(model=STORED_MODEL, input="What does the river do?", background=True, stream=True)
    events = list(stream)
    again = list(responses.retrieve(events[0].response.id, stream=True, starting_after=0))
    assert [event.type for event in again] == [event.type for event in events[1:]], again
    assert again[-1].response.output_text, again[-1]


def check_input_tokens():
    for model in (STORED_MODEL, MODEL):
        count = client().responses.input_tokens.count(model=model, input="What does the river do?")
        assert count.object == "response.input_tokens" and count.input_tokens > 0, count


def check_bad_key():
    for call in (
        lambda: client("sk-wrong").chat.completions.create(model=MODEL, messages=QUESTION),
        lambda: client("sk-wrong").models.list(),
    ):
        error = raised(openai.AuthenticationError, call)
        assert (error.status_code, error.code) == (401, "invalid_api_key"), (error.status_code, error.body)


def check_unknown_model():
    error = raised(
        openai.NotFoundError, lambda: client().chat.completions.create(model="nobody", messages=QUESTION)
    )
    assert (error.status_code, error.code) == (404, "model_not_found"), (error.status_code, error.body)
    raised(openai.NotFoundError, lambda: client().models.retrieve("nobody"))


def check_over_quota():
    # A key of its own for each SDK, with one request a minute.
    major = openai.__version__.split(".")[0]
    poor = client(f"sk-poor-{major}")
    poor.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=1)
    for is_stream in (False, True):
        error = raised(
            openai.RateLimitError,
            lambda: poor.chat.completions.create(
                model=MODEL, messages=QUESTION, max_tokens=1, stream=is_stream
            ),
        )
        assert (error.status_code, error.code) == (429, "rate_limit_exceeded"), (error.status_code, error.body)
        assert float(error.response.headers["retry-after"]) > 0


def check_bad_request():
    error = raised(
        openai.BadRequestError,
        lambda: client().chat.completions.create(model=MODEL, messages="not a list"),
    )
    assert error.type == "invalid_request_error", error.body


def check_real_server_chat():
    answer = client().chat.completions.create(model=REAL_MODEL, messages=QUESTION, max_tokens=16, temperature=0)
    assert answer.choices[0].message.content, answer
    assert answer.usage.completion_tokens == 16, answer.usage


def check_real_server_stream():
    options = {"include_usage": True}
    stream = client().chat.completions.create(
        model=REAL_MODEL, messages=QUESTION, max_tokens=16, temperature=0, stream=True, stream_options=options
    )
    chunks = list(stream)
    assert any(chunk.choices and chunk.choices[0].delta.content for chunk in chunks), chunks
    assert chunks[-1].usage.completion_tokens == 16, chunks[-1]


def check_real_server_embeddings():
    for encoding in ("float", "base64"):
        answer = client().embeddings.create(
            model=REAL_EMBEDDINGS, input=["the river", "an old mill"], encoding_format=encoding
        )
        assert [item.index for item in answer.data] == [0, 1], answer
        assert answer.usage.total_tokens > 0, answer.usage
    # Without a format the SDK asks for base64 and decodes it.
    decoded = client().embeddings.create(model=REAL_EMBEDDINGS, input=["the river", "an old mill"])
    first, second = (item.embedding for item in decoded.data)
    assert len(first) == len(second) == 64 and first != second, (len(first), len(second))


CHECKS = {
    "chat": check_chat,
    "stream": check_stream,
    "stream with usage": check_stream_with_usage,
    "embeddings": check_embeddings,
    "models": check_models,
    "bad key": check_bad_key,
    "unknown model": check_unknown_model,
    "over quota": check_over_quota,
    "bad request": check_bad_request,
    "llama.cpp: chat": check_real_server_chat,
    "llama.cpp: stream": check_real_server_stream,
    "llama.cpp: embeddings": check_real_server_embeddings,
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
        print(f"openai {openai.__version__:<8} {name:<22} {outcome}", flush=True)
    print(f"openai {openai.__version__}: {len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
