"""A matrix is filled: rows by columns, with controls in each cell; printed, drawn, read again."""

import json

import pytest
from msgspec import structs

from codagent.errors import UsageError
from codagent.protocols import ignore_text
from codagent.types import Message
from codagent_train.environments.domains.catalogue import DOMAINS
from codagent_train.environments.domains.shared.turns import TurnEnvironment
from codagent_train.environments.make import hidden_part, make_environment_pack
from codagent_train.evaluation.matrix.cells import measure_cell
from codagent_train.evaluation.matrix.figure import draw_matrix
from codagent_train.evaluation.matrix.fill import fill_matrix, reachable_by_column
from codagent_train.evaluation.matrix.playing import MatrixPlayer, PlayedLoop, shuffle_packs, true_notes
from codagent_train.evaluation.matrix.raw_history import RawHistory
from codagent_train.evaluation.matrix.spec import CONDITIONS, CheckpointConfig, ColumnConfig, MatrixConfig, read_matrix
from codagent_train.evaluation.matrix.texts import column_table, matrix_json
from codagent_train.recipe.environment_config import EnvironmentConfig
from codagent_train.recipe.schema import ReplyConfig, read_recipe
from codagent_train.run_dir import checkpoints
from tests.train.command import run_train
from tests.train.doubles.weights import save_weights
from tests.train.evaluation.matrix.steering_engine import open_steering

COD, RALPH = ColumnConfig("control", "hard", tasks=3), ColumnConfig("control", "hard", tasks=3, packing="ralph")
RECIPE = structs.replace(
    read_recipe("smoke"), environment=EnvironmentConfig("control", "hard"), replies=ReplyConfig(max_tokens=60, context_tokens=4096)
)
GOOD = """
packs = 4
[[checkpoints]]
weights = "some/model"
recipe = "smoke"
[[columns]]
environment = "control"
level = "hard"
tasks = 3
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on control whose model began as `base`."""
    out = tmp_path_factory.mktemp("runs") / "steered"
    checkpoints.begin_run(out, structs.replace(RECIPE, policy=structs.replace(RECIPE.policy, weights="base")))
    save_weights(out / "checkpoint-7")
    return out


@pytest.fixture(scope="module")
def filled(run):
    matrix = MatrixConfig((CheckpointConfig(str(run)),), (COD, RALPH), packs=40)
    said = []
    cells = list(fill_matrix(matrix, say=said.append, opener=open_steering))
    return reachable_by_column(structs.replace(matrix, packs=4)), cells, said


def last(cell, condition):
    return cell.conditions[condition].reward[-1].mean


def test_the_row_of_the_untrained_weights_can_be_left_out(run):
    matrix = MatrixConfig((CheckpointConfig(str(run)),), (COD,), packs=2, conditions=("own", "untrained"), untrained=False)
    (cell,) = fill_matrix(matrix, say=ignore_text, opener=open_steering)
    assert (cell.row, list(cell.conditions)) == ("steered@7", ["own"])


def test_rows_are_the_untrained_weights_and_then_the_checkpoint(filled):
    _, cells, said = filled
    assert [(cell.row, cell.column) for cell in cells] == [
        ("base (untrained)", "control-hard, 3 tasks"),
        ("base (untrained)", "control-hard, 3 tasks, Ralph"),
        ("steered@7", "control-hard, 3 tasks"),
        ("steered@7", "control-hard, 3 tasks, Ralph"),
    ]
    assert said[0] == "base on control-hard, 3 tasks: own: 0 of 40 loops played"
    assert set(cells[2].conditions) == set(CONDITIONS) - {"true"}  # nobody writes true notes on control
    assert set(cells[0].conditions) == set(CONDITIONS) - {"true", "untrained"}


def test_notes_and_raw_history_help_and_the_other_conditions_do_not(filled):
    _, cells, _ = filled
    for cell in cells[2:]:
        assert last(cell, "own") > 0.8
        assert last(cell, "raw") > 0.8
        assert max(last(cell, "none"), last(cell, "shuffled"), last(cell, "untrained")) < 0.75
        assert cell.conditions["own"].gain.mean > 0.2
        assert cell.conditions["own"].over_no_notes.mean > 0.2
        assert cell.conditions["none"].over_no_notes is None


def test_the_first_task_is_played_alike_under_all_conditions_and_by_all_rows(filled):
    _, cells, _ = filled
    for column in {cell.column for cell in cells}:
        firsts = {measured.reward[0].mean for cell in cells if cell.column == column for measured in cell.conditions.values()}
        assert len(firsts) == 1


