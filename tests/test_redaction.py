"""Secrets are hidden wherever text leaves, in every form in which they are written."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest

from codagent import redaction
from codagent.protocols import Thought
from codagent.redaction import Redactor, hide_in_json, hide_secrets, remember_named, remember_secret

KEY = 'sk-A"b&c/d\\123'


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_SECRETS", set())


@pytest.mark.parametrize("written", [KEY, KEY.upper(), json.dumps(KEY)[1:-1], html.escape(KEY), quote(KEY), quote(KEY, safe="")])
def test_a_secret_is_hidden_in_each_form(written: str) -> None:
    remember_secret(f" {KEY}\n")
    assert hide_secrets(f"<{written}>") == "<…>"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HOUSE_KEY", "abcdefgh1", "abcdefgh1"),
        ("AWS_SECRET_ACCESS_KEY", "abcdefgh1", "abcdefgh1"),
        ("x-auth-token", "abcdefgh1", "abcdefgh1"),
        ("Authorization", "Bearer abcdefgh1", "abcdefgh1"),
        ("HTTPS_PROXY", "http://me:abcdefgh1@proxy:3128", "abcdefgh1"),
        ("HTTPS_PROXY", "http://me:p%40sswords@proxy:3128", "p@sswords"),
        ("REMOTE", "https://ghp_abcdefgh1@host/x.git", "ghp_abcdefgh1"),
        ("ALL_PROXY", "http://me:abcdefgh1@proxy", base64.b64encode(b"me:abcdefgh1").decode()),
    ],
)
def test_what_is_named_a_secret_and_what_an_address_holds_is_hidden(name: str, value: str, told: str) -> None:
    remember_named({name: value})
    assert hide_secrets(f"failed: {told}!") == "failed: …!"


@pytest.mark.parametrize(("name", "value"), [("SOME_TOKEN", "the"), ("LANGUAGE", "en_US.UTF-8"), ("HOMEPAGE", "https://host/@me")])
def test_other_values_hide_nothing(name: str, value: str) -> None:
    remember_named({name: value})
    assert hide_secrets(value) == value


def test_numbers_and_keys_of_json_stay() -> None:
    remember_secret("12345678")
    assert hide_in_json({"12345678": [12345678, {"a": "is 12345678"}, ("12345678",), None]}) == {
        "12345678": [12345678, {"a": "is …"}, ["…"], None]
    }


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_secret_in_several_pieces_is_hidden_and_nothing_else_is_lost(size: int) -> None:
    remember_secret("sk-abcdefgh")
    remember_secret("sk-abcXYZ99")
    text = "as sk-abcdefgh, ssk-abcXYZ99sk-abc"
    heard: list[str] = []
    show = Redactor(heard.append)
    for at in range(0, len(text), size):
        show(text[at : at + size])
    show.finish()
    assert "".join(heard) == "as …, s…sk-abc"


def test_a_thought_and_an_answer_are_two_texts() -> None:
    remember_secret("sk-abcdefgh")
    heard: list[str] = []
    show = Redactor(heard.append)
    for piece in (Thought("so sk-a"), "bcdefgh", Thought("sk-abc"), Thought("defgh")):
        show(piece)
    show.finish()
    assert [(type(piece), piece) for piece in heard] == [(Thought, "so "), (Thought, "sk-a"), (str, "bcdefgh"), (Thought, "…")]
