"""Writes the router's configuration for the matrix: one model for each dialect of an upstream, one that
drops what the dialect has no words for, and one for each fault.

Usage: config.py ROUTER_PORT ADMIN_PORT SIMULATOR_PORT [AIMOCK_PORT AIMOCK_PORT]
"""

import json
import sys

# Name of the model, with how its upstream is asked; the simulator tells the dialects apart by path.
UPSTREAMS = {
    "openai": {"dialect": "openai_chat", "path": "/v1"},
    "azure": {"dialect": "openai_chat", "manners": "azure", "api_version": "2024-10-21", "path": ""},
    "responses": {"dialect": "openai_responses", "path": "/v1"},
    "anthropic": {"dialect": "anthropic_messages", "path": ""},
    "gemini": {"dialect": "gemini_generate", "path": ""},
    "ollama": {"dialect": "ollama_chat", "path": ""},
    "bedrock": {"dialect": "bedrock_converse", "path": ""},
}

# Name of the fault, with the simulator's behaviour for its key.
FAULTS = {
    "cut": {"cut_after": 3, "tokens": 12},
    "eof": {"end_after": 3, "tokens": 12},
    "stall": {"stall_after": 3, "tokens": 12},
    "garbage": {"garbage": {"after": 3, "line": "data: {"}, "tokens": 12},
    "error200": {"body": json.dumps({"error": {"message": "overloaded", "type": "server_error", "code": 503}})},
    "gzip": {"encoding": "gzip", "tokens": 12},
    "brotli": {"encoding": "br", "tokens": 12},
    "limited": {"status": 429, "retry_after": "3s"},
}


def secret(upstream, fault=None):
    name = f"{upstream}-{fault}" if fault else upstream
    # Bedrock's access key id and secret.
    return f"AKIA{name}:4f1d9c0b7e" if upstream == "bedrock" else f"sk-{name}"


def key(upstream, fault=None):
    """The key as the simulator knows it."""
    return secret(upstream, fault).split(":")[0]


def provider(upstream, fault, simulator):
    fields = dict(UPSTREAMS[upstream])
    path = fields.pop("path")
    name = f"{upstream}-{fault}" if fault else upstream
    return {
        "name": name,
        **fields,
        "base_url": f"http://127.0.0.1:{simulator}{path}",
        "keys": [{"name": "one", "secret": secret(upstream, fault)}],
    }


def aimock(upstream, ports):
    """A model over both instances of aimock, in this language, and its providers."""
    fields = dict(UPSTREAMS[upstream])
    path = fields.pop("path")
    providers = [
        {
            "name": f"mill-{upstream}-{index}",
            **fields,
            "base_url": f"http://127.0.0.1:{port}{path}",
            "keys": [{"name": "one", "secret": "AKIAMOCK:4f1d9c0b7e" if upstream == "bedrock" else "mock"}],
            # It fails whom it likes; keys that are set aside would hide that.
            "health": {"probe": "none"},
        }
        for index, port in enumerate(ports)
    ]
    upstreams = [{"provider": each["name"], "model": "mock"} for each in providers]
    return providers, {"name": f"aimock-{upstream}", "upstreams": upstreams}


def main():
    router, admin, simulator, *aimocks = sys.argv[1:]
    pairs = [(upstream, fault) for upstream in UPSTREAMS for fault in (None, *FAULTS)]
    providers = [provider(upstream, fault, simulator) for upstream, fault in pairs]
    models = [
        {"name": each["name"], "upstreams": [{"provider": each["name"], "model": "simulated"}]} for each in providers
    ]
    models += [
        {
            "name": f"{upstream}-lenient",
            "drop_unsupported": True,
            "upstreams": [{"provider": upstream, "model": "simulated"}],
        }
        for upstream in UPSTREAMS
    ]
    for upstream in UPSTREAMS if aimocks else ():
        more, model = aimock(upstream, aimocks)
        providers += more
        models.append(model)
    # JSON is YAML.
    print(
        json.dumps(
            {
                "listen": f"127.0.0.1:{router}",
                "admin_listen": f"127.0.0.1:{admin}",
                "state": "memory",
                "providers": providers,
                "models": models,
                "client_keys": [{"name": "sdk", "secret": "sk-sdk"}],
                "queue": {"timeout": "500ms"},
                "timeouts": {"idle": "1s", "first_byte": "5s"},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
