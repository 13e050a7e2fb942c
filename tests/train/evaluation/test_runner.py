"""Evaluations, played by an engine that learns mappings from what it is shown."""

import re
from dataclasses import replace
from random import Random

import pytest

from codagent.errors import UsageError
from codagent.types import Profile, Sampling, Tokens
from codagent_train.evaluation import loops, notes_conditions
from codagent_train.evaluation.loops import LOOPS_AT_ONCE
from codagent_train.evaluation.report import SETTINGS, Setting
from codagent_train.evaluation.runner import EvalSession, EvalSize, choose_settings, evaluate
from codagent_train.evaluation.target import EvalTarget
from codagent_train.recipe.environment_config import EnvironmentConfig
from codagent_train.recipe.schema import read_recipe
from codagent_train.rollout.sampler import Sampler
from codagent_train.run_dir.weights_ref import WeightsRef
from tests.train.command import run_train
from tests.train.doubles.weights import save_weights

SMOKE = read_recipe("smoke")
PLACE = EnvironmentConfig("frozenlake", "hard", tasks=3)
PLAYER = EvalTarget(WeightsRef("some/trained", "trained"), SMOKE, untrained="base")
PROFILE = Profile(sampling=Sampling(max_tokens=80), notes_tokens=100)
EASY = Setting("easy", 4)
SIZE = EvalSize(packs=4, loops=2)


class Letters:
    """A Tokenizer with an id for each character; the messages follow each other."""

    @staticmethod
    def encode(messages):
        return tuple(ord(letter) for message in messages for letter in message.content)

    @staticmethod
    def decode(ids):
        return "".join(map(chr, ids))


class Learner:
    """An Engine that goes anywhere by its seed, and notes what it has seen to be so, where it is one that `learns`."""

    ends: frozenset[int] = frozenset()

    def __init__(self, *, learns=True):
        self.learns, self.batches = learns, []

    def generate(self, prompts, samplings):
        self.batches.append(len(prompts))
        return [self._drawn(prompt, each.seed) for prompt, each in zip(prompts, samplings, strict=True)]

    def _drawn(self, prompt, seed):
        text = Letters.decode(prompt)
        said = str(Random(seed).randint(1, 4))
        if "# Notes so far" in text:
            seen = dict(re.findall(r"([1-4]) (?:went|=) (down|right|up|left)", text)) if self.learns else {}
            said = f"<notes>{', '.join(f'{code} = {way}' for code, way in seen.items()) or 'nothing yet'}</notes>"
        return Tokens(prompt, tuple(map(ord, said)), (-1.0,) * len(said))


def opened(player):
    return Sampler(Learner(learns=player.name == "trained"), Letters, player.name), PROFILE


def reported(*chosen, size=SIZE, say=lambda _: None):
    return list(evaluate(PLAYER, chosen, size, say=say, opener=opened))


def right(report):
    return [noted.right.mean for noted in report.notes]


def played(setting=EASY, packs=2, loops=2, player=PLAYER, engine=None):
    stage = EvalSession(player, lambda _: (Sampler(engine or Learner(), Letters, player.name), PROFILE), lambda _: None)
    return stage.play(setting, notes_conditions.own_notes(packs, loops))


def outcomes(played):
    return [[episode.outcome for loop in each.loops for episode in loop.episodes] for each in played]


def test_a_report_tells_of_each_setting_in_order():
    found = reported(EASY, Setting("hard", 2, "ralph"))
    assert [report.setting for report in found] == [EASY, Setting("hard", 2, "ralph")]
    assert [(report.player, report.packs, report.loops, report.broken_off) for report in found] == [("trained", 4, 8, 0)] * 2


def test_own_notes_know_more_from_task_to_task():
    (report,) = reported(EASY)
    assert right(report) == sorted(right(report))
    assert right(report)[0] == 0
    assert right(report)[3] > 0.5
    assert [noted.wrong.mean for noted in report.notes] == [0] * 4


def test_without_notes_nothing_is_known():
    assert right(*reported(replace(EASY, notes="none"))) == [0] * 4


