"""Groq's SDK, which speaks OpenAI's chat below `/openai/v1`."""

import json

import groq

from clients import openai_chat


class Adapter(openai_chat.Adapter):
    VERSION = f"groq {groq.__version__}"
    ERRORS = (groq.APIError, json.JSONDecodeError)

    def __init__(self, origin, key="sk-sdk"):
        self.origin = origin
        self.client = groq.Groq(base_url=origin, api_key=key, max_retries=0, timeout=20)

    def status(self, error):
        return error.status_code if isinstance(error, groq.APIStatusError) else 500

    def usage_in_stream(self):
        # Its `create` has no such parameter.
        return {"extra_body": {"stream_options": {"include_usage": True}}}
