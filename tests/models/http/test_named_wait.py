"""How long a server asks to wait is found wherever servers say it."""

from __future__ import annotations

import pytest

from codagent.models.http.named_wait import wait_in_headers, wait_in_text


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after-ms": "-1"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
    ],
)
def test_a_header_names_a_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_in_headers(headers) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}', 7),
        ("[{'retryDelay': '7.5s'}]", 7.5),
        ("You exceeded your current quota. Please retry in 7.2s.", 7.2),
        ("Rate limit reached for gpt-4o. Please try again in 1m30.5s. Visit us.", 90.5),
        ("Please try again in 20ms.", 0.02),
        ("Please retry after 23 seconds.", 23),
        ("Try again in 2 minutes", 120),
        ('Please retry in 7.2s. "retryDelay": "9s"', 9),
        ("try again later", None),
        ("retry in a moment", None),
    ],
)
def test_a_text_names_a_wait(text: str, seconds: float | None) -> None:
    assert wait_in_text(text) == (None if seconds is None else pytest.approx(seconds))
