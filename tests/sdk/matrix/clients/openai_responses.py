"""OpenAI's SDK, Responses."""

import json

import httpx
import openai

from answer import Answer, Unable


class Adapter:
    ASKS_FOR_THOUGHTS = True
    VERSION = f"openai {openai.__version__} (responses)"
    # The stream helper raises RuntimeError where no `response.completed` came; the major before tells a broken-off body as the
    # transport does.
    ERRORS = (openai.APIError, RuntimeError, httpx.HTTPError)

    def __init__(self, origin, key="sk-sdk"):
        self.origin = origin
        self.client = openai.OpenAI(base_url=f"{origin}/v1", api_key=key, max_retries=0, timeout=20)

    def with_key(self, key):
        return type(self)(self.origin, key)

    def status(self, error):
        return error.status_code if isinstance(error, openai.APIStatusError) else 500

    def create(self, model, items, **options):
        return self.client.responses.create(model=model, input=items, **options)

    def finished(self, model, items, **options):
        """The same by the stream helper, which is strict about the order of events."""
        with self.client.responses.stream(model=model, input=items, **options) as stream:
            for _ in stream:
                pass
            return stream.get_final_response()

    def told(self, response):
        is_whole = response.status == "completed"
        return Answer(
            response.output_text,
            "stop" if is_whole else response.incomplete_details.reason,
            response.usage.input_tokens,
            response.usage.output_tokens,
        )

    def chat(self, model, text):
        return self.told(self.create(model, text))

    def stream(self, model, text):
        return self.told(self.finished(model, text))

    def tools(self, model, text, tools, results, is_stream):
        offered = [
            {"type": "function", "name": name, "description": about, "parameters": parameters, "strict": False}
            for name, about, parameters in tools
        ]
        items = [{"role": "user", "content": text}]
        ask = self.finished if is_stream else self.create
        response = ask(model, items, tools=offered)
        calls = [item for item in response.output if item.type == "function_call"]
        items += [item.model_dump(exclude_none=True, exclude={"parsed_arguments", "status"}) for item in response.output]
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": results[call.name]} for call in calls
        ]
        final = self.create(model, items, tools=offered)
        return [(call.name, json.loads(call.arguments)) for call in calls], final.output_text

    def schema(self, model, text, schema):
        wanted = {"format": {"type": "json_schema", "name": "person", "schema": schema, "strict": True}}
        return json.loads(self.create(model, text, text=wanted).output_text)

    def image(self, model, text, png):
        content = [
            {"type": "input_text", "text": text},
            {"type": "input_image", "image_url": f"data:image/png;base64,{png}", "detail": "auto"},
        ]
        return self.told(self.create(model, [{"role": "user", "content": content}]))

    def reasoning(self, model, text):
        response = self.create(model, text, reasoning={"effort": "low", "summary": "auto"})
        thoughts = [
            part.text for item in response.output if item.type == "reasoning" for part in item.summary
        ]
        return "".join(thoughts), response.output_text

    def embeddings(self, model, texts):
        raise Unable("the Responses API makes none")
