"""The adapter for harbor. Where harbor is not installed (it needs Python 3.12), a stand-in has the names that the adapter imports."""

import asyncio
import importlib.util
import json
import sys
import time
from pathlib import Path

import pytest

if importlib.util.find_spec("harbor") is None:
    sys.path.append(str(Path(__file__).parent / "stand_in"))

from harbor.agents.installed import base as typed

from codagent.adapters.harbor import Codagent, UsageCounter, _name_error, _raise_failure, _rollout
from codagent.adapters.harbor_sandbox import HarborSandbox
from codagent.errors import ContextOverflow, ModelError, Refusal, SandboxError
from codagent.store.record import load
from codagent.types import Episode, Loop, Message, Observation, Reply, Sampling, Step, Task, Tokens
from tests.adapters.harbor_task import FolderEnvironment, run


def call(name, **arguments):
    return {"calls": [{"name": name, "arguments": arguments}]}


FIX = [
    call("read", path="answer.txt"),
    call("edit", path="answer.txt", old="wrong", new="right"),
    call("bash", command="cat answer.txt; echo seen >&2"),
    call("finish", summary="it says right"),
]


@pytest.fixture
def environment(tmp_path):
    return FolderEnvironment(tmp_path / "container")


@pytest.fixture
def agent(tmp_path):
    """Makes the agent, whose model plays a script."""

    def make(items, **options):
        script, logs = tmp_path / "script.json", tmp_path / "logs"
        script.write_text(json.dumps(items))
        logs.mkdir(exist_ok=True)
        return Codagent(logs_dir=logs, model_name=f"scripted:{script}", **options)

    return make


def verified(environment):
    return asyncio.run(environment.verify())


def test_a_task_runs_to_a_passing_verdict_and_leaves_trajectory_record_and_counts(agent, environment, tmp_path):
    made = agent(FIX)
    context = run(made, environment)
    assert verified(environment) == 1.0
    assert (context.n_input_tokens, context.n_cache_tokens, context.cost_usd) == (4, 0, 0.0)
    assert context.n_output_tokens > 4
    assert context.metadata["claimed"] is True
    assert context.metadata["outcome"] == "done"
    trajectory = json.loads((tmp_path / "logs/trajectory.json").read_text())
    assert [step["source"] for step in trajectory["steps"]] == ["system", "user", *["agent"] * 4]
    assert [step["step_id"] for step in trajectory["steps"]] == [1, 2, 3, 4, 5, 6]
    assert trajectory["final_metrics"]["total_steps"] == 6
    assert "right\nseen" in trajectory["steps"][4]["observation"]["results"][0]["content"]
    loop = load(tmp_path / "logs/record.jsonl")
    assert (loop.environment, loop.end, len(loop.attempts[0].steps)) == ("folder", "finished", 4)
    assert not list((tmp_path / "container/work").glob("*.tar"))


def test_a_false_done_is_a_claim_and_no_pass(agent, environment):
    context = run(agent([call("finish", summary="all is well")]), environment)
    assert (verified(environment), context.metadata["claimed"], context.metadata["end"]) == (0.0, True, "finished")


def test_several_attempts_go_on_with_files_and_notes(agent, environment, tmp_path):
    first = [call("write", path="answer.txt", content="half\n"), call("finish", summary="half"), "<notes>\nit was half\n</notes>"]
    second = [call("edit", path="answer.txt", old="half", new="right"), call("finish", summary="whole")]
    context = run(agent([*first, *second], attempts=2), environment)
    loop = load(tmp_path / "logs/record.jsonl")
    assert (verified(environment), context.metadata["attempts"]) == (1.0, 2)
    assert "answer.txt" in loop.episodes[1].prompt[-1].content
    assert "it was half" in loop.attempts[1].prompt[-1].content
    steps = json.loads((tmp_path / "logs/trajectory.json").read_text())["steps"]
    assert [step["step_id"] for step in steps] == list(range(1, len(steps) + 1))


def test_the_end_of_harbors_time_leaves_counts_record_and_trajectory(agent, environment, tmp_path):
    made = agent([FIX[0], call("bash", command="sleep 600"), *FIX[1:]])
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        run(made, environment, seconds=3)
    assert time.monotonic() - began < 250
    assert made.last_context.n_input_tokens == 2
    assert made.last_context.metadata["claimed"] is False
    assert len(json.loads((tmp_path / "logs/trajectory.json").read_text())["steps"]) >= 3
    assert load(tmp_path / "logs/record.jsonl").end is not None


def test_a_model_that_fails_is_harbors_error_after_the_work_is_told(agent, environment, tmp_path):
    with pytest.raises(typed.ApiError, match="has ended after 2 replies"):
        run(agent(FIX[:2]), environment)
    assert (tmp_path / "logs/trajectory.json").exists()
    with pytest.raises(typed.AgentSafetyRefusalError, match="cyber"):
        run(agent([{"content": "no", "refusal": "cyber"}]), environment)


