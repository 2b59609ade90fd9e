"""What an answer must be, said in one line."""

from typing import Any

import httpx


def ok(answer: httpx.Response) -> Any:
    """The body of an answer that is no refusal; nothing for one without a body."""
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and type of a refusal."""
    assert not answer.is_success, answer.text
    return answer.status_code, answer.json()["type"]
