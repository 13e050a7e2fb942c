"""What an improvement writes down and goes on from. tests/benchmarks has no figures of it: they take hours."""

import json
import subprocess
import sys
import tomllib
from dataclasses import replace

import pytest

from codagent.errors import UsageError
from codagent_train.errors import PhaseFailed
from codagent_train.improve import phases
from codagent_train.improve.commands import MAIN, run_command
from codagent_train.improve.comparison import measure_loops
from codagent_train.improve.page import write_page
from codagent_train.improve.phases import Improvement, Improver, write_recipe
from codagent_train.improve.times import read_times
from codagent_train.recipe.schema import Recipe, read_recipe

WANTED = Improvement(("/nowhere/at/all",), "embedded:smollm2-135m", 0.01, 2, steps=3)


def test_the_shipped_recipe_fits():
    assert isinstance(read_recipe("local"), Recipe)


@pytest.mark.parametrize(
    ("run", "folders", "sources"),
    [
        ("taught", ["records/repair"], {"play": 0, "replay": 0, "imitate": 2}),
        ("run", ["records/record", "records/repair"], {"play": 1, "replay": 2, "imitate": 2}),
    ],
)
def test_a_run_has_its_own_records_and_sources(run, folders, sources, tmp_path):
    text = write_recipe(WANTED, run)
    recipe = tomllib.loads(text)
    assert (recipe["records"]["folders"], recipe["sources"]) == (folders, sources)
    assert (recipe["learning"]["steps"], recipe["learning"]["save_every"]) == (3, 1)
    assert recipe["learning"]["learning_rate"] == (3e-4 if run == "taught" else 1e-4)
    assert recipe["policy"]["answers"] == "lines"  # as the repairs answer, and as the adapter is asked
    (tmp_path / "recipe.toml").write_text(text)
    assert read_recipe(str(tmp_path / "recipe.toml")).learning.steps == 3


