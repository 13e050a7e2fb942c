"""FrozenLake-Obscure as a model meets it: what it is shown, what counts as an answer, what it is told at the end."""

import pytest

from codagent.types import Message, Outcome
from codagent_train.environments.frozenlake.best_play import Solver, play_best
from codagent_train.environments.frozenlake.environment import FrozenLake, make_lake_pack
from codagent_train.environments.frozenlake.rules import EASY, HARD, MAPPINGS, draw_lake, draw_mapping, move
from codagent_train.environments.frozenlake.wording import BRIEF, PAPER, TERSE

PACK = make_lake_pack(EASY, "test", 3)
TASK = PACK.tasks[0]
WAYS = draw_mapping(PACK.seed)  # the hidden mapping
GRID = "O _ G P\nO O _ _\n_ _ O _\nO _ _ _"


def code(direction):
    return WAYS.index(("down", "right", "up", "left").index(direction)) + 1


def begun(form=TERSE, notes=""):
    environment = FrozenLake(EASY, PACK.seed, form)
    return environment, environment.reset(TASK, notes)


def said(environment, text):
    return environment.step(Message("assistant", text))


def test_a_pack_is_the_same_each_time_and_a_longer_one_begins_with_it():
    assert make_lake_pack(EASY, "test", 3) == PACK
    longer = make_lake_pack(EASY, "test", 3, tasks=8)
    assert (longer.seed, longer.tasks[:4]) == (PACK.seed, PACK.tasks)


def test_tasks_differ_between_positions_seeds_levels_and_splits():
    packs = [make_lake_pack(level, split, seed) for level in (EASY, HARD) for split in ("train", "test") for seed in range(20)]
    assert len({task.seed for drawn in packs for task in drawn.tasks}) == len({task.id for drawn in packs for task in drawn.tasks}) == 320


def test_a_task_shows_its_lake():
    assert TASK.instruction == f"Cross the lake from P to G; O is a hole.\n{GRID}"


def test_notes_are_part_of_the_rules_and_their_absence_is_said():
    assert begun(notes="1 is down")[1][0].content.endswith("Notes: 1 is down")
    assert begun()[1][0].content.endswith("Notes: (none yet)")
    assert "\n1 is down\n" in begun(PAPER, "1 is down")[1][0].content


def test_the_rules_name_the_length_of_an_answer():
    rules = FrozenLake(EASY, PACK.seed, PAPER, tokens=1500).reset(TASK, "")[0].content
    assert "1500 tokens" in rules
    assert "{" not in rules


def test_the_brief_form_tells_where_the_goal_lies_and_where_there_is_no_ice():
    environment, messages = begun(BRIEF)
    assert messages[1].content == "1/8; goal left 1; edge right up"
    assert said(environment, f"down {code('down')}").messages[0].content == f"2/8; {code('down')} went down; goal up 1 left 1; edge right"
    assert make_lake_pack(EASY, "test", 3, form=BRIEF).tasks[0].instruction == ""


def test_in_the_brief_form_an_action_comes_after_the_direction_that_is_hoped_for():
    assert [BRIEF.parse_answer(text) for text in ("left 3", "try 4 ", "3", "left3", "left 34", "away 3")] == [3, 4, None, None, None, None]
    assert [form.parse_answer(form.render_action(2, way)) for form in (PAPER, TERSE, BRIEF) for way in (None, "up")] == [2] * 6


def test_the_terse_form_shows_the_lake_and_what_lies_around():
    around = "P (0, 3) G (0, 2): down ice, right edge, up edge, left goal"
    assert begun()[1][1].content == f"turn 1 of 8\n{GRID}\n{around}"


def test_the_terse_form_tells_what_an_action_did():
    environment, _ = begun()
    down, up = code("down"), code("up")
    assert said(environment, f"{up}").messages[0].content.startswith(f"turn 2 of 8\n{up} hit the edge\nO _ G P")
    assert said(environment, f"{down}").messages[0].content.startswith(f"turn 3 of 8\n{down} went down\nO _ G _\nO O _ P")


def test_the_papers_form_shows_step_move_grid_and_goal():
    environment, prompt = begun(PAPER)
    assert prompt[1].content.startswith("Step 1/8\n O \t _ \t G \t P \t\n")
    assert prompt[1].content.endswith("The goal is at (0, 2); rows and columns count from 0. What is your next action?")
    down, right = code("down"), code("right")
    moving = said(environment, f"So. <answer>Direction {down}</answer>").messages[0].content
    assert moving.startswith(f"Step 2/8\nDirection {down} was taken and moved the player from (0, 3) to (1, 3).\n")
    stuck = said(environment, f"<answer> direction {right} </answer>").messages[0].content
    assert f"Direction {right} was taken and the player is still at (1, 3), perhaps because of the edge." in stuck


