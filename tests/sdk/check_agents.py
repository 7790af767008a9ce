"""Lets the agents for the command line that people use (Claude Code, Codex, Gemini CLI) work over every upstream.

Usage: check_agents.py ROUTER_ORIGIN BIN WORK

BIN is where npm has put them, WORK an empty directory. Each is told to repeat a word, and to call a tool: the simulated model
names its first one, the agent answers for it, and the model tells what came out.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "matrix"))
import config  # noqa: E402

SECONDS_MAX = 60


def claude(router, model):
    environment = {
        "ANTHROPIC_BASE_URL": router,
        "ANTHROPIC_AUTH_TOKEN": "sk-sdk",
        # What it asks about titles and topics goes to this one.
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    return environment, ["claude", "-p", "--model", model]


def codex(router, model):
    provider = f'{{name="Sluice",base_url="{router}/v1",env_key="SLUICE_KEY",wire_api="responses"}}'
    settings = ["-c", "model_provider=sluice", "-c", f"model_providers.sluice={provider}"]
    return {"SLUICE_KEY": "sk-sdk"}, ["codex", "exec", "--skip-git-repo-check", *settings, "-m", model]


def gemini(router, model):
    environment = {
        "GOOGLE_GEMINI_BASE_URL": router,
        "GEMINI_API_KEY": "sk-sdk",
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    return environment, ["gemini", "-m", model, "-p"]


# With the model that each is for: Codex and Gemini CLI always send what some languages have no words for (searches by the
# provider, `topK`), so theirs have `drop_unsupported`.
AGENTS = {"Claude Code": (claude, "{}"), "Codex": (codex, "{}-lenient"), "Gemini CLI": (gemini, "{}-lenient")}

TASKS = {"say a word": ("repeat after me: pear", "pear"), "call a tool": ("one tool please", "tools said: ")}


class Failed(Exception):
    pass


def run(agent, router, model, binaries, work, task, wanted):
    environment, command = agent(router, model)
    home = work / model
    home.mkdir(exist_ok=True)
    (home / ".gemini").mkdir(exist_ok=True)
    (home / ".gemini/settings.json").write_text(json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}}))
    running = subprocess.Popen(
        [str(binaries / command[0]), *command[1:], task],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "IS_SANDBOX": "1", "TERM": "xterm-256color", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Agents start processes of their own, which end with them.
        start_new_session=True,
    )
    try:
        said, complained = running.communicate(timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        said, complained = running.communicate()
        raise Failed(f"no end within {SECONDS_MAX} s\n{said}\n{complained}") from None
    # The task itself may be shown, too.
    if running.returncode != 0 or wanted not in said.replace(task, ""):
        raise Failed(f"exit {running.returncode}\n{said}\n{complained}")


def main():
    router, binaries, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    n_passed = 0
    failures = []
    print(f"{'agent':28}" + "".join(f"{upstream:>11}" for upstream in config.UPSTREAMS))
    for name, (agent, model) in AGENTS.items():
        row = ""
        for upstream in config.UPSTREAMS:
            n_right = 0
            for what, (task, wanted) in TASKS.items():
                try:
                    run(agent, router, model.format(upstream), binaries, work, task, wanted)
                    n_right += 1
                except Failed as failed:
                    failures.append(f"{name} over {upstream}: {what}\n{str(failed)[-2000:]}")
            n_passed += n_right
            row += f"{n_right:>9}/{len(TASKS)}"
        print(f"{name:28}{row}", flush=True)
    for failure in failures:
        print(f"\n{failure}")
    print(f"agents: {n_passed} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
