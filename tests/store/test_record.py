import json
import random
from dataclasses import replace

import pytest

from codagent.errors import RecordError
from codagent.store.codec import decode, encode
from codagent.store.record import Record, load
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, Tokens, ToolCall
from tests.store.foreign import without_checksums

PROMPT = (Message("system", "rules"), Message("user", "a name that is no UTF-8: \udcff"))


def reply(number, prompt_ids=(), completion_ids=()):
    call = ToolCall(f"c{number}", "bash", '{"command": "ls"}')
    tokens = Tokens(prompt_ids, completion_ids, tuple(-0.5 for _ in completion_ids)) if completion_ids else None
    message = Message("assistant", f"thought {number}", (call,))
    return Reply(message, "tool_calls", 10, 2, 0.01, tokens, Sampling(0.8, 1.0, 0, 100, 7), "weights", "raw text")


def step(number, *ids, context=None):
    return Step(reply(number, *ids), Observation((Message("tool", "exit 0", tool_call_id=f"c{number}"),)), 0.25, context)


def write(path, steps, *, ended=True, pending=None):
    episode = Episode("solve", 0, Task("t", "do it", ("true",), 3), "", PROMPT)
    record = Record(path, Loop("id", "group", "repository", "model", "abc", settings={"limits": {"steps": 5}}))
    record.on_episode_start(episode)
    for one in steps:
        record.on_reply(one.reply, one.context)
        record.on_step(one)
    if pending:
        record.on_reply(pending, None)
    if ended:
        episode = replace(episode, steps=tuple(steps), end="finished", outcome=Outcome(0.5, False, "no"), commit="def")
        record.on_episode_end(episode)
        record.finish("finished")
    record.close()
    return episode


def test_a_loop_comes_back_as_it_was(tmp_path):
    steps = [step(1, (1, 2, 3), (4, 5)), step(2, (1, 2, 3, 4, 5, 6), (7,)), step(3, (9, 9), (8,), context=PROMPT)]
    episode = write(tmp_path / "r", steps)
    loop = load(tmp_path / "r")
    assert loop.episodes == (episode,)
    assert (loop.id, loop.end, loop.settings) == ("id", "finished", {"limits": {"steps": 5}})


def test_prompt_ids_are_kept_once(tmp_path):
    ids = tuple(range(1000))
    write(tmp_path / "r", [step(1, ids, (1000,)), step(2, (*ids, 1000, 1001), (1002,))])
    second = [json.loads(line) for line in (tmp_path / "r").read_text().splitlines()][4]["reply"]
    assert (second["shared"], second["reply"]["tokens"]["prompt_ids"]) == (1001, [1001])


def test_a_record_torn_at_any_byte_loads_with_its_whole_steps(tmp_path):
    write(tmp_path / "whole", [step(1, (1,), (2,)), step(2, (1, 2), (3,))])
    raw = (tmp_path / "whole").read_bytes()
    first_line = raw.index(b"\n") + 1
    counts = []
    for size in range(first_line, len(raw) + 1):
        (tmp_path / "torn").write_bytes(raw[:size])
        episodes = load(tmp_path / "torn").episodes
        counts.append(len(episodes[0].steps) if episodes else 0)
        assert all(len(s.observation.messages) == len(s.reply.message.tool_calls) for e in episodes for s in e.steps)
    assert counts == sorted(counts)
    assert counts[-1] == 2


def test_a_record_torn_in_its_first_line_says_so(tmp_path):
    (tmp_path / "r").write_bytes(b'{"loop":{"sch')
    with pytest.raises(RecordError, match="no whole line"):
        load(tmp_path / "r")


def test_an_unanswered_call_is_closed_as_interrupted(tmp_path):
    write(tmp_path / "r", [step(1)], ended=False, pending=reply(2))
    episode = load(tmp_path / "r").episodes[0]
    assert episode.end == "interrupted"
    assert episode.steps[-1].observation == Observation((Message("tool", "error: interrupted", tool_call_id="c2"),), "interrupted")