@pytest.mark.parametrize("form", [TERSE, PAPER])
def test_the_goal_ends_the_episode_with_a_little_less_than_one(form):
    environment, _ = begun(form)
    way = code("left")
    observation = said(environment, f"{way}" if form is TERSE else f"<answer>Direction {way}</answer>")
    assert (observation.end, observation.messages) == ("finished", ())
    assert environment.grade() == Outcome(1 - 0.1 / 8, True, "Success: the goal was reached in 1 of 8 turns.")


def test_a_hole_ends_the_episode_and_the_account_shows_where():
    environment, _ = begun()
    for direction in ("down", "left"):
        said(environment, f"{code(direction)}")
    assert said(environment, f"{code('left')}").end == "finished"
    assert environment.grade() == Outcome(
        0.0, False, "Failed: the player fell into a hole in turn 3 of 8. Plan a safe path before the first step.", ("goal",)
    )
    assert environment.describe_state() == f"{code('left')} went left into a hole\nO _ G _\nO P _ _\n_ _ O _\nO _ _ _"


def test_the_papers_account_names_the_hole():
    environment, _ = begun(PAPER)
    for direction in ("down", "left", "down"):
        said(environment, f"<answer>Direction {code(direction)}</answer>")
    assert environment.describe_state().startswith(
        f"Direction {code('down')} was taken and moved the player from (1, 2) to (2, 2), into a hole.\n"
    )
    assert environment.describe_state().endswith("count from 0.")


def test_turns_run_out():
    environment, _ = begun()
    ends = [said(environment, f"{code('up')}").end for _ in range(8)]
    assert ends == [None] * 7 + ["steps"]
    assert environment.grade().feedback == "Failed: 8 of 8 turns are used up and the goal is not reached. Look for a shorter path."


def test_an_answer_of_the_wrong_form_loses_and_is_told_the_right_one():
    environment, _ = begun(PAPER)
    said(environment, f"<answer>Direction {code('up')}</answer>")
    assert said(environment, "Direction 1").end == "finished"
    outcome = environment.grade()
    assert (outcome.reward, outcome.passed) == (0.0, False)
    assert outcome.feedback.startswith("Failed: the answer in turn 2 of 8 has the wrong form. Expected: <answer>Direction k</answer>")


def test_an_episode_that_is_broken_off_is_not_passed():
    environment, _ = begun()
    said(environment, f"{code('up')}")
    assert environment.grade() == Outcome(0.0, False, "Failed: broken off after 1 of 8 turns.", ("goal",))


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("<answer>Direction 3</answer>", 3),
        ("because\n<answer>\n direction 1, then down\n</answer> done", 1),
        ("<answer>Direction 5</answer>", None),
        ("<answer>Direction 12</answer>", None),
        ("<answer>go Direction 2</answer>", None),
        ("<answer>DIRECTION 2</answer>", None),
        ("</answer>Direction 2<answer>", None),
        ("<answer>Direction 2", None),
        ("<answer>Direction 2</answer><answer>Direction 2</answer>", None),
        ("<answer><answer>Direction 2</answer>", None),
        ("2", None),
    ],
)
def test_answers_in_the_papers_form(text, action):
    assert PAPER.parse_answer(text) == action


@pytest.mark.parametrize(("text", "action"), [("3", 3), (" 4\n", 4), ("2, down", 2), ("12", None), ("5", None), ("go 1", None), ("", None)])
def test_answers_in_the_terse_form(text, action):
    assert TERSE.parse_answer(text) == action


def test_an_environment_begins_anew_with_each_task():
    environment, first = begun()
    said(environment, "x")
    assert environment.reset(TASK, "") == first
    assert environment.grade().feedback == "Failed: broken off after 0 of 8 turns."


def test_who_knows_the_mapping_wins_every_task():
    known = 1 << MAPPINGS.index(WAYS)
    environment = FrozenLake(EASY, PACK.seed, TERSE)
    for task in PACK.tasks:
        environment.reset(task, "")
        ends = [said(environment, f"{moment.code}").end for moment, _ in play_best(Solver(draw_lake(EASY, task.seed)), WAYS, known)]
        assert ends[-1] == "finished"
        assert environment.grade().passed


def test_all_tasks_of_a_pack_have_the_same_mapping():
    drawn = make_lake_pack(HARD, "train", 0)
    environment = FrozenLake(HARD, drawn.seed, TERSE)
    ways = draw_mapping(drawn.seed)
    for task in drawn.tasks:
        here = draw_lake(HARD, task.seed)
        for action in (1, 2, 3, 4):
            environment.reset(task, "")
            said(environment, f"{action}")
            near = move(here.side, here.start, ways[action - 1])
            assert (near == here.start) == ("hit the edge" in environment.describe_state())
            assert (near in here.holes) == ("into a hole" in environment.describe_state())
