"""Ollama's SDK, at the endpoint without roles."""

import json

from answer import Unable
from clients import ollama_native


class Adapter(ollama_native.Adapter):
    VERSION = f"{ollama_native.Adapter.VERSION} (generate)"

    def text_of(self, line):
        return line.response

    def chat(self, model, text):
        return self.told([self.client.generate(model=model, prompt=text)])

    def stream(self, model, text):
        return self.told(list(self.client.generate(model=model, prompt=text, stream=True)))

    def tools(self, model, text, tools, results, is_stream):
        raise Unable("a prompt without roles has no tools")

    def schema(self, model, text, schema):
        return json.loads(self.client.generate(model=model, prompt=text, format=schema).response)

    def image(self, model, text, png):
        return self.told([self.client.generate(model=model, prompt=text, images=[png])])

    def reasoning(self, model, text):
        answer = self.client.generate(model=model, prompt=text, think=True)
        return answer.thinking or "", answer.response

    def embeddings(self, model, texts):
        raise Unable("it makes none")
