"""Asks every upstream by every SDK that is installed, and prints a table: SDK × upstream.

Usage: run.py ROUTER_ORIGIN SIMULATOR_ORIGIN [SDK …]

Exits 1 if a cell is neither right nor known to be impossible.
"""

import json
import sys
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import clients
import config
from answer import Unable
from checks import CHECKS

# What an upstream's language cannot say, and what it is refused with; (upstream, check) → why.
CANNOT = {
    ("anthropic", "embeddings"): "Anthropic makes no embeddings",
    ("bedrock", "embeddings"): "Converse makes no embeddings",
    # Of one SDK only.
    ("bedrock", "reasoning", "ollama_native"): "Ollama's `think: true` is no effort, and Converse knows nothing else",
    ("bedrock", "reasoning", "ollama_generate"): "the same without roles",
}


def behave(simulator, upstream, fault):
    request = urllib.request.Request(
        f"{simulator}/behaviour/{config.key(upstream, fault)}",
        data=json.dumps(config.FAULTS[fault]).encode(),
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=5).close()


def cell(sdk, adapter, upstream, name):
    """`ok`, `-` for what cannot be, or what went wrong."""
    cannot = (upstream, name) in CANNOT or (upstream, name, sdk) in CANNOT
    try:
        CHECKS[name](adapter, upstream)
    except Unable:
        return "-"
    except adapter.ERRORS as error:
        if cannot and adapter.status(error) == 400:
            return "-"
        return f"{type(error).__name__}: {error}"
    except Exception:
        return traceback.format_exc(limit=-2)
    if cannot:
        return "answered, although it cannot"
    return "ok"


def column(sdk, adapter, upstream):
    return {name: cell(sdk, adapter, upstream, name) for name in CHECKS}


def main():
    router, simulator, *wanted = sys.argv[1:]
    for upstream in config.UPSTREAMS:
        for fault in config.FAULTS:
            behave(simulator, upstream, fault)
    n_passed = n_failed = 0
    failures = []
    print(f"{'SDK':28}" + "".join(f"{upstream:>11}" for upstream in config.UPSTREAMS))
    for name, adapter in clients.installed():
        if wanted and name not in wanted:
            continue
        row = ""
        # At once, as most of the time is spent waiting for upstreams that stand still.
        with ThreadPoolExecutor() as pool:
            columns = [pool.submit(column, name, adapter(router), upstream) for upstream in config.UPSTREAMS]
        for upstream, outcomes in zip(config.UPSTREAMS, (each.result() for each in columns), strict=True):
            right = [check for check, outcome in outcomes.items() if outcome == "ok"]
            impossible = [check for check, outcome in outcomes.items() if outcome == "-"]
            wrong = {check: outcome for check, outcome in outcomes.items() if outcome not in ("ok", "-")}
            n_passed += len(right)
            n_failed += len(wrong)
            failures += [(adapter.VERSION, upstream, check, outcome) for check, outcome in wrong.items()]
            row += f"{len(right):>8}/{len(CHECKS) - len(impossible):<2}"
        print(f"{adapter.VERSION:28}{row}", flush=True)
    for sdk, upstream, check, outcome in failures:
        print(f"\n{sdk} over {upstream}: {check}\n  {outcome}".rstrip())
    print("\nLeft out, because it cannot be:")
    for (upstream, check, *_), why in CANNOT.items():
        print(f"  {upstream}: {check}: {why}")
    print("  openai (responses), anthropic: embeddings: their APIs make none")
    print(f"matrix: {n_passed} passed, {n_failed} failed")
    sys.exit(1 if n_failed else 0)


if __name__ == "__main__":
    main()
