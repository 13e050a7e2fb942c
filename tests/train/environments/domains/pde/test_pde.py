"""PDE discovery: equations, the solver, regression, attempts, and how far plain regression gets."""

import numpy as np
import pytest

from codagent.types import Message
from codagent_train.environments.domains.pde.actions import read_action
from codagent_train.environments.domains.pde.discovery import PdeGame, make_pde_pack
from codagent_train.environments.domains.pde.equation import LEVELS, TERMS, draw_equation, equation_reward, make_equation, read_equation
from codagent_train.environments.domains.pde.regression import condition, fit_candidates, sparsest, supports_of
from codagent_train.environments.domains.pde.solver import AMPLITUDE, LIMIT, draw_problem, evaluate_term, reaction, solve, take_samples
from codagent_train.environments.domains.pde.sparse_players import POINTS
from codagent_train.environments.domains.shared.draws import Draws
from codagent_train.environments.domains.shared.turns import TurnEnvironment
from tests.train.environments.domains.reached import mean_rewards

TRUTH = make_equation({"u": 1.2, "u3": -0.8})
SAMPLE = "<sample_pde_data>" + "; ".join(f"{x},{t}" for x, t in POINTS) + "</sample_pde_data>"
REGRESS = "<run_sparse_regression></run_sparse_regression>"
COMMIT = "<update_scientific_context><preferred_equation>{}</preferred_equation><note>n</note></update_scientific_context>"


def test_families_have_the_sizes_that_are_told():
    for name, sizes in (("train", {1: 5, 2: 35}), ("eval", {2: 17, 3: 8})):
        templates = LEVELS[name].templates
        assert {size: sum(len(template) == size for template in templates) for size in sizes} == sizes
        assert sum(sizes.values()) == len(templates) == len(set(templates))
    supports = [{tuple(name for name, _ in template) for template in level.templates} for level in LEVELS.values()]
    assert not supports[0] & supports[1]


def test_the_worked_rewards():
    assert equation_reward(make_equation({"u": 1.19, "u3": -0.79}), TRUTH) == pytest.approx(1 / 1.01)
    assert equation_reward(make_equation({"u": 1.19, "u3": -0.79, "sin": 0.05}), TRUTH) == pytest.approx(1 / (1 + 0.035 + 1))
    assert equation_reward(TRUTH, TRUTH) == 1


@pytest.mark.parametrize("text", ["1.2*u - 0.8*u3", "1.2 u -0.8 u3", "+1.2*u-0.8*u3", "-0.8*u3 + 1.2*u"])
def test_equations_are_read(text):
    assert read_equation(text) == TRUTH
    assert read_equation(str(TRUTH)) == TRUTH


@pytest.mark.parametrize("text", ["", "u", "1.2*w", "1.2*u 0.8*u3", "1*u + 2*u", "1.2*u3x", "1.2*u - ", "f = 1*u"])
def test_other_text_is_no_equation(text):
    assert read_equation(text) is None


def test_coefficients_are_drawn_with_their_signs():
    for seed in range(50):
        drawn = dict(draw_equation(LEVELS["train"].templates[5], Draws(seed)).coefficients)
        assert 0.5 <= drawn["u"] <= 2
        assert -2 <= drawn["u2"] <= -0.5
        assert round(drawn["u"], 2) == drawn["u"]


def test_the_terms_have_their_values():
    values = {name: float(evaluate_term(name, np.array(2.0))) for name in TERMS}
    assert values["u7"] == 128
    assert values["hill4"] == pytest.approx(16 / 17)
    assert values["hald"] == pytest.approx(2 / 7)
    assert values["exp"] == pytest.approx(np.e**2 - 1)
    assert all(float(evaluate_term(name, np.array(0.0))) == 0 for name in TERMS), "so that u = 0 stays at the ends"


def test_problems_stay_below_the_limit_and_spread_their_amplitudes():
    for seed in range(4):
        problem = draw_problem("train", seed, 4)
        heights = sorted(problem.starts.max(axis=1) * 4 / AMPLITUDE)
        assert [int(height) for height in heights] == [0, 1, 2, 3]
        assert np.abs(problem.starts[:, [0, -1]]).max() < 1e-9
        assert np.abs(solve("train", seed, 4, 3)).max() < LIMIT


def test_samples_are_the_reaction_at_the_sampled_value():
    problem, solution = draw_problem("train", 1, 4), solve("train", 1, 4, int(np.argmax(draw_problem("train", 1, 4).starts.max(axis=1))))
    for u, y in take_samples(solution, problem.equation, [*POINTS, (0.5, 1.0), (0.001, 0.5)], Draws(1)):
        assert y == pytest.approx(float(reaction(problem.equation, np.array(u))), abs=0.05)


def test_regression_finds_the_equation_of_clean_samples():
    us = np.linspace(0.1, 2.5, 12)
    samples = [(float(u), float(reaction(TRUTH, u))) for u in us]
    candidates = fit_candidates(samples, supports_of(tuple(TERMS), 2))
    assert candidates[0].equation == TRUTH
    assert candidates[0].error < 0.01
    assert sparsest(candidates).equation == TRUTH
    assert condition(samples, ("u",)) == pytest.approx(1.0)
    assert condition(samples, ("u", "sin")) > 1


def test_small_coefficients_are_dropped_and_the_rest_fitted_again():
    samples = [(u / 4, 1.5 * u / 4) for u in range(1, 9)]
    assert {candidate.support for candidate in fit_candidates(samples, [("u", "u3")])} == {("u",)}
    assert fit_candidates([(0.5, 0.0), (1.0, 0.0)], [("u",)]) == []


