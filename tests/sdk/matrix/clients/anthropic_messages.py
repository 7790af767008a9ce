"""Anthropic's SDK."""

import json

import anthropic
import httpx

from answer import Answer, Unable

FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tools",
    "refusal": "filtered",
}


class Adapter:
    ASKS_FOR_THOUGHTS = True
    VERSION = f"anthropic {anthropic.__version__}"
    # A broken-off body is told as the transport tells it.
    ERRORS = (anthropic.APIError, httpx.HTTPError)

    def __init__(self, origin, key="sk-sdk"):
        self.origin = origin
        self.client = anthropic.Anthropic(base_url=origin, api_key=key, max_retries=0, timeout=20)

    def with_key(self, key):
        return type(self)(self.origin, key)

    def status(self, error):
        return error.status_code if isinstance(error, anthropic.APIStatusError) else 500

    def create(self, model, messages, **options):
        options = {"max_tokens": 400, **options}
        return self.client.messages.create(model=model, messages=messages, **options)

    def finished(self, model, messages, **options):
        options = {"max_tokens": 400, **options}
        with self.client.messages.stream(model=model, messages=messages, **options) as stream:
            for _ in stream:
                pass
            return stream.get_final_message()

    def told(self, message):
        text = "".join(block.text for block in message.content if block.type == "text")
        usage = message.usage
        return Answer(text, FINISHES[message.stop_reason], usage.input_tokens, usage.output_tokens)

    def chat(self, model, text):
        return self.told(self.create(model, [{"role": "user", "content": text}]))

    def stream(self, model, text):
        return self.told(self.finished(model, [{"role": "user", "content": text}]))

    def tools(self, model, text, tools, results, is_stream):
        offered = [
            {"name": name, "description": about, "input_schema": parameters} for name, about, parameters in tools
        ]
        messages = [{"role": "user", "content": text}]
        ask = self.finished if is_stream else self.create
        message = ask(model, messages, tools=offered)
        assert message.stop_reason == "tool_use", message
        calls = [block for block in message.content if block.type == "tool_use"]
        messages.append(
            {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]}
        )
        answers = [
            {"type": "tool_result", "tool_use_id": call.id, "content": results[call.name]} for call in calls
        ]
        messages.append({"role": "user", "content": answers})
        final = self.create(model, messages, tools=offered)
        return [(call.name, dict(call.input)) for call in calls], self.told(final).text

    def schema(self, model, text, schema):
        wanted = {"format": {"type": "json_schema", "schema": schema}}
        # Older SDKs have no such parameter, the API has.
        message = self.create(model, [{"role": "user", "content": text}], extra_body={"output_config": wanted})
        return json.loads(self.told(message).text)

    def image(self, model, text, png):
        content = [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}},
            {"type": "text", "text": text},
        ]
        return self.told(self.create(model, [{"role": "user", "content": content}]))

    def reasoning(self, model, text):
        message = self.create(
            model,
            [{"role": "user", "content": text}],
            max_tokens=4000,
            thinking={"type": "enabled", "budget_tokens": 1024},
        )
        thoughts = "".join(block.thinking for block in message.content if block.type == "thinking")
        return thoughts, self.told(message).text

    def embeddings(self, model, texts):
        raise Unable("Anthropic makes none")
