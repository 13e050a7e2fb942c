"""`codagent show --tokens`: what a trainer could use of a loop."""

from codagent.store.record import Record
from codagent.types import Episode, Loop, Message, Observation, Reply, Sampling, Step, Task, Tokens
from tests.cli.conftest import IDLE


def step(policy, tokens, *, top_k=0):
    asked, said = (len(tokens.prompt_ids), len(tokens.completion_ids)) if tokens else (9, 9)
    reply = Reply(Message("assistant"), "stop", asked, said, 0.0, tokens, Sampling(0.7, 1.0, top_k), policy, "")
    return Step(reply, Observation(()), 0.1)


def test_replies_with_tokens_and_without_are_told_apart(codagent, repository):
    record = Record(repository / ".codagent/loops/a/record.jsonl", Loop("a", "a", "repository", "m", "abc"))
    first, second = Tokens((1, 2), (3,), (-0.5,)), Tokens((1, 2, 3, 4), (5,), (-0.5,))
    steps = (step("m#0 text", first), step("m#0 text", second), step("m#0 constrained", first), step("m text", None))
    record.on_episode_start(Episode("solve", 0, Task("t", "do it"), "", ()))
    for one in (*steps, step("m#0 text", first, top_k=40)):
        record.on_reply(one.reply, None)
        record.on_step(one)
    record.close()
    assert codagent("show", "--tokens").stdout.splitlines() == [
        "iteration 1",
        "  step 1 · m#0 text · 2+1 tokens",
        "  step 2 · m#0 text · 4+1 tokens",
        "  step 3 · m#0 constrained · 2+1 tokens, not to be trained on: constrained",
        "  step 4 · m text · text only",
        "  step 5 · m#0 text · 2+1 tokens, not to be trained on: cut distribution",
        "replies: 5, 4 with tokens, 1 text only",
        "rows to train on: 1, from 2 of the replies",
    ]


def test_a_script_leaves_text_only(codagent, script):
    codagent("run", "look", "--model", script(IDLE), "--sandbox", "local")
    assert codagent("show", "--tokens").stdout.splitlines()[-2:] == [
        "replies: 1, 0 with tokens, 1 text only",
        "rows to train on: 0, from 0 of the replies",
    ]
