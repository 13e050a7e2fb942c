"""What a loop begins with is judged before the model is asked, through the installed command."""

import json

import pytest

from codagent.agent.episode import ALREADY
from codagent.repository import git
from codagent.store.record import load
from tests.cli.conftest import CHECK, IDLE, call
from tests.cli.loops import LOCAL, LOOP, attempt, kinds, noted, record_of, told

NOBODY = []  # a script without replies, so whoever asks the model fails
TWO = f"""
checks = ["{CHECK}"]
[[task]]
instruction = "mend it"
[[task]]
instruction = "mend it more"
"""


def test_0_and_one_sentence_when_every_check_passes_already(codagent, script, repository):
    (repository / "answer.txt").write_text("right\n")
    done = codagent(*LOOP, "--model", script(NOBODY), "--json")
    result, loop = told(done), record_of(done)
    assert (done.returncode, result["outcome"], result["passed"], result["claimed"]) == (0, "passed", True, False), done.stderr
    assert (result["iterations"], result["tokens"], result["branch"], kinds(loop)) == (0, 0, None, [("solve", 0)])
    said = [line for line in done.stderr.splitlines() if "pass" in line or "progress" in line or "ended" in line]
    assert said == [ALREADY]


def test_its_record_serves_every_later_command(codagent, script, repository):
    (repository / "answer.txt").write_text("right\n")
    loop_id = told(codagent(*LOOP, "--model", script(NOBODY), "--json"))["id"]
    commands = [["show", loop_id], ["show", "--tokens"], ["list"], ["report", loop_id], ["replay", loop_id, *LOCAL], ["diff"], ["apply"]]
    assert [codagent(*command).returncode for command in commands] == [0, 0, 0, 0, 0, 6, 6]
    assert ALREADY in codagent("show", loop_id).stdout
    assert [row["outcome"] for row in json.loads(codagent("list", "--json").stdout)] == ["passed"]
    over = codagent("loop", "--resume", loop_id, *LOCAL)
    assert (over.returncode, f"loop {loop_id} is over: every check passes" in over.stderr) == (2, True)
    again = codagent("branch", loop_id, "--at", "1", *LOCAL, "--json")
    assert (again.returncode, told(again)["iterations"]) == (0, 0), again.stderr


def test_a_loop_that_was_killed_before_it_could_say_so_says_it_when_it_is_resumed(codagent, script, repository):
    (repository / "answer.txt").write_text("right\n")
    done = codagent(*LOOP, "--model", script(NOBODY), "--json")
    file = repository / ".codagent" / "loops" / told(done)["id"] / "record.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:2]))  # the loop and the start of its episode
    resumed = codagent("loop", "--resume", told(done)["id"], *LOCAL, "--json")
    assert (resumed.returncode, told(resumed)["outcome"], kinds(load(file))) == (0, "passed", [("solve", 0)]), resumed.stderr


def test_a_later_task_whose_checks_pass_already_is_passed_without_a_request(codagent, script, repository):
    (repository / "tasks.toml").write_text(TWO)
    done = codagent("loop", "tasks.toml", "--model", script([*attempt("right"), noted("mended")]), *LOCAL, "--json")
    loop = record_of(done)
    assert (done.returncode, told(done)["iterations"], kinds(loop)) == (0, 1, [("solve", 0), ("notes", 0), ("solve", 1)]), done.stderr
    assert ([episode.end for episode in loop.attempts], loop.latest_notes) == (["finished", "passed"], "mended")
    assert told(done)["commit"] == loop.attempts[0].commit


def test_a_resumed_loop_passes_its_later_task_without_a_request(codagent, script, repository):
    (repository / "tasks.toml").write_text(TWO)
    down = codagent("loop", "tasks.toml", "--model", script([look := call("bash", command="ls")]), *LOCAL, "--json")
    assert (down.returncode, told(down)["outcome"]) == (4, "model")
    model = script([look, *attempt("right"), noted("mended")])
    done = codagent("loop", "--resume", told(down)["id"], "--model", model, *LOCAL, "--json")
    assert (done.returncode, [episode.end for episode in record_of(done).attempts]) == (0, ["finished", "passed"]), done.stderr


@pytest.mark.parametrize("check", ["absent-program -q", "A=b absent-program -q | cat", "/etc/passwd", "./answer.txt"])
def test_2_when_a_check_cannot_be_run_whatever_the_agent_does(codagent, script, check):
    done = codagent("loop", "mend it", "--check", "true", "--check", check, *LOCAL, "--model", script(NOBODY))
    assert (done.returncode, f"the check `{check}` cannot be run" in done.stderr) == (2, True), done.stderr
    assert "nothing was done here yet" in codagent("list").stderr


@pytest.mark.parametrize("check", ["./check.sh", "cd . && ./check.sh", "(absent-program) || ./check.sh"])
def test_a_check_that_the_agent_can_make_run_is_left_to_the_agent(codagent, script, check):
    work = [call("bash", command="printf '#!/bin/sh\n' > check.sh; chmod +x check.sh"), *IDLE, noted("made it")]
    done = codagent("loop", "write check.sh", "--check", check, *LOCAL, "--model", script(work), "--json")
    assert (done.returncode, told(done)["iterations"]) == (0, 1), done.stderr


def test_a_run_works_on_a_task_whose_checks_pass_already(codagent, script, repository):
    (repository / "answer.txt").write_text("right\n")
    done = codagent("run", "say more", "--check", CHECK, *LOCAL, "--model", script(attempt("right and more")), "--json")
    assert (done.returncode, told(done)["outcome"], told(done)["branch"] is None) == (0, "passed", False), done.stderr


def test_a_task_file_names_the_repository_and_the_commit_that_it_starts_from(codagent, script, repository, tmp_path):
    begin = git.snapshot(repository).commit
    (repository / "answer.txt").write_text("something else\n")
    file = tmp_path / "elsewhere" / "task.toml"
    file.parent.mkdir()
    file.write_text(f"""
repository = "../repository"
start = "{begin}"
instruction = "mend it"
checks = ["{CHECK}"]
""")
    look = [call("bash", command="cat answer.txt"), *attempt("right"), noted("done")]
    done = codagent("loop", str(file), "--model", script(look), *LOCAL, "--json", cwd=file.parent)
    assert done.returncode == 0, done.stderr
    loop = record_of(done)
    assert loop.start_commit == begin
    assert "wrong" in loop.episodes[0].steps[0].observation.messages[0].content
    assert (repository / ".codagent" / "loops" / loop.id).is_dir()
    assert (repository / "answer.txt").read_text() == "something else\n"


@pytest.mark.parametrize(("key", "value", "code"), [("start", "f" * 40, 6), ("start", "main", 2), ("repository", "nowhere", 6)])
def test_a_task_file_with_no_such_start_or_repository_is_refused(codagent, script, repository, key, value, code):
    names = {"repository": ".", key: value}
    (repository / "task.toml").write_text("\n".join(f'{name} = "{word}"' for name, word in names.items()) + '\ninstruction = "mend it"\n')
    done = codagent("loop", "task.toml", "--check", CHECK, "--model", script([]), *LOCAL)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert value in done.stderr