def test_the_notes_of_other_packs_are_wrong():
    (own,), (shuffled,) = reported(EASY), reported(replace(EASY, notes="shuffled"))
    assert shuffled.notes[3].right.mean < own.notes[3].right.mean
    assert shuffled.notes[3].wrong.mean > 0


def test_frozen_notes_are_those_of_the_untrained_model():
    said = []
    assert right(*reported(replace(EASY, notes="frozen"), say=said.append)) == [0] * 4
    assert said == [
        "base on easy, 4 tasks: 0 of 8 loops played",
        "trained on easy, 4 tasks, with the untrained model's notes: 0 of 8 loops played",
    ]


def test_progress_is_told_while_loops_run(monkeypatch):
    monkeypatch.setattr(loops, "SAY_SECONDS", 0.0)
    said = []
    reported(EASY, say=said.append)
    first, *others = said
    assert first == "trained on easy, 4 tasks: 0 of 8 loops played"
    assert others[0] == f"{first}, and 1 answer in those that run"
    assert len(others) > 50


def test_the_first_task_is_played_alike_whoever_wrote_the_notes():
    own, without = reported(EASY)[0], reported(replace(EASY, notes="none"))[0]
    assert own.reward[0] == without.reward[0]


def test_draws_follow_from_setting_pack_and_loop_and_not_from_the_player():
    assert outcomes(played()) == outcomes(played(player=replace(PLAYER, weights=WeightsRef("some/other", "other"))))
    assert outcomes(played(packs=1)) == outcomes(played())[:1]
    first, second = played(packs=1)[0].loops
    assert first.episodes != second.episodes


def test_loops_are_played_no_more_than_so_many_at_a_time():
    engine = Learner()
    found = played(Setting("easy", 1), packs=2, loops=LOOPS_AT_ONCE // 2 + 5, engine=engine)
    assert max(engine.batches) == LOOPS_AT_ONCE
    assert outcomes(found) == outcomes(played(Setting("easy", 1), packs=2, loops=LOOPS_AT_ONCE // 2 + 5))
    assert [len(each.loops) for each in found] == [LOOPS_AT_ONCE // 2 + 5] * 2


def test_what_was_said_is_not_kept():
    episodes = [episode for each in played() for loop in each.loops for episode in loop.episodes]
    assert {(episode.prompt, episode.steps) for episode in episodes} == {((), ())}


def test_a_setting_is_the_recipes_but_for_what_is_given():
    assert choose_settings(PLACE, {}, notes="none") == [Setting("hard", 3, "cod", "none")]
    assert choose_settings(PLACE, {"level": "easy", "packing": "ralph"}, notes="own") == [Setting("easy", 3, "ralph")]


def test_all_settings_are_those_that_fit_what_is_given():
    assert choose_settings(PLACE, {}, notes="own", all_settings=True) == list(SETTINGS)
    found = choose_settings(PLACE, {"level": "hard", "tasks": 8}, notes="none", all_settings=True)
    assert found == [Setting("hard", 8, "cod", "none"), Setting("hard", 8, "ralph", "none")]


@pytest.mark.parametrize(("given", "told"), [({"level": "huge"}, "no level 'huge'; take one of "), ({"tasks": 3}, "4 and 8 tasks")])
def test_a_setting_that_there_is_not_is_refused(given, told):
    with pytest.raises(UsageError, match=told):
        choose_settings(PLACE, given, notes="own", all_settings=True)


def evaluated(*arguments):
    return run_train("eval", *arguments)


def test_the_command_says_what_it_lacks(tmp_path):
    done = evaluated(save_weights(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"codagent-train: {tmp_path} is not from a run; say with --recipe")
    done = evaluated("toy")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("codagent-train: toy is no folder on this machine, so it would be a name on the hub; say with --recipe")


def test_a_file_that_cannot_be_written_is_said_before_anything_is_played(tmp_path):
    done = evaluated("some/model", "--recipe", "smoke", "--json", tmp_path / "nowhere" / "file")
    assert done.returncode == 2
    assert done.stderr == f"codagent-train: the reports cannot be written to {tmp_path}/nowhere/file: No such file or directory\n"