def test_tokens_and_malformed_answers_are_counted(filled):
    _, cells, _ = filled
    own, none = cells[2].conditions["own"], cells[2].conditions["none"]
    assert 9 <= own.reply_tokens.mean <= 11
    assert own.notes_tokens.mean > len("<notes></notes>")
    assert none.notes_tokens is None
    assert none.notes_malformed is None
    assert (own.malformed.mean, own.notes_malformed.mean, own.packs) == (0, 0, 40)


def test_tables_and_json_have_all_rows_and_what_can_be_reached(filled):
    reachable, cells, _ = filled
    table = column_table(str(COD), [cell for cell in cells if cell.column == str(COD)], reachable[str(COD)])
    assert table.startswith("**control-hard, 3 tasks**: reward by position over 40 packs")
    for row in (
        "base (untrained), own notes",
        "steered@7, raw history",
        "steered@7, the untrained model's notes",
        "without a model: carry",
    ):
        assert f"| {row} |" in table
    assert len({line.count("|") for line in table.splitlines()[2:]}) == 1
    found = json.loads(matrix_json(cells, reachable))
    assert found["cells"][2]["conditions"]["own"]["reward"][2]["mean"] == last(cells[2], "own")
    assert set(found["reachable"][str(RALPH)]) == set(DOMAINS["control"].players)


def test_a_checkpoint_that_cannot_answer_has_one_row():
    lost = {0: (loop(0.0, 0.0, malformed=True),), 1: (loop(0.0, 0.0, malformed=True),)}
    half = lost | {1: (loop(0.0, 1.0),)}
    cells = [measure_cell("lost", "c", {"own": lost, "none": lost}), measure_cell("half", "c", {"own": half, "none": lost})]
    rows = [line.split(" | ")[0] for line in column_table("c", cells, {}).splitlines()[4:]]
    assert rows == ["| lost, any notes: every attempt had a malformed answer", "| half, own notes", "| half, no notes"]