def test_a_missing_key_is_an_error_of_authentication(tmp_path, environment, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    made = Codagent(logs_dir=tmp_path, model_name="anthropic/claude-opus-5-5")
    with pytest.raises(typed.AgentAuthenticationError, match="ANTHROPIC_API_KEY"):
        run(made, environment)


NAMED = [
    (ModelError("x refused the key (401): no"), "AgentAuthenticationError"),
    (ModelError("x keeps failing (429): slow down; try again later"), "ApiRateLimitError"),
    (ModelError("x is out of quota (429): none left"), "ApiRateLimitError"),
    (ModelError("x keeps failing (529): overloaded; try again later"), "ApiOverloadedError"),
    (ModelError("x keeps failing (500): oh; try again later"), "ApiInternalServerError"),
    (ModelError("x has no such model or path (404): y"), "ModelNotFoundError"),
    (ContextOverflow("too long"), "ContextWindowExceededError"),
    (Refusal("no"), "AgentSafetyRefusalError"),
    (ModelError("something else"), "ApiError"),
]


@pytest.mark.parametrize(("error", "name"), NAMED)
def test_each_failure_has_harbors_name(error, name):
    assert type(_name_error(error, str(error))).__name__ == name


def test_a_broken_environment_is_raised_and_a_limit_is_not():
    episode = Episode("solve", 0, Task("t", "x"), "", (), end="sandbox", cause="it is gone")
    with pytest.raises(SandboxError, match="it is gone"):
        _raise_failure(Loop("l", "g", "folder", "m", "", (episode,)), None)
    _raise_failure(Loop("l", "g", "folder", "m", "", (Episode("solve", 0, Task("t", "x"), "", (), end="steps"),)), None)


def reply(tokens):
    return Reply(Message("assistant", "so"), "stop", 3, 2, 0.5, tokens, Sampling(), "p", "so", cached_tokens=1)


def test_rollout_details_have_a_list_for_each_reply_or_are_left_out():
    known, unknown = reply(Tokens((1, 2, 3), (4, 5), (-0.5, -0.1))), reply(None)
    steps = [Step(one, Observation(()), 0.1) for one in (known, known, unknown)]
    episode = Episode("solve", 0, Task("t", "x"), "", (), tuple(steps[:2]))
    details = _rollout(episode)
    assert details == {"prompt_token_ids": [[1, 2, 3]] * 2, "completion_token_ids": [[4, 5]] * 2, "logprobs": [[-0.5, -0.1]] * 2}
    assert _rollout(Episode("solve", 0, Task("t", "x"), "", (), tuple(steps))) is None


def test_the_cost_is_unknown_as_soon_as_that_of_one_reply_is():
    class Counts:
        pass

    counter = UsageCounter(counts := Counts(), "m")
    counter.on_reply(reply(None), None)
    assert (counts.n_input_tokens, counts.n_cache_tokens, counts.n_output_tokens, counts.cost_usd) == (3, 1, 2, 0.5)
    counter.on_reply(Reply(Message("assistant"), "stop", 1, 1, None, None, Sampling(), "p", ""), None)
    assert counts.cost_usd is None


def with_sandbox(environment, act):
    """Call `act` with a sandbox, in another thread, as the agent does."""

    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(lambda: act(HarborSandbox(environment, loop)))

    return asyncio.run(main())


def test_the_sandbox_reads_and_writes_files_and_says_what_is_none(environment):
    def act(sandbox):
        sandbox.write("deep/er/it's.bin", b"\0\xff")
        assert sandbox.read("deep/er/it's.bin") == b"\0\xff"
        with pytest.raises(FileNotFoundError):
            sandbox.read("nothing")
        with pytest.raises(IsADirectoryError):
            sandbox.read("deep")
        with pytest.raises(IsADirectoryError):
            sandbox.write("deep", b"")

    with_sandbox(environment, act)


def test_commands_have_their_exit_code_and_end_at_their_time_limit(environment):
    def act(sandbox):
        assert sandbox.run("echo a; echo b >&2; exit 7", timeout=60).exit_code == 7
        assert sandbox.run("cat <<'X'\nit's\nX", timeout=60).output == "it's\n"
        late = sandbox.run("sleep 300", timeout=1)
        assert (late.exit_code, late.timed_out, late.seconds < 200) == (124, True, True)
        assert sandbox.run("exit 124", timeout=60).timed_out is False
        assert sandbox.run("a\0b", timeout=60).exit_code == 126
        long = sandbox.run("head -c 9000000 /dev/zero | tr '\\0' x", timeout=60)
        assert long.omitted_bytes > 0
        assert len(long.output) < 2_000_000

    with_sandbox(environment, act)


def test_a_closed_sandbox_answers_no_call(environment):
    def act(sandbox):
        sandbox.close()
        with pytest.raises(SandboxError):
            sandbox.run("true", timeout=60)

    with_sandbox(environment, act)