@pytest.fixture
def sealed(tmp_path):
    """A record of two steps, whose lines have checksums, and what it holds."""
    write(tmp_path / "r", [step(1, (1, 2), (3,)), step(2, (1, 2, 3), (4,))])
    return tmp_path / "r", load(tmp_path / "r")


def test_a_bit_that_is_flipped_anywhere_is_noticed(sealed):
    path, loop = sealed
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(500):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        if flipped.endswith(b"\n"):
            with pytest.raises(RecordError, match=r", line \d+, is damaged|has schema"):
                load(path)
        else:
            assert load(path) == replace(loop, end=None)  # the last line is torn


def test_a_line_that_is_missing_doubled_or_moved_is_named(sealed):
    path, _ = sealed
    lines = path.read_bytes().splitlines(keepends=True)
    for at in range(len(lines) - 1):
        removed = [*lines[:at], *lines[at + 1 :]]
        moved = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
        for damaged in (removed, moved):
            path.write_bytes(b"".join(damaged))
            with pytest.raises(RecordError, match=rf", line {at + 1}, is damaged \(its checksum .*\); .* cut the file there"):
                load(path)
        path.write_bytes(b"".join([*lines[: at + 1], *lines[at:]]))
        with pytest.raises(RecordError, match=f", line {at + 2}, is damaged"):
            load(path)


def test_a_record_goes_on_with_its_checksums(sealed):
    path, loop = sealed
    Record(path, loop).close()
    path.write_bytes(path.read_bytes().replace(b'"end":"finished"', b'"end":"finishes"'))
    with pytest.raises(RecordError, match=", line 7, is damaged"):
        load(path)


def test_a_record_of_a_version_without_checksums_loads_and_goes_on(sealed):
    path, loop = sealed
    path.write_text(without_checksums(path.read_text()))
    assert load(path) == loop
    again = Record(path, loop)
    again.finish("finished")
    again.close()
    assert load(path) == loop
    path.write_bytes(path.read_bytes().replace(b'"finished"},"sum"', b'"finishes"},"sum"'))
    with pytest.raises(RecordError, match=", line 10, is damaged"):
        load(path)


@pytest.mark.parametrize(
    ("was", "put", "said"),
    [
        ("-0.5", "null", "None where a value of type float"),
        ("-0.5", "true", "True where a value of type float"),
        ("thought 1", "\\ud800", "holds half a character"),
        ('"seed":7', f'"seed":{"1" * 5_001}', "is damaged"),
        ('"seed":7', f'"seed":{"1" * 4_000}', "bits is too large"),
        ('"limits":{"steps":5}', f'"limits":{"[" * 50_000}', "is damaged"),
        ('"limits":{"steps":5}', f'"limits":{"[" * 500}{"]" * 500}', "nested more than 100 times"),
        ('{"end":"finished"}', '{"end":["finished"]}', "where a value of type str"),
        ('"shared":0', '"shared":-1', "shares -1 ids"),
    ],
)
def test_what_no_loop_leaves_is_refused_in_one_sentence(sealed, was, put, said):
    path, _ = sealed
    text = without_checksums(path.read_text())
    assert was in text
    path.write_text(text.replace(was, put, 1))
    with pytest.raises(RecordError, match=rf"^{path}, line \d+, is damaged.*$") as caught:
        load(path)
    assert said in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 250


