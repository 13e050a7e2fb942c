"""Attempts at optimal control, in both wordings."""

import pytest

from codagent.types import Message
from codagent_train.environments.domains.control.plant import LEVELS, draw_course, draw_plant, gains_law, run_law
from codagent_train.environments.domains.control.steering import ControlGame, make_control_pack
from codagent_train.environments.domains.shared.turns import TurnEnvironment

WRAPPED = "thinking <answer><action_expression>{}</action_expression></answer>"


def opened(wording, memory="notes", number=3):
    pack = make_control_pack("hard", wording, "test", number, 4)
    return pack, TurnEnvironment(ControlGame("hard", wording, pack), wording, memory=memory)


def answered(wording, reply):
    pack, environment = opened(wording)
    environment.reset(pack.tasks[0], "")
    assert environment.step(Message("assistant", reply)).end == "finished"
    return environment.grade(), environment.describe_state()


def test_two_gains_are_run_and_shown():
    outcome, account = answered("terse", "0.36 0.88 because")
    pack, _ = opened("terse")
    course = draw_course(LEVELS["hard"], pack.tasks[0].seed)
    run = run_law(draw_plant(pack.seed), course, gains_law(course, 0.36, 0.88))
    assert outcome.reward == run.reward
    assert account.startswith(f"0.36 0.88 -> x {run.x:.2f} v {run.v:.2f} R {run.reward:.2f}; v ")
    assert len(account.split("; v ")[1].split()) == 11


def test_the_same_law_in_words_has_the_same_reward():
    gains, words = answered("terse", "0.36 0.88")[0], answered("paper", WRAPPED.format("0.36*(x_target-x) - 0.88*v"))[0]
    assert words.reward == pytest.approx(gains.reward)


@pytest.mark.parametrize("reply", ["", "kp 1 kd 2", "1", "1,2", "1 2.3.4", "one 2", "99999 1"])
def test_malformed_gains_cost(reply):
    outcome, account = answered("terse", reply)
    assert (outcome.reward, outcome.passed, outcome.failed, account) == (-0.1, False, ("form",), "")


@pytest.mark.parametrize(
    "reply",
    [
        "0.3*x",
        WRAPPED.format("x") + " after",
        "<answer>x</answer>",
        WRAPPED.format("```x```"),
        WRAPPED.format("open('f')"),
        WRAPPED.format("x") + WRAPPED.format("v"),
        WRAPPED.format("x</action_expression><action_expression>v"),
    ],
)
def test_malformed_expressions_cost(reply):
    outcome, _ = answered("paper", reply)
    assert outcome.reward == -0.1
    assert "at the end of the reply" in outcome.feedback


def test_an_expression_that_fails_in_a_step_is_worth_nothing_and_shows_no_table():
    outcome, account = answered("paper", WRAPPED.format("1/(t-2)"))
    assert (outcome.reward, outcome.failed) == (0.0, ("law",))
    assert "step 2" in outcome.feedback
    assert "t=0" not in account


def test_an_attempt_without_an_answer_is_worth_nothing():
    pack, environment = opened("terse")
    environment.reset(pack.tasks[0], "")
    assert environment.grade().reward == 0.0


def test_the_last_law_is_shown_where_the_environment_remembers():
    pack, environment = opened("terse", memory="environment")
    environment.reset(pack.tasks[0], "")
    environment.step(Message("assistant", "-0.36 -0.88"))
    assert ": -0.36 -0.88 -> x " in environment.reset(pack.tasks[1], "")[1].content
    environment.step(Message("assistant", "nonsense"))
    assert ": -0.36 -0.88 -> x " in environment.reset(pack.tasks[2], "")[1].content, "a law that did not run replaces nothing"
    pack, forgetful = opened("terse", memory="notes")
    forgetful.reset(pack.tasks[0], "")
    forgetful.step(Message("assistant", "-0.36 -0.88"))
    assert "last" not in forgetful.reset(pack.tasks[1], "")[1].content


def test_the_last_expression_is_shown_with_its_errors():
    pack, environment = opened("paper", memory="environment")
    environment.reset(pack.tasks[0], "")
    environment.step(Message("assistant", WRAPPED.format("0.1*x")))
    shown = environment.reset(pack.tasks[1], "")[1].content
    assert "0.1*x" in shown
    assert "x - x_target = " in shown


def test_loops_over_one_pack_do_not_share_memory():
    (pack, first), (_, second) = opened("terse", "environment"), opened("terse", "environment")
    first.reset(pack.tasks[0], "")
    first.step(Message("assistant", "1 1"))
    assert "last" not in second.reset(pack.tasks[1], "")[1].content


def test_packs_share_a_plant_and_longer_ones_begin_alike():
    short, longer = (make_control_pack("hard", "terse", "train", 5, tasks) for tasks in (2, 4))
    assert longer.tasks[:2] == short.tasks
    assert short.seed == longer.seed
    assert short.seed != make_control_pack("hard", "terse", "test", 5, 2).seed
