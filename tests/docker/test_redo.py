"""A recorded task done again inside the trainer: sandboxes in Docker, the gates' scores, rows."""

import json
import os
import subprocess
import time

import pytest
from msgspec.structs import replace

from codagent.errors import UsageError
from codagent_train.cli import library_logging
from codagent_train.data.redo import Operator, find_redoable
from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import BatchConfig, OptimizerConfig, RecordsConfig, ReplyConfig, SourcesConfig, read_recipe
from codagent_train.rollout.ray_rollout import open_rollout
from codagent_train.run_dir import checkpoints, metrics
from codagent_train.training.trainer import train
from tests.cli.conftest import CHECK, codagent, repository, script
from tests.cli.loops import attempt, noted, told
from tests.store.foreign import without_checksums
from tests.train.doubles.phrases import phrasebook

pytestmark = pytest.mark.docker
__all__ = ["codagent", "repository", "script"]

PHRASES = (
    "```bash\necho right > answer.txt\n```",
    "```bash\necho worse > answer.txt\n```",
    "```bash\ncat answer.txt\n```",
    "<notes>it wants right</notes>",
    "<notes>leave it</notes>",
)


@pytest.fixture
def recorded(codagent, script, python_sandbox):
    """The id of a loop of two attempts, recorded in Docker."""
    model = script([*attempt("worse"), noted("n"), *attempt("right"), noted("n")])
    done = codagent("loop", "mend it", "--check", CHECK, "--rewrite", "always", "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    return told(done)["id"]


@pytest.fixture
def given(repository, tmp_path):
    library_logging.silence_libraries()
    smoke = read_recipe("smoke")
    return replace(
        smoke,
        policy=replace(smoke.policy, weights=str(phrasebook(tmp_path / "weights", PHRASES))),
        sources=SourcesConfig(play=0, redo=1),
        records=RecordsConfig((str(repository / ".codagent" / "loops"),)),
        batch=BatchConfig(packs=1, group_size=4),
        replies=ReplyConfig(max_tokens=1, notes_tokens=100, context_tokens=4096),
        learning=OptimizerConfig(steps=1, learning_rate=1e-3),
    )


def refs(repository):
    return subprocess.run(["git", "for-each-ref"], cwd=repository, capture_output=True, check=True).stdout


def test_a_group_of_four_does_it_again_and_is_scored_by_the_gates_and_yields_rows(given, recorded, repository, tmp_path, client):
    before = refs(repository)
    out = tmp_path / "out"
    checkpoints.begin_run(out, given)
    train(given, load_policy(given.policy, seed=0), out)
    (line,) = metrics.read(out / metrics.FILE)
    assert line["rows/redo"] > 0
    assert line["rows/count"] > 0
    assert 0 < line["redo/success/position_1"] < 1
    assert refs(repository) == before
    deadline = time.monotonic() + 60  # the engine removes containers by itself
    while (left := redo_containers(client)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def redo_containers(client):
    """The containers in which this process did a task again."""
    labelled = client.containers(all=True, filters={"label": ["codagent.loop", f"codagent.pid={os.getpid()}"]})
    return [each["State"] for each in labelled if each["Labels"]["codagent.loop"].startswith("redo-")]


def test_on_a_ray_cluster_the_same_comes_of_it(given, recorded, tmp_path):
    lines = []
    for on in (None, "ray"):
        out = tmp_path / str(on)
        checkpoints.begin_run(out, given)
        with open_rollout(on) as play:
            train(given, load_policy(given.policy, seed=0), out, operator=Operator(play=play))
        (line,) = metrics.read(out / metrics.FILE)
        lines.append({name: value for name, value in line.items() if name != "seconds/step"})
    assert lines[0] == lines[1]
    assert lines[0]["rows/redo"] > 0


def test_a_record_away_from_its_repository_or_of_a_lake_cannot_be_done_again(recorded, repository, tmp_path):
    file = repository / ".codagent" / "loops" / recorded / "record.jsonl"
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "record.jsonl").write_bytes(file.read_bytes())
    lines = without_checksums(file.read_text()).splitlines(keepends=True)
    first = json.loads(lines[0])
    first["loop"] |= {"id": "lake", "environment": "frozenlake-1"}
    (file.parent.parent / "lake").mkdir()
    (file.parent.parent / "lake" / "record.jsonl").write_text("".join([json.dumps(first) + "\n", *lines[1:]]))
    found, refused = find_redoable([tmp_path / "moved", file.parent.parent])
    assert [origin.loop.id for origin in found] == [recorded]
    assert sorted(each.reason for each in refused) == sorted(
        [
            "loop lake was played in frozenlake-1, not in a repository",
            f"the record of {recorded} does not lie in .codagent/loops of its repository",
        ]
    )


def test_a_run_with_no_task_to_do_again_ends_with_the_reasons(given, tmp_path, recorded, repository):
    file = repository / ".codagent" / "loops" / recorded / "record.jsonl"
    (tmp_path / "moved").mkdir()
    file.rename(tmp_path / "moved" / "record.jsonl")
    lost = replace(given, records=RecordsConfig((str(tmp_path / "moved"),)))
    checkpoints.begin_run(tmp_path / "out", lost)
    with pytest.raises(UsageError, match=r"has a task that can be done again: the record of .* does not lie in"):
        train(lost, load_policy(lost.policy, seed=0), tmp_path / "out")
