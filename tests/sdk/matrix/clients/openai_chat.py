"""OpenAI's SDK, chat completions."""

import json

import openai

from answer import Answer

FINISHES = {"stop": "stop", "length": "length", "tool_calls": "tools", "content_filter": "filtered"}


class Adapter:
    ASKS_FOR_THOUGHTS = False
    VERSION = f"openai {openai.__version__}"
    # A garbage line that passes byte for byte is the SDK's to find: it raises what its JSON reader does.
    ERRORS = (openai.APIError, json.JSONDecodeError)

    def __init__(self, origin, key="sk-sdk"):
        self.origin = origin
        self.client = openai.OpenAI(base_url=f"{origin}/v1", api_key=key, max_retries=0, timeout=20)

    def with_key(self, key):
        return type(self)(self.origin, key)

    def status(self, error):
        if isinstance(error, openai.APIStatusError):
            return error.status_code
        # In the middle of a stream.
        return 500

    def create(self, model, messages, **options):
        return self.client.chat.completions.create(model=model, messages=messages, **options)

    def collect(self, stream):
        """A stream as a message, as the SDK's own helper puts it together."""
        answer, calls, thoughts = Answer(), {}, ""
        for chunk in stream:
            if chunk.usage:
                answer.prompt_tokens = chunk.usage.prompt_tokens
                answer.completion_tokens = chunk.usage.completion_tokens
            for choice in chunk.choices:
                answer.text += choice.delta.content or ""
                thoughts += getattr(choice.delta, "reasoning_content", None) or ""
                for delta in choice.delta.tool_calls or []:
                    call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": "", "extra": None})
                    call["id"] += delta.id or ""
                    call["name"] += delta.function.name or ""
                    call["arguments"] += delta.function.arguments or ""
                    call["extra"] = getattr(delta, "extra_content", None) or call["extra"]
                if choice.finish_reason:
                    answer.finish = FINISHES[choice.finish_reason]
        return answer, [calls[index] for index in sorted(calls)], thoughts

    def told(self, completion):
        choice = completion.choices[0]
        return Answer(
            choice.message.content or "",
            FINISHES[choice.finish_reason],
            completion.usage.prompt_tokens,
            completion.usage.completion_tokens,
        )

    def chat(self, model, text):
        return self.told(self.create(model, [{"role": "user", "content": text}]))

    def stream(self, model, text):
        stream = self.create(
            model, [{"role": "user", "content": text}], stream=True, **self.usage_in_stream()
        )
        return self.collect(stream)[0]

    def usage_in_stream(self):
        return {"stream_options": {"include_usage": True}}

    def tools(self, model, text, tools, results, is_stream):
        offered = [
            {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}
            for name, about, parameters in tools
        ]
        messages = [{"role": "user", "content": text}]
        if is_stream:
            answer, calls, _ = self.collect(self.create(model, messages, tools=offered, stream=True))
            assert answer.finish == "tools", answer
        else:
            completion = self.create(model, messages, tools=offered)
            assert completion.choices[0].finish_reason == "tool_calls", completion
            calls = [
                {
                    "id": call.id,
                    "name": call.function.name,
                    "arguments": call.function.arguments,
                    "extra": getattr(call, "extra_content", None),
                }
                for call in completion.choices[0].message.tool_calls
            ]
        messages.append(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": call["id"],
                        "type": "function",
                        "function": {"name": call["name"], "arguments": call["arguments"]},
                        **({"extra_content": call["extra"]} if call["extra"] else {}),
                    }
                    for call in calls
                ],
            }
        )
        for call in calls:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": results[call["name"]]})
        final = self.create(model, messages, tools=offered)
        return [(call["name"], json.loads(call["arguments"])) for call in calls], self.told(final).text

    def schema(self, model, text, schema):
        wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
        answer = self.create(model, [{"role": "user", "content": text}], response_format=wanted)
        return json.loads(answer.choices[0].message.content)

    def image(self, model, text, png):
        content = [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}},
        ]
        return self.told(self.create(model, [{"role": "user", "content": content}]))

    def reasoning(self, model, text):
        completion = self.create(model, [{"role": "user", "content": text}], reasoning_effort="low")
        message = completion.choices[0].message
        return getattr(message, "reasoning_content", None) or "", message.content

    def embeddings(self, model, texts):
        return [item.embedding for item in self.client.embeddings.create(model=model, input=texts).data]
