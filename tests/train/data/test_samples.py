"""Rows out of groups of loops, and their division into parts."""

from codagent.store.trainable import prefix_chains
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, Tokens
from codagent_train.data.credit import mean, own_rewards, paper
from codagent_train.data.samples import TrainingSample, balance_environments, build_samples, imitation_samples, key_loops, split_samples


def step(ids=(1,), temperature=None):
    tokens = Tokens((5, 6), ids, (-0.5,) * len(ids))
    return Step(Reply(Message("assistant"), "stop", 2, len(ids), 0.0, tokens, Sampling(temperature), "p", ""), Observation(()), 0.0)


def episode(kind, position, reward, *steps):
    return Episode(kind, position, Task("t", ""), "", (), steps or (step(),), "finished", outcome=Outcome(reward, reward > 0, ""))


def loop(*rewards, end="finished"):
    """Two tasks with notes between."""
    return Loop(
        "l", "g", "e", "m", "", (episode("solve", 0, rewards[0]), episode("notes", 0, 0.0), episode("solve", 1, rewards[1])), end=end
    )


def reaped(*groups, returns=paper, reweight=False):
    return build_samples(key_loops("play", dict(enumerate(groups))), returns=returns, baseline=mean, reweight=reweight)


def test_every_reply_has_the_advantage_of_its_episode():
    # returns: solve 0: 1/2 and 0; notes: (0 + 1)/2 and 0; solve 1: 1 and 0; less their means
    found = reaped([loop(0, 1), loop(0, 0)])
    assert [(row.kind, row.position, row.advantage) for row in found.samples] == [
        ("solve", 0, 0.25),
        ("notes", 0, 0.25),
        ("solve", 1, 0.5),
        ("solve", 0, -0.25),
        ("notes", 0, -0.25),
        ("solve", 1, -0.5),
    ]


def test_an_episode_of_several_replies_has_a_row_for_each():
    long = Loop("l", "g", "e", "m", "", (episode("solve", 0, 1.0, step((1,)), step((2, 3))),), end="finished")
    short = Loop("l", "g", "e", "m", "", (episode("solve", 0, 0.0),), end="finished")
    assert [(row.trained_tokens, row.advantage) for row in reaped([long, short]).samples] == [(1, 0.5), (2, 0.5), (1, -0.5)]


def test_replies_that_go_on_where_the_one_before_ended_share_a_row():
    first, second, third = Tokens((5,), (1, 6), (-1.0, -1.0)), Tokens((5, 1, 6, 5, 5), (2,), (-2.0,)), Tokens((5, 1), (3,), (-3.0,))
    assert prefix_chains([first, second, third]) == [(first, second), (third,)]
    row = TrainingSample((first, second), 1.0, "solve", 0)
    assert (row.ids, row.length, row.trained_tokens) == ((5, 1, 6, 5, 5, 2), 6, 3)


def test_a_reply_that_was_read_otherwise_than_it_was_written_begins_a_row():
    said, read = Tokens((5,), (1, 1), (-1.0, -1.0)), Tokens((5, 11, 5), (2,), (-1.0,))
    assert prefix_chains([said, read]) == [(said,), (read,)]


def test_loops_that_are_imitated_count_alike_whatever_came_of_them():
    assert [row.advantage for row in imitation_samples([loop(0, 1), loop(0, 0)])] == [1.0] * 6


def test_a_group_that_has_nothing_to_teach_is_counted_and_left_out():
    found = reaped([loop(1, 1), loop(1, 1)], [loop(0, 1), loop(0, 0)])
    assert (found.groups_without_signal, len(found.samples)) == (1, 6)


def test_a_loop_that_broke_off_is_compared_with_none():
    assert reaped([loop(0, 1), loop(0, 0), loop(1, 1, end="sandbox")]).samples == reaped([loop(0, 1), loop(0, 0)]).samples
    assert reaped([loop(0, 1), loop(1, 1, end="sandbox")]).samples == ()


def test_notes_without_credit_have_rows_that_teach_nothing():
    found = reaped([loop(0, 1), loop(0, 0)], returns=own_rewards)
    assert {row.advantage for row in found.samples if row.kind == "notes"} == {0.0}


def test_reweighting_turns_a_batch_that_pushes_down_into_one_that_does_not():
    long = Loop("l", "g", "e", "m", "", (episode("solve", 0, 0.0, step((1, 2, 3, 4))),), end="finished")
    short = Loop("l", "g", "e", "m", "", (episode("solve", 0, 1.0),), end="finished")
    plain, weighted = reaped([long, short]), reaped([long, short], reweight=True)
    assert sum(row.advantage * row.trained_tokens for row in plain.samples) == -1.5
    assert weighted.reweighting_temperature is not None
    assert sum(row.advantage * row.trained_tokens for row in weighted.samples) > -0.5


def rows(*lengths):
    return [TrainingSample((Tokens((0,) * (length - 1), (1,), (-1.0,)),), 1.0, "solve", 0) for length in lengths]


