"""What a user does to a repository while a command works in it, and what ends a command early: the work is kept."""

import json
import shutil
import signal
import subprocess

import pytest

from tests.cli.conftest import CHECK, FIX, IDLE, call
from tests.cli.loops import LOCAL, Started


def git(repository, *arguments):
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=repository, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def loop_id(repository):
    return next((repository / ".codagent/loops").iterdir()).name


class Working(Started):
    """A run that has begun its task and goes on when its exit code is asked for, or when it is resumed."""

    def __init__(self, repository, script, *arguments):
        self._go = repository.with_name("go")
        wait = f"echo right > answer.txt; for _ in $(seq 600); do [ ! -e {self._go} ] || break; sleep 0.5; done"
        slow = [call("bash", command=wait), call("finish", summary="waited")]
        super().__init__(repository, "run", "mend it", "--check", CHECK, *LOCAL, *arguments, "--model", script(slow))
        self.until("task:")

    def code(self):
        self._go.touch()
        return super().code()

    def end(self, number):
        """The exit code after a signal. A command that was left running ends, too."""
        self._running.send_signal(number)
        return self.code()


def answer(repository, revision="codagent/"):
    names = git(repository, "for-each-ref", "--format=%(refname)", f"refs/heads/{revision}").split()
    return git(repository, "show", f"{names[0]}:answer.txt") if names else None


def test_a_clean_up_of_the_repository_leaves_the_start_of_a_run_alone(repository, script):
    (repository / "mine.txt").write_text("not committed")
    working = Working(repository, script)
    for command in ("commit -q --allow-empty --amend -m other", "reflog expire --expire=now --all", "gc -q --prune=now"):
        git(repository, *command.split())
    assert (working.code(), answer(repository)) == (0, "right")
    assert git(repository, "show", f"refs/codagent/{loop_id(repository)}/start:mine.txt") == "not committed"


def test_clean_removes_the_start_too(codagent, script, repository):
    codagent("run", "x", "--model", script(FIX), *LOCAL)
    assert codagent("clean", "--all").returncode == 0
    assert git(repository, "for-each-ref", "refs/codagent/", "refs/heads/codagent/") == ""


def test_a_run_that_never_began_leaves_no_ref(codagent, repository):
    assert codagent("run", "x", "--model", "http://127.0.0.1:9/v1#m", "--max-usd", "1", *LOCAL).returncode == 2
    assert git(repository, "for-each-ref", "refs/codagent/") == ""


def test_a_branch_in_the_way_is_seen_before_the_model_is_asked(codagent, script, repository):
    git(repository, "branch", "codagent")
    done = codagent("run", "x", "--model", script(FIX), "--json", *LOCAL)
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (6, "repository")
    assert "the branch codagent is in the way" in done.stderr
    assert "task:" not in done.stderr


@pytest.mark.parametrize("name", ["codagent", "codagent/{id}", "codagent/{id}/mine"])
def test_a_branch_that_comes_in_the_way_costs_no_work(codagent, script, repository, name):
    working = Working(repository, script)
    kept = f"refs/codagent/{loop_id(repository)}/0"
    git(repository, "commit", "-q", "--allow-empty", "-m", "mine")
    git(repository, "branch", name.format(id=loop_id(repository)))
    mine = git(repository, "rev-parse", "HEAD")
    assert working.code() == 6
    assert git(repository, "show", f"{kept}:answer.txt") == "right"
    assert git(repository, "rev-parse", name.format(id=loop_id(repository))) == mine
    assert f"the work is kept as {kept}" in codagent("show").stdout
    assert codagent("apply").returncode == 0
    assert (repository / "answer.txt").read_text() == "right\n"


def test_a_repository_inside_that_stays_out_is_named(codagent, script, repository):
    (repository / "vendor/lib").mkdir(parents=True)
    git(repository / "vendor/lib", "init", "-q")
    git(repository / "vendor/lib", "commit", "-q", "--allow-empty", "-m", "x")
    assert "not in the sandbox: vendor/lib" in codagent("run", "x", "--model", script(IDLE), *LOCAL).stderr


def test_clean_leaves_alone_what_is_being_worked_on_and_removes_the_rest(codagent, script, repository):
    codagent("run", "x", "--model", script(FIX), *LOCAL)
    other = loop_id(repository)
    working = Working(repository, script)
    done = codagent("clean", "--all")
    assert (done.returncode, done.stdout) == (2, f"removed {other}\n")
    assert "is being worked on by process" in done.stderr
    assert (working.code(), answer(repository)) == (0, "right")


def test_work_comes_out_when_its_record_is_removed_meanwhile(script, repository, tmp_path):
    working = Working(repository, script)
    shutil.rmtree((repository / ".codagent").rename(tmp_path / "removed"), ignore_errors=True)  # the run may be writing
    assert (working.code(), answer(repository)) == (0, "right")


def test_a_repository_that_is_moved_meanwhile_is_gone_on_with_in_its_place(codagent, script, repository):
    working = Working(repository, script)
    moved = repository.rename(repository.with_name("moved"))
    assert working.code() == 7
    done = codagent("loop", "--resume", loop_id(moved), *LOCAL, cwd=moved)
    assert (done.returncode, answer(moved)) == (0, "right"), done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_run_that_a_signal_ends_is_resumed(codagent, script, repository, number, code):
    working = Working(repository, script)
    assert working.end(number) == code
    done = codagent("loop", "--resume", loop_id(repository), "--json", *LOCAL)
    assert (done.returncode, json.loads(done.stdout)["outcome"], answer(repository)) == (0, "passed", "right")
    over = codagent("loop", "--resume", loop_id(repository), *LOCAL)
    assert (over.returncode, "is over: every check passes" in over.stderr) == (2, True)
