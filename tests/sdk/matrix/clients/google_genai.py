"""Google's SDK."""

import base64
import json

import httpx
from google import genai
from google.genai import errors, types

from answer import Answer

FINISHES = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "filtered"}


class Adapter:
    ASKS_FOR_THOUGHTS = True
    VERSION = f"google-genai {genai.__version__}"
    # What breaks off is told as the transport tells it.
    ERRORS = (errors.APIError, errors.UnknownApiResponseError, httpx.HTTPError)

    def __init__(self, origin, key="sk-sdk"):
        self.origin = origin
        self.client = genai.Client(
            api_key=key, http_options=types.HttpOptions(base_url=origin, timeout=20_000)
        )

    def with_key(self, key):
        return type(self)(self.origin, key)

    def status(self, error):
        return error.code if isinstance(error, errors.APIError) else 500

    def create(self, model, contents, **config):
        return self.client.models.generate_content(
            model=model, contents=contents, config=types.GenerateContentConfig(**config)
        )

    def collect(self, model, contents, **config):
        stream = self.client.models.generate_content_stream(
            model=model, contents=contents, config=types.GenerateContentConfig(**config)
        )
        return list(stream)

    def told(self, chunks):
        answer = Answer()
        for chunk in chunks:
            for candidate in chunk.candidates or []:
                parts = (candidate.content.parts if candidate.content else None) or []
                answer.text += "".join(part.text for part in parts if part.text and not part.thought)
                if candidate.finish_reason:
                    answer.finish = FINISHES[candidate.finish_reason.name]
            if chunk.usage_metadata:
                answer.prompt_tokens = chunk.usage_metadata.prompt_token_count or 0
                answer.completion_tokens = chunk.usage_metadata.candidates_token_count or 0
        return answer

    def chat(self, model, text):
        return self.told([self.create(model, text)])

    def stream(self, model, text):
        return self.told(self.collect(model, text))

    def tools(self, model, text, tools, results, is_stream):
        declarations = [
            {"name": name, "description": about, "parameters_json_schema": parameters}
            for name, about, parameters in tools
        ]
        config = {
            "tools": [{"function_declarations": declarations}],
            "automatic_function_calling": {"disable": True},
        }
        contents = [types.Content(role="user", parts=[types.Part(text=text)])]
        answers = self.collect(model, contents, **config) if is_stream else [self.create(model, contents, **config)]
        parts = [
            part
            for chunk in answers
            for candidate in chunk.candidates or []
            for part in (candidate.content.parts if candidate.content else None) or []
        ]
        calls = [part.function_call for part in parts if part.function_call]
        contents.append(types.Content(role="model", parts=[part for part in parts if part.function_call]))
        responses = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"result": results[call.name]}
                )
            )
            for call in calls
        ]
        contents.append(types.Content(role="user", parts=responses))
        final = self.create(model, contents, **config)
        return [(call.name, dict(call.args)) for call in calls], self.told([final]).text

    def schema(self, model, text, schema):
        answer = self.create(model, text, response_mime_type="application/json", response_json_schema=schema)
        return json.loads(self.told([answer]).text)

    def image(self, model, text, png):
        parts = [
            types.Part(inline_data=types.Blob(mime_type="image/png", data=base64.b64decode(png))),
            types.Part(text=text),
        ]
        return self.told([self.create(model, [types.Content(role="user", parts=parts)])])

    def reasoning(self, model, text):
        thinking = {"include_thoughts": True, "thinking_budget": 1024}
        answer = self.create(model, text, thinking_config=thinking)
        parts = answer.candidates[0].content.parts
        return "".join(part.text for part in parts if part.thought and part.text), self.told([answer]).text

    def embeddings(self, model, texts):
        # A list of texts is one content to it, and so one vector, where the model's name has "gemini" in it.
        contents = [types.Content(parts=[types.Part(text=text)]) for text in texts]
        return [each.values for each in self.client.models.embed_content(model=model, contents=contents).embeddings]
