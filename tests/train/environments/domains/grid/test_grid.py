"""Grid navigation: maps, moves, attempts in both wordings, and how well it can be played."""

from itertools import product
from statistics import fmean

import numpy as np
import pytest

from codagent.types import Message
from codagent_train.environments.domains.grid.cost_map import LEVELS, CostMap, Trip, crossed, draw_costs, draw_trip, seen_from
from codagent_train.environments.domains.grid.navigation import GridGame, make_grid_pack
from codagent_train.environments.domains.grid.routes import Router
from codagent_train.environments.domains.shared.turns import TurnEnvironment
from tests.train.environments.domains.reached import mean_rewards

COSTS = CostMap(((0, 10, 20), (30, 40, 50), (60, 70, 80)), 1)


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_maps_use_the_whole_range_and_keep_their_sides(level):
    maps = [draw_costs(level, seed) for seed in range(40)]
    assert {costs.side for costs in maps} <= set(range(level.sides[0], level.sides[1] + 1))
    for costs in maps:
        values = [costs.cost((row, column)) for row in range(costs.side) for column in range(costs.side)]
        assert (min(values), max(values)) == (0, 99)
    assert {costs.unit for costs in maps} == {99 // level.grades}


def test_the_mean_cost_is_as_told():
    assert fmean(fmean(map(fmean, draw_costs(LEVELS["train"], seed).grades)) for seed in range(150)) == pytest.approx(26, abs=2)


def test_trips_can_be_made_in_their_rounds_and_end_elsewhere():
    for seed in range(200):
        costs = draw_costs(LEVELS["small"], seed % 7)
        trip = draw_trip(LEVELS["small"], costs, seed)
        assert trip.position != trip.goal
        assert trip.rounds in (2, 3)
        ends = {trip.position}
        for _ in range(trip.rounds):
            ends = {
                (row, column) for row, column in product(range(costs.side), repeat=2) for at in ends if (row == at[0]) != (column == at[1])
            }
        assert trip.goal in ends


def test_a_move_enters_the_cells_between_and_its_target():
    assert crossed((0, 0), (0, 2)) == [(0, 1), (0, 2)]
    assert crossed((2, 1), (0, 1)) == [(1, 1), (0, 1)]
    trip = Trip(COSTS, (0, 0), (2, 2), 2).move((0, 2))
    assert (trip.spent, trip.entered, trip.loss, trip.arrived) == (30, 2, 15.0, False)
    done = trip.move((2, 2))
    assert (done.spent, done.entered, done.arrived) == (160, 4, True)
    assert done.reward == pytest.approx(1 - 40 / 100)


def test_passing_the_goal_early_is_not_being_there():
    trip = Trip(COSTS, (0, 0), (0, 2), 2).move((0, 2))
    assert not trip.arrived
    assert trip.move((0, 1)).reward == 0


def test_only_another_cell_of_the_same_row_or_column_can_be_reached():
    trip = Trip(COSTS, (1, 1), (0, 0), 2)
    allowed = {cell for cell in product(range(-1, 4), repeat=2) if trip.allows(cell)}
    assert allowed == {(0, 1), (2, 1), (1, 0), (1, 2)}


def test_neighbours_of_entered_cells_are_seen():
    assert seen_from([(0, 0)], 3) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert seen_from([(0, 1), (0, 2)], 3) == set(product((0, 1), (0, 1, 2)))


def test_the_route_is_the_best_of_all():
    for seed in range(12):
        costs = draw_costs(LEVELS["small"], seed)
        trip = draw_trip(LEVELS["small"], costs, seed)

        def losses(at, costs=costs):
            if at.round == at.rounds:
                return [at.loss] if at.arrived else []
            cells = (cell for cell in product(range(costs.side), repeat=2) if at.allows(cell))
            return [loss for cell in cells for loss in losses(at.move(cell))]

        flat = np.array([float(costs.cost(cell)) for cell in product(range(costs.side), repeat=2)])
        found = Router(costs.side).find_move(trip, flat)
        assert found[1] == pytest.approx(min(losses(trip)))
        assert min(losses(trip.move(found[0]))) == pytest.approx(found[1])


def opened(wording="terse", memory="notes"):
    pack = make_grid_pack("small", wording, "test", 4, 3)
    return pack, TurnEnvironment(GridGame("small", wording, pack), wording, memory=memory)


def walk(environment, pack, task, wording="terse"):
    """Play a task to its end along the best route."""
    costs = draw_costs(LEVELS["small"], pack.seed)
    trip, router = draw_trip(LEVELS["small"], costs, task.seed), Router(costs.side)
    flat = np.array([float(costs.cost(cell)) for cell in product(range(costs.side), repeat=2)])
    seen = environment.reset(task, "")[1].content
    while trip.round < trip.rounds:
        target, _ = router.find_move(trip, flat)
        trip = trip.move(target)
        text = f"{target[0]},{target[1]}"
        end = environment.step(Message("assistant", text if wording == "terse" else f"<answer>{text}</answer>")).end
    assert end == "finished"
    return seen, trip


def test_a_trip_to_the_goal_is_rewarded_by_its_mean_cost():
    pack, environment = opened()
    seen, trip = walk(environment, pack, pack.tasks[0])
    assert seen.splitlines()[0].startswith(f"1/{trip.rounds} at ")
    assert set("".join(seen.splitlines()[1:])) == {"?", " "}
    outcome = environment.grade()
    assert (outcome.reward, outcome.passed) == (pytest.approx(1 - trip.loss / 100), True)
    assert set(environment.describe_state()) - set("0123456789 \n?") == set()
    assert any(digit in environment.describe_state() for digit in "0123456789")


def test_the_map_stays_shown_only_where_the_environment_remembers():
    pack, environment = opened(memory="environment")
    walk(environment, pack, pack.tasks[0])
    assert environment.describe_state() in environment.reset(pack.tasks[1], "")[1].content
    assert set("".join(environment.reset(pack.tasks[1], "")[1].content.splitlines()[1:])) == {"?", " "}, "a task given again begins anew"
    pack, environment = opened()
    walk(environment, pack, pack.tasks[0])
    assert set("".join(environment.reset(pack.tasks[1], "")[1].content.splitlines()[1:])) == {"?", " "}


def test_in_the_papers_wording_moves_tell_what_they_entered():
    pack, environment = opened("paper")
    _, trip = walk(environment, pack, pack.tasks[0], "paper")
    assert f"loss {trip.loss:.2f}, reward" in environment.grade().feedback
    first = environment.reset(pack.tasks[1], "")[1].content
    assert first.startswith("Round 1/")
    row, column = map(int, first.split("Position ")[1].split(", target")[0].split(","))
    shown = environment.step(Message("assistant", f"<answer>{row},{(column + 1) % 5}</answer>")).messages[0].content
    assert "The move entered" in shown


@pytest.mark.parametrize("reply", ["", "up", "1", "99,0", "-1,0"])
def test_an_answer_of_another_form_or_outside_loses(reply):
    pack, environment = opened()
    environment.reset(pack.tasks[0], "")
    assert environment.step(Message("assistant", reply)).end == "finished"
    assert (environment.grade().reward, environment.grade().failed) == (0.0, ("form",))


def test_ending_elsewhere_is_worth_nothing():
    pack, environment = opened()
    shown = environment.reset(pack.tasks[0], "")[1].content
    trip = draw_trip(LEVELS["small"], draw_costs(LEVELS["small"], pack.seed), pack.tasks[0].seed)
    assert shown.startswith(f"1/{trip.rounds}")
    while trip.round < trip.rounds:
        cell = next(cell for cell in product(range(5), repeat=2) if trip.allows(cell) and cell != trip.goal)
        trip, observation = trip.move(cell), environment.step(Message("assistant", f"{cell[0]},{cell[1]}"))
    assert observation.end == "steps"
    assert (environment.grade().reward, environment.grade().failed) == (0.0, ("goal",))


def test_what_can_be_reached_without_a_model():
    means = mean_rewards("grid", "small", packs=120, tasks=4)
    assert means["random"][0] < 0.12
    assert means["scratch"][0] == means["carry"][0] == pytest.approx(0.80, abs=0.06)
    assert means["carry"][3] > means["scratch"][3] + 0.03
    assert means["known"][0] == pytest.approx(0.90, abs=0.04)