def test_parts_have_about_the_same_number_of_tokens():
    found = split_samples(rows(2, 30, 4, 4, 10, 10, 20, 40), 3)
    assert [sum(row.length for row in part) for part in found] == [30, 50, 40]
    assert [row.length for part in found for row in part] == [2, 4, 4, 10, 10, 20, 30, 40]


def test_there_are_always_as_many_parts_as_asked_for():
    assert [len(part) for part in split_samples(rows(3), 4)] == [0, 0, 1, 0]
    assert split_samples([], 2) == [[], []]


def test_copies_count_less_only_in_what_is_imitated_out_of_records():
    loops = (
        key_loops("imitate", {0: [loop(0, 1)]}) | key_loops("teacher", {1: [loop(0, 1)]}) | key_loops("play", {2: [loop(0, 1), loop(0, 0)]})
    )
    batch = build_samples(loops, returns=paper, baseline=mean, reweight=False, copied=0.2)
    assert {(row.source, row.copied) for row in batch.samples} == {("imitate", 0.2), ("teacher", 1.0), ("play", 1.0)}


def test_a_row_is_of_one_temperature_and_what_is_imitated_has_none_of_its_own():
    warmer = Loop("l", "g", "e", "m", "", (episode("solve", 0, 1.0, step(temperature=0.7), step(temperature=0.8)),), end="finished")
    found = reaped([warmer, loop(0, 0)])
    assert [row.temperature for row in found.samples if row.advantage > 0] == [0.7, 0.8]
    assert [(row.temperature, row.imitated) for row in imitation_samples([warmer])] == [(1.0, True)] * 2


def test_loops_without_notes_are_compared_with_and_not_trained_on():
    plain = [loop(0, 0), loop(0, 1)]
    loops = key_loops("play", {3: [loop(0, 1), loop(0, 0)]}) | key_loops("without_notes", {3: plain})
    found = build_samples(loops, returns=paper, baseline=mean, reweight=False)
    # notes: (0 + 1) / 2 and 0, less (0 + 1/2) / 2 without notes
    assert [(row.kind, row.position, row.advantage) for row in found.samples] == [
        ("solve", 0, 0.25),
        ("notes", 0, 0.25),
        ("solve", 1, 0.5),
        ("solve", 0, -0.25),
        ("notes", 0, -0.25),
        ("solve", 1, -0.5),
    ]
    other = build_samples(
        key_loops("play", {3: [loop(0, 1), loop(0, 1)]}) | key_loops("without_notes", {3: [loop(0, 0), loop(0, 0)]}),
        returns=paper,
        baseline=mean,
        reweight=False,
    )
    assert [row.advantage for row in other.samples if row.kind == "notes"] == [0.5, 0.5]  # all alike, and still worth it


def in_environment(name, *rewards, tokens=1):
    episodes = tuple(episode("solve", position, reward, step((1,) * tokens)) for position, reward in enumerate(rewards))
    return Loop("l", "g", f"{name}-77", "m", "", episodes, end="finished")


def test_a_sample_knows_its_environment_without_the_seed_of_the_pack():
    found = reaped([in_environment("control-hard", 0), in_environment("control-hard", 1)])
    assert {sample.environment for sample in found.samples} == {"control-hard"}


def test_balanced_environments_share_the_loss_by_weight_whatever_they_train():
    groups = (
        [in_environment("long", 0, tokens=30), in_environment("long", 1, tokens=30)],
        [in_environment("short", 0), in_environment("short", 1)],
    )
    plain = reaped(*groups)
    shares = {}
    for name, weights in (("plain", None), ("even", {"long": 1, "short": 1}), ("one to three", {"long": 1.0, "short": 3.0})):
        found = balance_environments(plain, weights) if weights else plain
        pull = {
            label: sum(abs(row.advantage) * row.trained_tokens for row in found.samples if row.environment == label)
            for label in ("long", "short")
        }
        shares[name] = round(pull["short"] / sum(pull.values()), 6)
    assert shares == {"plain": round(1 / 31, 6), "even": 0.5, "one to three": 0.75}


def test_balance_keeps_the_sum_of_weights_and_leaves_environments_alone_that_have_none():
    plain = reaped(
        [in_environment("long", 0, tokens=3), in_environment("long", 1)], [in_environment("other", 0), in_environment("other", 1)]
    )
    assert balance_environments(plain, {"absent": 2.0}) == plain
    assert balance_environments(plain, {"long": 2.0}) == plain


def test_reweighting_can_have_a_temperature_for_each_environment():
    falling = [in_environment("falling", 0, tokens=9), in_environment("falling", 1)]
    rising = [in_environment("rising", 0), in_environment("rising", 1, tokens=9)]
    loops = key_loops("play", {0: falling, 1: rising})
    batch = build_samples(loops, returns=paper, baseline=mean, reweight=True)
    assert batch.reweighting_temperature is None, "the two make up for each other"
    found = build_samples(loops, returns=paper, baseline=mean, reweight=True, by_environment=True)
    assert found.reweighting_temperature is not None
    by_environment = {row.environment: [] for row in found.samples}
    for row in found.samples:
        by_environment[row.environment].append(row.advantage)
    assert by_environment["rising"] == [-0.5, 0.5]
    assert by_environment["falling"] != [-0.5, 0.5]
