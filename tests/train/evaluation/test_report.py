"""Reports on loops: worked by hand, and on loops that the solver plays through codagent's own run_loop."""

import json
from dataclasses import replace

import pytest

from codagent.agent.episode import Agent
from codagent.agent.loop import NotesIO, once_each, run_loop
from codagent.errors import UsageError
from codagent.models.scripted import Scripted
from codagent.types import Loop, Profile
from codagent_train.environments.frozenlake.best_play import ANY_MAPPING, Solver, play_best
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.rules import DIRECTIONS, draw_lake, draw_mapping
from codagent_train.environments.frozenlake.wording import TERSE
from codagent_train.environments.make import LEVELS
from codagent_train.evaluation.report import SETTINGS, NotesAccuracy, PackResult, Setting, make_report
from codagent_train.evaluation.tables import to_json, to_markdown
from codagent_train.intervals import mean_interval, share_interval

EASY = Setting("easy", tasks=4)


def told(pack):
    return ", ".join(f"{code} = {DIRECTIONS[way]}" for code, way in enumerate(draw_mapping(pack.seed), 1))


def solver_replies(setting, pack, notes):
    """What best play with a belief that is carried says, and the same notes after each task."""
    belief, said = ANY_MAPPING, []
    for task in pack.tasks:
        moments = play_best(Solver(draw_lake(LEVELS[setting.level], task.seed)), draw_mapping(pack.seed), belief)
        belief = moments[-1][1]
        said += [*(str(moment.code) for moment, _ in moments), f"<notes>{notes}</notes>"]
    return said[:-1]


def drawn(setting, number):
    return setting.repack(make_lake_pack(LEVELS[setting.level], "test", number, tasks=setting.tasks))


def rolled(setting, pack, replies):
    environment = FrozenLake(LEVELS[setting.level], pack.seed, TERSE)
    agent = Agent(Scripted.from_items(replies), Profile())
    return run_loop(agent, environment, once_each(pack.tasks), loop=Loop("l", "g", "frozenlake", "solver", ""), notes_io=NotesIO("between"))


def solved(setting, packs, notes=told):
    found = [drawn(setting, number) for number in range(packs)]
    return [
        PackResult(number, each, (rolled(setting, each, solver_replies(setting, each, notes(each))),)) for number, each in enumerate(found)
    ]


def test_the_interval_of_four_packs():
    found = mean_interval([0.0, 1.0, 1.0, 0.0])
    assert (found.mean, found.margin) == (0.5, pytest.approx(1.96 * (1 / 3) ** 0.5 / 2))


def test_loops_of_one_pack_count_as_one():
    assert mean_interval([0.25, 0.75]).margin == pytest.approx(1.96 * 0.25)


def test_a_share_that_is_always_one_still_has_a_margin():
    found = share_interval([1.0] * 6)
    assert (found.mean, found.margin) == (1.0, pytest.approx(1.96 * (0.8 * 0.2 / 10) ** 0.5))


@pytest.mark.parametrize("setting", [EASY, Setting("hard", 4), Setting("easy", 8, "ralph")], ids=str)
def test_the_solver_reaches_its_own_ceilings(setting):
    found = make_report("solver", setting, solved(setting, 6))
    assert found.success == found.ceilings.success
    assert found.reward == found.ceilings.reward
    assert (found.packs, found.loops, found.broken_off) == (6, 6, 0)


def test_notes_are_read_where_they_are_used():
    found = make_report("solver", EASY, solved(EASY, 4))
    assert [noted.whole.mean for noted in found.notes] == [0, 1, 1, 1]
    assert [noted.right.mean for noted in found.notes] == [0, 1, 1, 1]


def test_half_right_and_half_wrong():
    def notes(pack):
        ways = draw_mapping(pack.seed)
        return f"1 = {DIRECTIONS[ways[0]]}, 2 = {DIRECTIONS[ways[1]]}, 3 = {DIRECTIONS[ways[3]]}"

    found = make_report("solver", EASY, solved(EASY, 4, notes)).notes[1]
    assert found == NotesAccuracy(share_interval([0] * 4), share_interval([0.5] * 4), share_interval([0.25] * 4))


def test_seeds_are_averaged_within_their_pack():
    played = solved(EASY, 2)
    lost = [rolled(EASY, each.pack, ["no"] + ["<notes>none</notes>", "no"] * 3) for each in played]
    both = [replace(each, loops=(*each.loops, bad)) for each, bad in zip(played, lost, strict=True)]
    alone, mixed = make_report("a", EASY, played), make_report("b", EASY, both)
    assert mixed.loops == 4
    assert [one.mean for one in mixed.success] == [one.mean / 2 for one in alone.success]


def test_the_gain_is_within_packs():
    played = solved(EASY, 5)
    gains = [each.loops[0].episodes[-1].outcome.reward - each.loops[0].episodes[0].outcome.reward for each in played]
    assert make_report("solver", EASY, played).gain == mean_interval(gains)


def test_loops_that_were_broken_off_are_counted_and_left_out():
    played = solved(EASY, 3)
    broken = rolled(EASY, played[0].pack, ["1"])
    found = make_report("solver", EASY, [replace(played[0], loops=(*played[0].loops, broken)), *played[1:]])
    assert (found.loops, found.broken_off) == (3, 1)
    assert found.success == make_report("solver", EASY, played).success


def test_one_pack_has_no_interval():
    with pytest.raises(UsageError, match="at least 2"):
        make_report("solver", EASY, solved(EASY, 1))


def test_by_ralph_packing_the_first_task_comes_again():
    again, once = drawn(Setting("hard", 8, "ralph"), 3), drawn(Setting("hard", 8), 3)
    assert (again.seed, again.tasks) == (once.seed, once.tasks[:1] * 8)


def test_there_are_eight_settings():
    assert len(set(SETTINGS)) == 8
    assert str(SETTINGS[0]) == "easy, 4 tasks"


def test_the_table_has_a_column_for_each_position_and_a_row_for_each_measure():
    lines = to_markdown(make_report("solver", EASY, solved(EASY, 4))).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert lines[0] == "**solver** on easy, 4 tasks: 4 packs, 4 loops"
    assert {row.count("|") for row in rows} == {6}
    assert next(row for row in rows if "notes tell" in row) == (
        "| notes tell the mapping | 0.00 ± 0.30 | 1.00 ± 0.30 | 1.00 ± 0.30 | 1.00 ± 0.30 |"  # of 0, 0, 0, 0 and the four beside them
    )


def test_answers_of_no_valid_form_are_told():
    played = solved(EASY, 3)
    lost = rolled(EASY, played[0].pack, ["well"] * 20)
    report = make_report("solver", EASY, [replace(played[0], loops=(lost,)), *played[1:]])
    assert report.formless == 4
    assert to_markdown(report).endswith("\n\n4 of 12 attempts ended because an answer had no valid form.")
    assert "valid form" not in to_markdown(make_report("solver", EASY, played))


def test_json_says_the_same():
    found = make_report("solver", EASY, solved(EASY, 4))
    (read,) = json.loads(to_json([found]))
    assert (read["player"], read["packs"]) == ("solver", 4)
    assert read["setting"] == {"level": "easy", "tasks": 4, "packing": "cod", "notes": "own"}
    assert [one["mean"] for one in read["reward"]] == [one.mean for one in found.reward]
