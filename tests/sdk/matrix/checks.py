"""What every SDK is asked over every upstream, and what it must see.

An adapter is one SDK's way to ask; see `clients`. A check returns nothing and raises what went wrong.
"""

QUESTION = "What does the river do?"
REPEATED = "repeat after me: the mill stands still"
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TOOLS = [
    ("weather", "The weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
    ("clock", "The time in a city", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
]
RESULTS = {"weather": "sunny", "clock": "noon"}
# One red point.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


def chat(adapter, model):
    answer = adapter.chat(model, REPEATED)
    assert answer.text == "the mill stands still", answer
    assert answer.finish == "stop", answer
    assert answer.prompt_tokens > 0 and answer.completion_tokens > 0, answer


def stream(adapter, model):
    answer = adapter.stream(model, REPEATED)
    assert answer.text == "the mill stands still", answer
    assert answer.finish == "stop", answer
    assert answer.prompt_tokens > 0 and answer.completion_tokens > 0, answer


def tools(adapter, model):
    for is_stream in (False, True):
        calls, final = adapter.tools(model, "Please call two tools at once.", TOOLS, RESULTS, is_stream)
        assert [name for name, _ in calls] == ["weather", "clock"], (is_stream, calls)
        assert all(isinstance(arguments.get("city"), str) for _, arguments in calls), calls
        assert "tools said" in final and "sunny" in final and "noon" in final, (is_stream, final)


def schema(adapter, model):
    value = adapter.schema(model, "Who lives in the mill?", SCHEMA)
    assert isinstance(value["name"], str) and isinstance(value["age"], int), value


def image(adapter, model):
    answer = adapter.image(model, "What is in the picture?", PNG)
    assert answer.text.startswith("saw 1 image"), answer


def reasoning(adapter, model):
    thoughts, text = adapter.reasoning(model, REPEATED)
    assert text == "the mill stands still", (thoughts, text)
    # OpenAI's chats show them to nobody, and their clients have no way to ask for them.
    is_shown = adapter.ASKS_FOR_THOUGHTS and model not in ("openai", "azure")
    assert "thinking" in thoughts if is_shown else thoughts in ("", "thinking about it"), (thoughts, text)


def embeddings(adapter, model):
    vectors = adapter.embeddings(model, ["river", "mill"])
    assert len(vectors) == 2 and len(vectors[0]) == len(vectors[1]) > 0, vectors
    assert all(isinstance(number, float) for vector in vectors for number in vector)
    assert vectors[0] != vectors[1]


def errors(adapter, model):
    """The router's own refusals, and an upstream's."""
    for wanted, call in (
        (404, lambda: adapter.chat("no-such-model", QUESTION)),
        (401, lambda: adapter.with_key("sk-wrong").chat(model, QUESTION)),
        (429, lambda: adapter.chat(f"{model}-limited", QUESTION)),
        (429, lambda: adapter.stream(f"{model}-limited", QUESTION)),
    ):
        error = raised(adapter, call)
        assert adapter.status(error) == wanted, (wanted, error)


def broken_stream(fault):
    """A stream that does not come to its end must raise, after what had come."""

    def check(adapter, model):
        raised(adapter, lambda: adapter.stream(f"{model}-{fault}", QUESTION))

    return check


def error_under_200(adapter, model):
    for call in (
        lambda: adapter.chat(f"{model}-error200", QUESTION),
        lambda: adapter.stream(f"{model}-error200", QUESTION),
    ):
        error = raised(adapter, call)
        assert adapter.status(error) >= 500, error


def encoded(encoding):
    def check(adapter, model):
        assert adapter.chat(f"{model}-{encoding}", REPEATED).text == "the mill stands still"
        assert adapter.stream(f"{model}-{encoding}", REPEATED).text == "the mill stands still"

    return check


CHECKS = {
    "chat": chat,
    "stream": stream,
    "tools": tools,
    "schema": schema,
    "image": image,
    "reasoning": reasoning,
    "embeddings": embeddings,
    "errors": errors,
    "cut": broken_stream("cut"),
    "eof": broken_stream("eof"),
    "stall": broken_stream("stall"),
    "garbage": broken_stream("garbage"),
    "error200": error_under_200,
    "gzip": encoded("gzip"),
    "br": encoded("brotli"),
}


def raised(adapter, call):
    """The exception that `call` raises, of the SDK's own kinds."""
    try:
        outcome = call()
    except adapter.ERRORS as error:
        return error
    raise AssertionError(f"no error, but {outcome!r}")
