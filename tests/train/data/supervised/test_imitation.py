"""What of recorded loops is imitated, and in which ids."""

import json
from dataclasses import replace

import pytest
from msgspec import structs

from codagent.errors import UsageError
from codagent.store.codec import encode
from codagent.store.record import Record
from codagent.types import Episode, Loop, Message, Observation, Outcome, Profile, Reply, Sampling, Step, Task, Tokens, ToolCall
from codagent_train.data.mixture import Mixture
from codagent_train.data.supervised.imitation import count_examples, find_examples, iter_imitable
from codagent_train.recipe import schema
from codagent_train.recipe.schema import BatchConfig, RecordsConfig

TASK = Task("t", "do it", ("false",))
SMALL = Profile(tools=("write", "finish"))
LOOP = Loop("l", "g", "repository", "m", "abc", settings={"profile": encode(SMALL)})


class Words:
    """A Tokenizer that keeps what it was asked, and for which a text is one token."""

    def __init__(self):
        self.texts = []

    def encode(self, messages):
        self.texts.append([message.content for message in messages])
        return (100,)

    def encode_reply(self, text):
        self.texts.append(text)
        return (200,)

    def decode(self, ids):
        return ""


def step(text, *, tokens=None, policy="tiny#00 text", calls=(), answer="", context=None):
    counts = (len(tokens.prompt_ids), len(tokens.completion_ids)) if tokens else (1, 1)
    reply = Reply(Message("assistant", text, calls), "stop", *counts, 0.0, tokens, Sampling(0.7, 1.0, 0), policy, text)
    return Step(reply, Observation((Message("user", answer),) if answer else ()), 0.1, context)


def writes(path, text):
    return ToolCall("1", "write", json.dumps({"path": path, "content": text}))


def solve(position, reward, *steps):
    outcome = Outcome(reward, reward == 1, "")
    return Episode("solve", position, TASK, "", (Message("user", "do it"),), steps or (step("so"),), "finished", outcome=outcome)


def notes(position, *steps, reward=0.0):
    outcome = Outcome(reward, reward == 0, "")
    return Episode("notes", position, TASK, "", (Message("user", "note it"),), steps or (step("noted"),), "finished", outcome=outcome)


def write(folder, name, *episodes, loop=LOOP):
    record = Record(folder / name / "record.jsonl", replace(loop, id=name))
    for episode in episodes:
        record.on_episode_start(replace(episode, steps=(), end=None, outcome=None))
        for one in episode.steps:
            record.on_reply(one.reply, one.context)
            record.on_step(one)
        record.on_episode_end(episode)
    record.finish("iterations")
    record.close()


def imitated(folder, weights=("tiny#00",), room=1000, words=None):
    found, refused = find_examples([folder], words or Words(), weights, context_tokens=room)
    told = [[(each.kind, each.position, [one.reply.tokens for one in each.steps]) for each in loop.episodes] for loop in found]
    return told, [each.reason for each in refused]


def test_what_passed_is_worth_imitating_and_so_are_notes_after_which_the_score_was_better():
    loop = replace(LOOP, episodes=(solve(0, 0.2), notes(0), solve(1, 0.5), notes(1), solve(2, 0.5), notes(2), solve(3, 1.0), notes(3)))
    assert [(episode.kind, episode.position) for episode in iter_imitable(loop)] == [("notes", 0), ("notes", 2), ("solve", 3)]


def test_malformed_notes_are_not_imitated_whatever_came_after():
    assert list(iter_imitable(replace(LOOP, episodes=(solve(0, 0.2), notes(0, reward=-0.1), solve(1, 0.5))))) == []


def test_a_loop_that_lies_in_two_folders_is_imitated_once(tmp_path):
    for folder in ("here", "there"):
        write(tmp_path / folder, "a", solve(0, 1.0))
    told, refused = imitated(tmp_path)
    assert (len(told), refused) == (1, ["a second copy"])
    assert count_examples([tmp_path]) == (1, 0)


def test_ids_of_the_same_weights_are_taken_as_they_were_sampled_even_where_they_could_not_be_replayed(tmp_path):
    sampled = Tokens((5, 6), (1, 2), (-0.5, -0.25))
    write(tmp_path, "a", solve(0, 1.0, step("so", tokens=sampled, policy="tiny#00 constrained")))
    assert imitated(tmp_path)[0] == [[("solve", 0, [Tokens((5, 6), (1, 2), (0.0, 0.0))])]]


def test_text_and_the_ids_of_other_weights_are_made_ids_anew(tmp_path):
    write(tmp_path, "a", solve(0, 1.0, step("so", tokens=Tokens((5, 6), (1, 2), (-0.5, -0.25)), policy="other#11 text")))
    write(tmp_path, "b", solve(0, 1.0, step("so")))
    assert imitated(tmp_path)[0] == [[("solve", 0, [Tokens((100,), (200,), (0.0,))])]] * 2