def test_the_figure_is_drawn(filled, tmp_path):
    reachable, cells, _ = filled
    draw_matrix(cells, reachable, tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(UsageError, match="cannot be written"):
        draw_matrix(cells, reachable, tmp_path / "nowhere" / "matrix.png")


def test_weights_of_which_no_run_is_known_are_not_compared_with_untrained_ones(run):
    matrix = MatrixConfig((CheckpointConfig("some/model", recipe=str(run)),), (COD,), packs=2)
    (cell,) = fill_matrix(matrix, say=lambda _: None, opener=open_steering)
    assert cell.row == "some/model"
    assert "untrained" not in cell.conditions


def test_only_the_conditions_that_are_asked_for_are_played(run):
    matrix = MatrixConfig((CheckpointConfig("some/model", recipe=str(run)),), (COD,), packs=2, conditions=("none", "shuffled"))
    (cell,) = fill_matrix(matrix, say=lambda _: None, opener=open_steering)
    assert set(cell.conditions) == {"none", "shuffled"}


class Target:
    name = "steered"


def test_true_notes_are_those_of_the_pack_and_the_same_at_each_task(run):
    column = ColumnConfig("conventions", tasks=2)
    notes = true_notes(column, 3)
    assert [len(set(given)) for (given,) in notes.values()] == [1, 1, 1]
    assert len(set(notes.values())) == 3
    matrix = MatrixConfig((CheckpointConfig("some/model", recipe=str(run)),), (column,), packs=3, conditions=("true",))
    (cell,) = fill_matrix(matrix, say=lambda _: None, opener=open_steering)
    assert cell.conditions["true"].notes_tokens is None
    played = MatrixPlayer(open_steering(Target), RECIPE).play(column, (3, 1), "true", notes)
    assert {number: (loops[0].notes,) for number, loops in played.items()} == notes


def test_several_loops_over_a_pack_have_their_own_draws_and_are_one_observation(run):
    played = MatrixPlayer(open_steering(Target), RECIPE).play(COD, (6, 4), "none", {})
    assert {number: len(loops) for number, loops in played.items()} == dict.fromkeys(range(6), 4)
    assert any(len({loop.rewards for loop in loops}) > 1 for loops in played.values())
    assert measure_cell("a", "b", {"none": played}).conditions["none"].packs == 6


def loop(*rewards, notes=(), malformed=False):
    count = len(rewards)
    return PlayedLoop(rewards, (False,) * count, (malformed,) * count, (2.0,) * count, ("",) * count, notes, (False,) * len(notes))


def test_gains_are_within_packs():
    own, none = {0: (loop(0.0, 1.0), loop(0.5, 0.5)), 1: (loop(0.5, 0.5),)}, {0: (loop(0.0, 0.25),), 1: (loop(0.0, 0.5),)}
    measured = measure_cell("row", "column", {"own": own, "none": none}).conditions["own"]
    assert [reward.mean for reward in measured.reward] == [0.375, 0.625]
    assert measured.gain.mean == 0.25
    assert measured.over_no_notes.mean == 0.25
    assert measured.gain.margin == pytest.approx(1.96 * 0.25)


def test_a_condition_with_fewer_than_two_packs_is_left_out():
    assert measure_cell("row", "column", {"own": {0: (loop(1.0),)}, "none": {}}).conditions == {}


def test_shuffled_notes_come_from_a_pack_in_which_something_else_is_hidden():
    column = ColumnConfig("keycode", tasks=2)
    secrets = [secret(number) for number in range(8)]
    played = {number: (loop(1.0, notes=(number,)),) for number in range(8)}
    for number, loops in shuffle_packs(column, played).items():
        assert secrets[loops[0].notes_tokens[0]] != secrets[number]
    assert set(shuffle_packs(COD, played)) == set(range(8))
    assert shuffle_packs(COD, {3: played[3]}) == {}


def secret(number):
    config = EnvironmentConfig("keycode", tasks=2)
    return hidden_part(config, make_environment_pack(config, "test", number)[0])


def with_history(max_bytes=10_000):
    domain = DOMAINS["control"]
    pack = domain.make_pack("hard", "terse", "test", 1, 3)
    return pack, RawHistory(TurnEnvironment(domain.make_game("hard", "terse", pack), "terse"), max_bytes)


def attempt(environment, task, answer):
    first = environment.reset(task, "notes that nobody sees")
    environment.step(Message("assistant", answer))
    environment.grade()
    return first[0].content


def test_raw_history_is_what_was_shown_and_answered_and_judged():
    pack, environment = with_history()
    assert attempt(environment, pack.tasks[0], "0.1 0.2").endswith("Notes: (none yet)")
    second = attempt(environment, pack.tasks[1], "0.3 0.4").partition("Notes: ")[2]
    assert second.startswith(f"{pack.tasks[0].instruction}\n0.1 0.2\n0.1 0.2 -> x ")
    assert "Loss " in second
    third = attempt(environment, pack.tasks[2], "0.5 0.6").partition("Notes: ")[2]
    assert third.startswith(second)
    assert "0.3 0.4" in third


def test_of_a_long_history_the_oldest_attempts_are_left_out():
    pack, environment = with_history(max_bytes=200)
    attempt(environment, pack.tasks[0], "0.1 0.2")
    attempt(environment, pack.tasks[1], "0.3 0.4")
    third = attempt(environment, pack.tasks[2], "0.5 0.6")
    assert "0.3 0.4" in third
    assert "0.1 0.2" not in third


def written(folder, text):
    file = folder / "matrix.toml"
    file.write_text(text)
    return file


def test_a_matrix_is_read_with_its_defaults(tmp_path):
    matrix = read_matrix(written(tmp_path, GOOD))
    assert matrix.columns == (COD,)
    assert (matrix.packs, matrix.loops, matrix.conditions) == (4, 1, CONDITIONS)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"control"', '"chess"', "environment must be one of keycode, "),
        ('"hard"', '"fresh"', "[[columns]] number 1 level: control has no level 'fresh'"),
        ("packs = 4", "packs = 1", "packs: a matrix needs at least 2"),
        (
            "packs = 4",
            'packs = 4\nconditions = ["all"]',
            "conditions must be a list, each one of own, none, raw, shuffled, untrained, true, not",
        ),
        ("[[columns]]", "[[column]]", "unknown key 'column'; did you mean 'columns'?"),
        ("tasks = 3", 'tasks = 3\npacking = "ring"', "packing must be one of cod, ralph, not 'ring'"),
    ],
)
def test_a_matrix_that_cannot_be_played_is_refused_by_its_key(tmp_path, old, new, told):
    with pytest.raises(UsageError) as caught:
        read_matrix(written(tmp_path, GOOD.replace(old, new)))
    assert told in str(caught.value)


def evaluated(*arguments):
    return run_train("eval", *arguments)


def test_the_command_wants_weights_or_a_matrix(tmp_path):
    for arguments in ((), ("some/model", "--matrix", written(tmp_path, GOOD))):
        done = evaluated(*arguments)
        assert (done.returncode, done.stderr) == (2, "codagent-train: give either WEIGHTS or --matrix FILE\n")
    done = evaluated("--matrix", tmp_path / "nowhere.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no file" in done.stderr
