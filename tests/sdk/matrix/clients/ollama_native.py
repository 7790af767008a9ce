"""Ollama's SDK."""

import importlib.metadata
import json

import httpx
import ollama

from answer import Answer

FINISHES = {"stop": "stop", "length": "length"}


class Adapter:
    ASKS_FOR_THOUGHTS = True
    VERSION = f"ollama {importlib.metadata.version('ollama')}"
    # What breaks off is told as the transport tells it.
    ERRORS = (ollama.ResponseError, httpx.HTTPError)

    def __init__(self, origin, key="sk-sdk"):
        self.origin = origin
        self.client = ollama.Client(host=origin, headers={"Authorization": f"Bearer {key}"}, timeout=20)

    def with_key(self, key):
        return type(self)(self.origin, key)

    def status(self, error):
        # An error line in a stream has none.
        status = getattr(error, "status_code", 500)
        return 500 if status < 400 else status

    def create(self, model, messages, **options):
        return self.client.chat(model=model, messages=messages, **options)

    def text_of(self, line):
        return line.message.content or ""

    def told(self, lines):
        answer = Answer()
        for line in lines:
            answer.text += self.text_of(line)
            if line.done:
                answer.finish = FINISHES[line.done_reason]
                answer.prompt_tokens = line.prompt_eval_count or 0
                answer.completion_tokens = line.eval_count or 0
        return answer

    def chat(self, model, text):
        return self.told([self.create(model, [{"role": "user", "content": text}])])

    def stream(self, model, text):
        return self.told(list(self.create(model, [{"role": "user", "content": text}], stream=True)))

    def tools(self, model, text, tools, results, is_stream):
        offered = [
            {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}
            for name, about, parameters in tools
        ]
        messages = [{"role": "user", "content": text}]
        if is_stream:
            lines = list(self.create(model, messages, tools=offered, stream=True))
        else:
            lines = [self.create(model, messages, tools=offered)]
        calls = [call for line in lines for call in line.message.tool_calls or []]
        messages.append(
            {"role": "assistant", "content": "", "tool_calls": [call.model_dump(exclude_none=True) for call in calls]}
        )
        for call in calls:
            name = call.function.name
            messages.append({"role": "tool", "content": results[name], "tool_name": name})
        final = self.create(model, messages, tools=offered)
        return [(call.function.name, dict(call.function.arguments)) for call in calls], self.told([final]).text

    def schema(self, model, text, schema):
        answer = self.create(model, [{"role": "user", "content": text}], format=schema)
        return json.loads(answer.message.content)

    def image(self, model, text, png):
        return self.told([self.create(model, [{"role": "user", "content": text, "images": [png]}])])

    def reasoning(self, model, text):
        answer = self.create(model, [{"role": "user", "content": text}], think=True)
        return answer.message.thinking or "", answer.message.content

    def embeddings(self, model, texts):
        return [list(vector) for vector in self.client.embed(model=model, input=texts).embeddings]