def test_a_native_call_is_imitated_as_the_block_that_the_policy_would_write_and_is_told_of_its_tools(tmp_path):
    call = ToolCall("1", "write", json.dumps({"path": "a.txt", "content": "right\n"}))
    write(tmp_path, "a", solve(0, 1.0, step("", calls=(call,))))
    words = Words()
    imitated(tmp_path, words=words)
    (system, task), said = words.texts
    assert (task, said) == ("do it", "```write a.txt\nright\n```")
    assert "```finish" in system


def test_of_an_attempt_that_remembers_nothing_only_what_did_it_is_imitated(tmp_path):
    forgotten = (Message("user", "do it"),)
    write(tmp_path, "a", solve(0, 1.0, step("bad", answer="no"), step("good", context=forgotten)))
    write(tmp_path, "b", solve(0, 1.0, step("first", calls=(writes("a.txt", "x"),), answer="go on"), step("second")))
    write(tmp_path, "c", solve(0, 0.0), notes(0, step("what?", answer="error"), step("noted")), solve(1, 0.5))
    words = Words()
    told, _ = imitated(tmp_path, words=words)
    assert [[len(tokens) for _, _, tokens in loop] for loop in told] == [[1], [2], [1]]
    assert [text.partition("\n")[0] for text in words.texts if isinstance(text, str)] == ["good", "first", "second", "noted"]


@pytest.mark.parametrize(("end", "said_last"), [("steps", []), ("finished", ["I think so"])])
def test_replies_of_an_attempt_that_did_nothing_for_its_outcome_are_not_imitated(tmp_path, end, said_last):
    broken = ToolCall("1", "write", "{")
    steps = (
        step("hello", answer="no tool was called"),
        step("try", answer="so", calls=(writes("a.txt", "wrong"),)),
        step("broken", answer="so", calls=(broken,)),
        step("other", answer="so", calls=(writes("b.txt", "wrong"),)),
        step("right", answer="so", calls=(writes("a.txt", "right"),)),
        step("again", answer="so", calls=(writes("a.txt", "right"),)),
        step("I think so"),
    )
    write(tmp_path, "a", replace(solve(0, 1.0, *steps), end=end))
    words = Words()
    imitated(tmp_path, words=words)
    said = [text.partition("\n")[0] for text in words.texts if isinstance(text, str)]
    assert said == ["broken", "other", "right", "again", *said_last]


def test_what_is_not_used_is_counted_with_its_reason(tmp_path):
    write(tmp_path, "a", solve(0, 0.0))
    write(tmp_path, "b", solve(0, 1.0))
    write(tmp_path, "c", solve(0, 1.0))
    torn = tmp_path / "c" / "record.jsonl"
    torn.write_text(torn.read_text().replace('"schema":2', '"schema":7').replace('"schema": 2', '"schema": 7'))
    told, reasons = imitated(tmp_path, room=1)
    assert told == []
    assert reasons[:2] == ["nothing to imitate", "too long"]
    assert "schema 7" in reasons[2]


def test_examples_are_as_many_as_the_policys_loops_and_the_same_in_every_run(tmp_path):
    for name in "abc":
        write(tmp_path, name, solve(0, 1.0))
    given = structs.replace(
        schema.read_recipe("smoke"),
        batch=BatchConfig(2, 3),
        records=RecordsConfig((str(tmp_path),)),
        sources=schema.SourcesConfig(play=0, imitate=1),
    )

    def drawn(*packs):
        sources = Mixture(given, tmp_path, Words(), vocabulary_size=300)
        return {key: loop.id for key, loop in sources.collect_recorded(packs, 0).items()}

    assert list(drawn(4, 5)) == [("imitate", pack, member) for pack in (4, 5) for member in range(3)]
    assert drawn(4, 5) == drawn(4) | drawn(5)
    orders = ["".join(drawn(pack).values()) for pack in range(20)]
    assert all(set(order) == set("abc") for order in orders)  # none comes again before all others have come
    assert len(set(orders)) > 1


def test_records_without_anything_to_imitate_are_an_error_that_says_why(tmp_path):
    write(tmp_path, "a", solve(0, 0.0))
    given = structs.replace(
        schema.read_recipe("smoke"), records=RecordsConfig((str(tmp_path),)), sources=schema.SourcesConfig(play=0, imitate=1)
    )
    with pytest.raises(UsageError, match="has anything to imitate: nothing to imitate"):
        Mixture(given, tmp_path, Words(), vocabulary_size=300).collect_recorded([1], 0)
