"""Which recorded groups a run learns from again."""

import json
from dataclasses import replace

import pytest
from msgspec import structs

from codagent.errors import UsageError
from codagent_train.data.replay import Replay, policy_aliases
from codagent_train.recipe.schema import RecordsConfig, read_recipe
from codagent_train.run_dir.weights_ref import resolve
from tests.train.data.records.recordings import PLAIN, reply, write
from tests.train.doubles.weights import save_weights


@pytest.fixture
def smoke(tmp_path):
    """A recipe with records of two groups, by weights that the folder `weights` was made of."""
    for name, group in (("a", "g"), ("b", "g"), ("c", "h"), ("d", "h")):
        write(tmp_path / "loops", name, 0.0, loop=replace(PLAIN, group=group, start_commit=group))
    save_weights(tmp_path / "weights")
    (tmp_path / "weights/codagent.json").write_text(json.dumps({"source": "tiny.gguf", "recorded": "tiny#00"}))
    given = read_recipe("smoke")
    return structs.replace(
        given,
        policy=structs.replace(given.policy, weights=str(tmp_path / "weights")),
        records=RecordsConfig((str(tmp_path / "loops"),), 3),
    )


def drawn(given, out, packs, step=0):
    return [[loop.id for loop in group] for group in Replay(given, out, vocabulary_size=100).groups(packs, step).values()]


def test_a_pack_has_the_same_group_in_every_run_and_all_have_their_turn(smoke, tmp_path):
    first = drawn(smoke, tmp_path, range(20))
    assert first == drawn(smoke, tmp_path, range(20), step=3)
    assert sorted(set(map(tuple, first))) == [("a", "b"), ("c", "d")]
    assert drawn(smoke, tmp_path, [7]) == [first[7]]


def test_what_is_stale_by_now_has_no_tokens(smoke, tmp_path):
    replay = Replay(smoke, tmp_path, vocabulary_size=100)
    tokens = [
        [step.reply.tokens is not None for group in replay.groups([0], at).values() for loop in group for step in loop.episodes[0].steps]
        for at in (3, 4)
    ]
    assert tokens == [[True, True], [False, False]]


def test_weights_that_are_not_those_of_the_records_have_nothing_to_replay(smoke, tmp_path):
    (tmp_path / "weights/codagent.json").unlink()
    with pytest.raises(UsageError, match=r"no record in .*loops can be replayed for .*weights or .*;"):
        drawn(smoke, tmp_path, [0])


def test_records_are_not_looked_for_before_they_are_needed(smoke, tmp_path):
    assert drawn(structs.replace(smoke, records=RecordsConfig(("gone",), 3)), tmp_path, []) == []


def test_records_may_call_the_weights_by_where_they_lie_by_their_run_and_by_what_they_were_imported_from(smoke, tmp_path):
    start = resolve(smoke.policy.weights)
    assert policy_aliases(start, tmp_path / "run") == (str(tmp_path / "weights"), "run", "tiny#00")
    assert policy_aliases(resolve("some/model"), tmp_path / "run") == ("some/model", "run")


def test_loops_of_an_adapter_are_replayed_by_the_training_that_goes_on_with_it(smoke, tmp_path):
    checkpoint = tmp_path / "taught" / "checkpoint-20"
    save_weights(checkpoint)
    (tmp_path / "taught" / "run.json").write_text("{}")
    for name in "ef":
        said = [reply(policy="taught@20 text")]
        write(tmp_path / "loops", name, 0.0, *said, loop=replace(PLAIN, group="i", start_commit="i"))
    going_on = structs.replace(smoke, policy=structs.replace(smoke.policy, weights=str(checkpoint)))
    assert drawn(going_on, tmp_path / "run", [0, 1]) == [["e", "f"], ["e", "f"]]
