"""Models as a person chooses them: endpoints over a real loopback server, the probe and what it leaves behind."""

import json
from pathlib import Path

import pytest

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
        assert json.loads(codagent("run", "x", "--model", f"{server.url}#m", "--json", *LOCAL).stdout)["usd"] is None
        told = codagent("run", "x", "--model", f"{server.url}#m", *LOCAL).stdout
        assert "tokens, cost unknown" in told
        assert "$" not in told


def test_the_catalogue_is_listed(codagent):
    listed = codagent("models", "list").stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b", "smollm2-135m"]
    assert listed.count("not here") == 3


NAMED = """
[models.house]
url = "{url}#m"
key_env = "HOUSE_KEY"
effort = "low"
price = {{ prompt = 200.0, completion = 400.0 }}
headers = {{ x-team = "a" }}
max_output = 1000
"""


def test_a_model_of_the_users_file_has_its_key_its_price_and_its_effort(codagent, repository, tmp_path):
    config = tmp_path / "config/codagent/config.toml"
    config.parent.mkdir(parents=True)
    with serve(FINISH) as server:
        config.write_text(NAMED.format(url=server.url))
        told = json.loads(codagent("run", "x", "--model", "house", "--json", *LOCAL, HOUSE_KEY="secret").stdout)
        assert (server.keys, server.requests[0]["reasoning_effort"], server.requests[0]["max_tokens"]) == (["Bearer secret"], "low", 1000)
        assert told["usd"] == pytest.approx(7 * 0.0002 + 3 * 0.0004)
        assert "tokens, $0.0026" in codagent("run", "x", "--model", "house", *LOCAL, HOUSE_KEY="secret").stdout
        page = Path(codagent("report").stdout.strip()).read_text()
        assert "<dd>$0.0026 of $5.00</dd>" in page
        codagent("run", "x", "--model", "house", "--effort", "high", *LOCAL, HOUSE_KEY="secret")
        assert server.requests[2]["reasoning_effort"] == "high"
        done = codagent("run", "x", "--model", "house", *LOCAL)
        assert (done.returncode, len(server.requests)) == (2, 3)
        assert "HOUSE_KEY, which holds the key of house, is not set" in done.stderr
        assert codagent("run", "x", "--model", "house", "--effort", "much", *LOCAL).returncode == 2


def test_a_server_that_wants_another_kind_of_request_is_named_the_way(codagent):
    with serve(refusal(400, "To use function tools, use /v1/responses")) as server:
        done = codagent("run", "x", "--model", f"{server.url}#gpt-5.6", *LOCAL)
    assert done.returncode == 4
    assert "--model openai/gpt-5.6 takes that way" in done.stderr


KEY = "sk-planted-0123456789"


@pytest.mark.parametrize(
    "answers",
    [
        [refusal(401, f"bad key {KEY}")],
        [refusal(400, f"cannot read {KEY}", code=KEY)],
        [refusal(503, KEY, retry_after="0"), FINISH],
        [Answer(f"Your key is {KEY}.", calls=[("finish", json.dumps({"summary": KEY}))])],
        [Answer(calls=[("bash", json.dumps({"command": f"echo {KEY}; echo {KEY} >found"}))]), FINISH],
        [Answer(calls=[(KEY, "{}")]), FINISH],
        [Answer(calls=[("read", json.dumps({"path": KEY}))]), FINISH],
    ],
    ids=["a refused key", "a refused request", "a server that is down", "text", "a command", "the name of a tool", "a path"],
)
def test_a_key_that_comes_back_is_neither_shown_nor_kept(codagent, repository, answers):
    with serve(*answers) as server:
        done = codagent("run", "x", "--model", f"{server.url}#m", "--check", "false", *LOCAL, CODAGENT_API_KEY=KEY)
    told = [done.stdout, done.stderr]
    told += [
        codagent(*command.split(), CODAGENT_API_KEY=KEY).stdout
        for command in ("show --full", "show --tokens", "list", "report --out report.html")
    ]
    assert server.keys[0] == f"Bearer {KEY}"
    assert not [text for text in told if KEY in text]
    kept = [path for path in (repository / ".codagent").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert not kept
    assert KEY not in (repository / "report.html").read_text()


def test_a_run_becomes_the_model_of_one_repository_and_is_forgotten_again(codagent, repository, tmp_path):
    weights = tmp_path / "run" / "checkpoint-1"
    weights.mkdir(parents=True)
    (weights / "model.safetensors").touch()
    used = codagent("models", "use", str(tmp_path / "run"))
    model = f"adapter:{tmp_path / 'run'}"
    assert (used.returncode, used.stdout) == (0, f"{model} is served by transformers, because it is not an adapter\n"), used.stderr
    choices = tmp_path / ".local" / "state" / "codagent" / "models.json"
    assert json.loads(choices.read_text()) == {str(repository): model}
    asked = codagent("loop", "mend it", "--check", "true", "--dry-run")
    assert f"model:      {model}" in asked.stdout
    assert f"model:      {model}" not in codagent("loop", "mend it", "--check", "true", "--dry-run", "--model", "embedded").stdout
    assert f"{model}, by `codagent models use` in this repository" in codagent("doctor").stdout
    assert f"{model}, by" not in codagent("doctor", CODAGENT_MODEL="embedded").stdout
    assert codagent("models", "use", "--forget").returncode == 0
    assert json.loads(choices.read_text()) == {}


@pytest.mark.parametrize("run", ["nowhere", ".", "answer.txt", ""])
def test_what_holds_no_trained_weights_is_not_used(codagent, run):
    done = codagent("models", "use", *([run] if run else []))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