def opened(memory="notes", tasks=2):
    pack = make_pde_pack("train", "paper", "test", 3, tasks)
    return pack, TurnEnvironment(PdeGame("train", "paper", pack), "paper", memory=memory)


def say(environment, action):
    observation = environment.step(Message("assistant", f"I do <answer>{action}</answer>"))
    return observation.end or observation.messages[0].content


def test_a_task_is_sampled_regressed_and_committed():
    pack, environment = opened()
    rules, first = (message.content for message in environment.reset(pack.tasks[0], ""))
    assert "`hill4`: u^4/(1 + u^4)" in rules
    assert "Task 1/2, step 1/6, 6 points left. Data sets: none." in first
    assert "x=0.5 t=0.1: u=" in say(environment, SAMPLE)
    shown = say(environment, REGRESS)
    best = shown.split("Best: ")[1].split(", largest error")[0]
    assert "relative margin" in shown
    assert say(environment, COMMIT.format(best)) == "finished"
    outcome = environment.grade()
    truth = draw_problem("train", pack.seed, 2).equation
    assert outcome.reward == equation_reward(read_equation(best), truth) > 0
    assert best in environment.describe_state()


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        ([REGRESS], "there are no samples yet"),
        (["<sample_pde_data>0,0</sample_pde_data>"], "a point must have 0 < x < 1"),
        (["<sample_pde_data>0.5,2</sample_pde_data>"], "a point must have 0 < x < 1"),
        (["<sample_pde_data>half</sample_pde_data>"], "points must be numbers"),
        (["<sample_pde_data><points>0.5,0.1; 0.5</points></sample_pde_data>"], "points must be numbers"),
        ([SAMPLE, "<sample_pde_data>0.5,0.5</sample_pde_data>"], "1 points are more than the 0 that are left"),
        ([COMMIT.format("1*u")], "sample and run a regression in this task"),
        ([SAMPLE, REGRESS, COMMIT.format("1.234*u7 - 1.9*u5")], "must be a candidate of the latest regression"),
        ([SAMPLE, REGRESS, COMMIT.format("u squared")], "such as 1.19*u - 0.79*u3"),
        ([SAMPLE, "<run_sparse_regression><terms>u, w</terms></run_sparse_regression>"], "there is no term 'w'"),
        ([SAMPLE, "<run_sparse_regression><equations>1*u; w</equations></run_sparse_regression>"], "equations must be 1 to 8"),
        ([SAMPLE, "<run_sparse_regression><dataset_id>7</dataset_id></run_sparse_regression>"], "there is no such data set"),
        ([SAMPLE, "<run_sparse_regression><threshold>much</threshold></run_sparse_regression>"], "threshold must be a number"),
        (["<summarize_pack_evidence><reveal_equations>yes</reveal_equations></summarize_pack_evidence>"], "must be true or false"),
    ],
)
def test_wrong_arguments_cost_a_turn_and_are_told(actions, told):
    pack, environment = opened()
    environment.reset(pack.tasks[0], "")
    *_, last = [say(environment, action) for action in actions]
    assert f"step {len(actions) + 1}/6" in last
    assert "Error: " in last
    assert told in last


@pytest.mark.parametrize(
    "answer", ["sample", "<sample>0.5,0</sample>", "<sample_pde_data>0.5,0", SAMPLE + SAMPLE, "<run_sparse_regression>"]
)
def test_what_is_no_action_loses(answer):
    assert read_action(answer) is None
    pack, environment = opened()
    environment.reset(pack.tasks[0], "")
    assert say(environment, answer) == "finished"
    assert (environment.grade().reward, environment.grade().failed) == (0.0, ("form",))


def test_turns_run_out_without_a_commit():
    pack, environment = opened()
    environment.reset(pack.tasks[0], "")
    says = [say(environment, "<summarize_pack_evidence></summarize_pack_evidence>") for _ in range(6)]
    assert says[-1] == "steps"
    assert environment.grade().failed == ("commit",)


def test_a_regression_can_be_bound_to_terms_and_equations():
    pack, environment = opened()
    environment.reset(pack.tasks[0], "")
    say(environment, SAMPLE)
    assert "*u3" in say(environment, "<run_sparse_regression><equations>1*u3</equations></run_sparse_regression>")
    shown = say(environment, "<run_sparse_regression><terms>sin, tanh</terms><dataset_id>0</dataset_id></run_sparse_regression>")
    assert {name for name, _ in read_equation(shown.split("Best: ")[1].split(",")[0]).coefficients} <= {"sin", "tanh"}


def test_data_and_equations_last_only_where_the_environment_remembers():
    for memory, lasts in (("environment", True), ("notes", False)):
        pack, environment = opened(memory)
        environment.reset(pack.tasks[0], "")
        say(environment, SAMPLE)
        best = say(environment, REGRESS).split("Best: ")[1].split(", largest")[0]
        say(environment, COMMIT.format(best))
        assert ("Data sets: 0 (6 samples)." in environment.reset(pack.tasks[1], "")[1].content) == lasts
        shown = say(environment, "<summarize_pack_evidence><reveal_equations>true</reveal_equations></summarize_pack_evidence>")
        assert (f"Committed before: {best}" in shown) == lasts


def test_how_far_plain_regression_gets():
    means = mean_rewards("pde", "train", packs=6, tasks=2, players=("random", "scratch", "carry"))
    assert means["random"][0] < means["scratch"][0]
    assert means["scratch"][0] == means["carry"][0] > 0.4
    assert means["carry"][1] > 0.5
