"""One adapter for each SDK; those that are installed are tried."""

import importlib

NAMES = [
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "google_genai",
    "ollama_native",
    "ollama_generate",
    "groq_chat",
]


def installed():
    for name in NAMES:
        try:
            module = importlib.import_module(f"clients.{name}")
        except ModuleNotFoundError as error:
            if error.name.startswith("clients"):
                raise
            continue
        yield name, module.Adapter
