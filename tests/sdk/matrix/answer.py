"""What an SDK made of one answer, in words that all of them share."""

from dataclasses import dataclass


@dataclass
class Answer:
    text: str = ""
    # stop, length, tools or filtered
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Unable(Exception):
    """The SDK, or the dialect that it speaks, has no such thing; the text says why."""
