"""Models as a person chooses them: endpoints over a real loopback server, the probe and what it leaves behind."""

import json

from tests.models.loopback import Answer, refusal, serve

LOCAL = ("--sandbox", "local")
FINISH = Answer(calls=[("finish", '{"summary": "done"}')], prompt_ids=(1, 2), tokens=((3, -0.5), (4, -0.25), (5, -0.125)))
OBJECT = Answer('{"thought": "", "tool": "say", "arguments": {"word": "pelican"}}')
FINISH_OBJECT = Answer('{"thought": "", "tool": "finish", "arguments": {"summary": "done"}}')


def test_an_endpoint_is_asked_in_one_small_request_and_its_tokens_are_on_record(codagent, repository):
    with serve(FINISH) as server:
        done = codagent("run", "x", "--model", f"{server.url}#m", *LOCAL, CODAGENT_API_KEY="secret")
    assert done.returncode == 0
    assert (len(server.requests), server.keys) == (1, ["Bearer secret"])
    assert server.sizes[0] <= 6 * 1024
    record = next(repository.glob(".codagent/loops/*/record.jsonl")).read_text()
    reply = next(json.loads(line) for line in record.splitlines() if line.startswith('{"reply"'))["reply"]["reply"]
    assert reply["tokens"] == {"prompt_ids": [1, 2], "completion_ids": [3, 4, 5], "logprobs": [-0.5, -0.25, -0.125]}
    assert "secret" not in record


def test_the_way_of_calling_that_doctor_found_is_the_one_that_run_uses(codagent):
    with serve(Answer("I cannot."), OBJECT, FINISH_OBJECT) as server:
        model = f"{server.url}#m"
        assert "calls tools the constrained way" in codagent("doctor", "--model", model).stdout
        assert codagent("run", "x", "--model", model, *LOCAL).returncode == 0
    assert "response_format" in server.requests[-1]
    assert "tools" not in server.requests[-1]


def test_a_refused_key_ends_with_4_and_its_cause(codagent):
    with serve(refusal(401, "bad key")) as server:
        done = codagent("run", "x", "--model", f"{server.url}#m", *LOCAL)
    assert done.returncode == 4
    assert "bad key" in done.stderr


def test_an_endpoint_costs_what_nobody_knows_and_only_an_asked_for_limit_minds(codagent):
    with serve(FINISH) as server:
        assert codagent("run", "x", "--model", f"{server.url}#m", "--max-usd", "1", *LOCAL).returncode == 2
        assert server.requests == []
        assert json.loads(codagent("run", "x", "--model", f"{server.url}#m", "--json", *LOCAL).stdout)["usd"] == 0


def test_the_catalogue_is_listed(codagent):
    listed = codagent("models", "list").stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b", "smollm2-135m"]
    assert listed.count("not here") == 3