@pytest.mark.parametrize(("flags", "fast"), [("fpu sse2 avx512_bf16 amx_tile", True), ("fpu sse2 avx512f", False), (None, False)])
def test_training_computes_in_bfloat16_where_the_processor_does(flags, fast, tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    if flags:
        info.write_text(f"processor : 0\nflags\t\t: {flags}\n")
    monkeypatch.setattr(phases, "Path", lambda _: info)
    assert tomllib.loads(write_recipe(WANTED, "run"))["policy"]["bf16"] is fast


def test_on_a_gpu_all_layers_learn_and_the_runs_themselves_are_asked(tmp_path, monkeypatch):
    wanted, asked = replace(WANTED, device="cuda"), []
    policy = tomllib.loads(write_recipe(wanted, "run"))["policy"]
    assert (policy["device"], policy["layers"]) == ("cuda", 0)
    assert tomllib.loads(write_recipe(WANTED, "run"))["policy"]["device"] == "cpu"
    work = Improver(wanted, tmp_path, print)
    for name in ("_train", "_make_tasks", "_learn"):
        monkeypatch.setattr(work, name, lambda *_, **__: None)
    monkeypatch.setattr(work, "run_loops", lambda phase, part, model, options, **_: asked.append((phase, model)))
    work.run(resume=False)
    assert asked == [
        ("before", f"adapter:{tmp_path}/base"),
        ("record", f"adapter:{tmp_path}/taught"),
        ("after", f"adapter:{tmp_path}/taught"),
    ]


def test_a_phase_that_fails_says_so_and_what_was_done_stays(tmp_path, capfd):
    lines = []
    with pytest.raises(PhaseFailed, match=r"`codagent-train tasks` ended with 2; it says why above. Go on with --resume") as failed:
        Improver(WANTED, tmp_path / "out", lines.append).run(resume=False)
    assert failed.value.exit_code == 2
    assert "is not a folder" in capfd.readouterr().err
    assert lines == ["tasks: 0 minutes passed, at most 1 minute left"]
    assert read_times(tmp_path / "out").keys() == {"tasks"}
    with pytest.raises(UsageError, match="not empty"):
        Improver(WANTED, tmp_path / "out", lines.append).run(resume=False)


def test_what_earlier_commands_took_counts(tmp_path, capfd):
    out, lines = tmp_path / "out", []
    with pytest.raises(PhaseFailed):
        Improver(WANTED, out, lines.append).run(resume=False)
    (out / "times.json").write_text(json.dumps({"tasks": 30.0, "train": 20.0}))
    with pytest.raises(PhaseFailed):
        Improver(replace(WANTED, hours=0.05), out, lines.append).run(resume=True)
    assert lines[1] == "tasks: 1 minute passed, at most 2 minutes left"
    assert 30 < read_times(out)["tasks"] < 130
    assert capfd.readouterr().err


def test_the_exit_code_is_that_of_the_command_that_failed(tmp_path, monkeypatch, capfd):
    repository = tmp_path / "theirs"
    subprocess.run(["git", "init", "-q", repository], check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for such tests
    with pytest.raises(PhaseFailed) as failed:
        Improver(replace(WANTED, repositories=(str(repository),)), tmp_path / "out", print).run(resume=False)
    assert failed.value.exit_code == 6
    assert "belongs to another user" in capfd.readouterr().err


@pytest.mark.parametrize("background", ["", "trap '' INT; "], ids=["foreground", "background"])
def test_a_command_of_a_phase_is_interrupted_when_the_one_that_runs_it_is_gone(background, tmp_path):
    """A shell lets what it starts in the background ignore interrupts."""
    (tmp_path / "patient").mkdir()
    (tmp_path / "patient" / "cli.py").write_text(
        "import time\n"
        "def main():\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(1000)\n"
        "    finally:\n"
        "        print('kept')\n"
    )
    command = ["bash", "-c", f'{background}exec "$@"', "bash", sys.executable, "-c", MAIN.format(name="patient", package="patient")]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout.readline() == b"begun\n"
        child.stdin.close()
        assert child.stdout.read() == b"kept\n"


def test_other_options_do_not_go_on_but_other_hours_do(tmp_path):
    (tmp_path / "improve.json").write_text(json.dumps({"repositories": []}))
    with pytest.raises(UsageError, match="other repositories or options"):
        Improver(WANTED, tmp_path, print).run(resume=True)


def test_a_page_without_results_claims_nothing(tmp_path):
    assert write_page(WANTED, tmp_path) == "There are too few held-out tasks to say anything."
    page = (tmp_path / "report.html").read_text()
    assert "There are too few held-out tasks" in page
    assert "embedded:smollm2-135m, before and after" in page


@pytest.fixture
def improver(tmp_path):
    """An Improver with two training tasks and a scripted model that solves them, and the lines that it says."""
    out, lines = tmp_path / "out", []
    repository = tmp_path / "shop"
    repository.mkdir()
    for command in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    (out / "tasks" / "train").mkdir(parents=True)
    for name in ("shop-0001", "shop-0002"):
        text = f'repository = "{repository}"\n[[task]]\nid = "{name}"\ninstruction = "mend {name}"\nchecks = ["test -e mended"]\n'
        (out / "tasks" / "train" / f"{name}.toml").write_text(text)
    return Improver(replace(WANTED, hours=1.0, sandbox="local"), out, lines.append), lines, out


def script(out, *commands):
    calls = [{"calls": [{"name": "bash", "arguments": {"command": command}}]} for command in commands]
    (out / "script.json").write_text(json.dumps([*calls, {"calls": [{"name": "finish", "arguments": {"summary": "x"}}]}]))
    return f"scripted:{out / 'script.json'}"


def test_groups_of_loops_run_at_all_tasks_and_are_not_run_again(improver):
    work, lines, out = improver
    options = ("--group", "2", "--all", "--iterations", "1")
    work.run_loops("record", "train", script(out, "touch mended"), options, size=2)
    results = measure_loops(out / "records" / "record")
    assert sorted((result.task, result.first) for result in results) == [("shop-0001", 1.0)] * 2 + [("shop-0002", 1.0)] * 2
    assert lines[1] == "record: 0 of 4 loops ended, 9 minutes left of this phase"
    work.run_loops("record", "train", "scripted:/nowhere", options, size=2)
    assert lines[-1] == "record: 4 of 4 loops ended, 9 minutes left of this phase"


def test_a_single_task_is_run_and_goes_on_like_many(improver):
    work, _, out = improver
    (out / "tasks" / "train" / "shop-0002.toml").unlink()
    for _ in range(2):
        work.run_loops("record", "train", script(out, "touch mended"), ("--group", "2", "--all", "--iterations", "1"), size=2)
    assert [result.task for result in measure_loops(out / "records" / "record")] == ["shop-0001"] * 2


def test_the_time_of_a_phase_ends_and_with_more_time_it_goes_on(improver, tmp_path):
    work, lines, out = improver
    (out / "times.json").write_text(json.dumps({"record": 9 * 60 - 4.0}))
    model = script(out, f"until [ -e {tmp_path}/go ]; do sleep 0.1; done; touch mended")
    work.run_loops("record", "train", model, ("--iterations", "1"))
    assert lines[-1] == "record: the time is over after 0 of 2 loops"
    (tmp_path / "go").touch()
    (out / "times.json").write_text("{}")
    work.run_loops("record", "train", model, ("--iterations", "1"))
    assert [result.first for result in measure_loops(out / "records" / "record")] == [1.0, 1.0]
    assert len(list((out / "records").glob("**/record.jsonl"))) == 2


def test_a_phase_without_time_begins_nothing(improver):
    work, lines, out = improver
    (out / "times.json").write_text(json.dumps({"record": 9 * 60.0}))
    work.run_loops("record", "train", "scripted:/nowhere", ())
    assert lines[-1] == "record: 0 of 2 loops ended, 0 minutes left of this phase"


def test_how_far_a_command_is_is_told_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("codagent_train.improve.commands._TELL_S", 0.05)
    told = []
    with pytest.raises(PhaseFailed, match="`codagent branch` ended with 2"):
        run_command("codagent", "branch", folder=tmp_path, tell=lambda: told.append(1))
    assert told
