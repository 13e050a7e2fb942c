"""Two steps with a tool, over a real loopback server."""

from __future__ import annotations

import pytest

from codagent.errors import ModelError
from codagent.models.open import open_model
from codagent.models.probe import Finding, probe
from codagent.types import Profile, Sampling
from tests.models.loopback import Answer, Plain, Server, refusal, serve

WORKS = Answer(calls=[("say", '{"word": "pelican"}')])
TALKS = Answer('```json\n{"name": "say", "arguments": {"word": "pelican"}}\n```')
OBJECT = Answer('{"thought": "", "tool": "say", "arguments": {"word": "pelican"}}')
BLOCK = Answer("```say\npelican\n```")
SILENT = Answer("I cannot.")


HERON = Answer(calls=[("say", '{"word": "heron"}')], usage=(100, 20))


def find(server: Server) -> Finding:
    name = f"{server.url}#m"
    return probe(name, lambda way: open_model(name, profile=Profile(calling=way)), Sampling())


@pytest.mark.parametrize(
    ("answers", "way"),
    [
        ([WORKS, HERON], "native"),
        ([WORKS, SILENT], "native"),
        ([WORKS, refusal(404, "not what I sent"), OBJECT, SILENT], "constrained"),
        ([TALKS, OBJECT, SILENT], "constrained"),
        ([SILENT, SILENT, BLOCK, SILENT], "text"),
        ([refusal(404, "no tools here"), refusal(404, "no schema here"), BLOCK, SILENT], "text"),
    ],
)
def test_a_probe_finds_the_first_way_of_calling_that_works(answers: list[Answer | Plain], way: str) -> None:
    with serve(*answers) as server:
        assert find(server).calling == way


def test_a_model_that_calls_no_tool_is_said_to_be_of_no_use() -> None:
    with serve(SILENT) as server, pytest.raises(ModelError, match="calls no tool in any of the ways"):
        find(server)


def test_a_probe_takes_two_steps_and_tells_what_it_saw() -> None:
    with serve(WORKS, HERON) as server:
        found = find(server)
    first, second = server.requests
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert second["messages"][-1]["content"] == "heron"
    assert (found.gives_back, found.cached_share, found.second.prompt_tokens) == (False, 0.0, 100)
    assert found.tokens_per_second > 0


def test_what_the_first_way_failed_with_is_told() -> None:
    refused = pytest.raises(ModelError, match=r"calls no tool in any of the ways.*the native way fails.*not what I sent")
    with serve(WORKS, refusal(404, "not what I sent"), SILENT, SILENT) as server, refused:
        find(server)