def test_half_a_character_that_a_model_writes_does_not_spoil_the_record(tmp_path):
    first = step(1)
    odd = replace(first, reply=replace(first.reply, raw="\ud83d and \udcff and \U0001f600"))
    write(tmp_path / "r", [odd])
    assert load(tmp_path / "r").episodes[0].steps[0].reply.raw == "\ufffd and \udcff and \U0001f600"


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda raw: raw.replace(b'"schema":', b'"schema":9'), "schema 9"),
        (lambda raw: raw.replace(b'"seconds":', b'"secunds":'), "unknown key 'secunds'"),
        (lambda raw: raw.replace(b'"kind":"solve"', b'"kind":"dance"'), "'dance' is none of"),
        (lambda raw: raw.replace(b'"prompt_tokens":10', b'"prompt_tokens":"10"'), "'10' where"),
        (lambda raw: raw.replace(b'{"observation"', b'{"observatory"', 1), "kind 'observatory'"),
        (lambda raw: raw.replace(b'{"reply"', b"\x00\x00", 1), "line 3"),
    ],
)
def test_damage_in_the_middle_is_refused_with_its_place(tmp_path, damage, match):
    write(tmp_path / "r", [step(1)])
    (tmp_path / "r").write_bytes(damage(without_checksums((tmp_path / "r").read_text()).encode()))
    with pytest.raises(RecordError, match=match):
        load(tmp_path / "r")


def test_a_record_goes_on_where_it_was_broken_off_and_never_starts_over(tmp_path):
    path = tmp_path / "r"
    write(path, [step(1), step(2)])
    for cut in range(path.read_bytes().index(b"\n") + 1, len(path.read_bytes()) + 1):
        torn = tmp_path / f"r{cut}"
        torn.write_bytes(path.read_bytes()[:cut])
        before = load(torn)
        record = Record(torn, before)
        record.close()
        again = load(torn)
        assert (again.id, len(again.episodes)) == (before.id, len(before.episodes))
        if before.episodes and before.episodes[-1].end == "interrupted":
            assert [s.reply for s in again.episodes[-1].steps] == [s.reply for s in before.episodes[-1].steps]


def test_an_unanswered_reply_is_answered_in_the_record_once_it_goes_on(tmp_path):
    path = tmp_path / "r"
    record = Record(path, Loop("id", "group", "repository", "model", "abc"))
    record.on_episode_start(Episode("solve", 0, Task("t", "x"), "", PROMPT))
    record.on_reply(step(1).reply, None)
    record.close()
    again = Record(path, load(path))
    again.on_step(step(1))
    again.on_episode_end(Episode("solve", 0, Task("t", "x"), "", PROMPT, (step(1),), "finished"))
    again.close()
    (episode,) = load(path).episodes
    assert (episode.end, episode.steps) == ("finished", (step(1),))


def test_requests_are_what_each_step_was_asked_with():
    shortened = (Message("user", "short"),)
    first, second, third = step(1), step(2, context=shortened), step(3)
    episode = Episode("solve", 0, Task("t", "x"), "", PROMPT, (first, second, third))
    assert list(episode.requests()) == [PROMPT, shortened, (*shortened, second.reply.message, *second.observation.messages)]


def test_defaults_are_left_out_and_come_back():
    assert encode(Message("user", "hi")) == {"role": "user", "content": "hi"}
    assert decode(Message, {"role": "user", "content": "hi"}) == Message("user", "hi")


@pytest.mark.parametrize("line", ['{"loop":5}', '{"loop":[1]}', "[" * 5000])
def test_a_first_line_that_is_no_loop_is_an_error_and_not_a_crash(tmp_path, line):
    (tmp_path / "r").write_text(line + "\n")
    with pytest.raises(RecordError):
        load(tmp_path / "r")


def test_what_the_provider_wants_back_is_kept_and_a_record_without_it_loads(tmp_path):
    plain = step(1)
    message = replace(plain.reply.message, provider_data='{"message": {"reasoning": "h\u00e9"}, "calls": [{}]}')
    steps = [replace(plain, reply=replace(plain.reply, message=message)), step(2)]
    write(tmp_path / "r", steps)
    assert load(tmp_path / "r").episodes[0].steps == tuple(steps)
    assert (tmp_path / "r").read_text().count("provider_data") == 1
