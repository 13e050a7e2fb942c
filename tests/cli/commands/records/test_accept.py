"""`apply` and `undo`: some files, some hunks, conflicts, and back again."""

import json
import subprocess

import pytest

from tests.cli.conftest import call
from tests.cli.keyboard import typed
from tests.cli.loops import LOCAL

LINES = [str(number) for number in range(30)]


def text(*changed):
    return "".join(f"{line} changed\n" if int(line) in changed else f"{line}\n" for line in LINES)


def git(repository, *arguments):
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def loop(codagent, script, repository):
    """A run that changed three places of `list.txt`, and added `lib/new.txt`. Its id."""
    (repository / "list.txt").write_text(text())
    git(repository, "add", "-A")
    git(repository, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "list")
    work = [call("write", path="list.txt", content=text(1, 15, 29)), call("write", path="lib/new.txt", content="new\n")]
    done = codagent("run", "change it", "--model", script([*work, call("finish", summary="done")]), "--json", *LOCAL)
    return json.loads(done.stdout)["id"]


def test_a_change_is_applied_and_taken_back_and_its_branch_goes(codagent, repository, loop):
    done = codagent("apply")
    assert done.stdout.splitlines()[-1] == f"applied, and the branch codagent/{loop} is removed; `codagent undo` takes it back"
    assert git(repository, "branch", "--list", "codagent/*") == ""
    assert (repository / "list.txt").read_text() == text(1, 15, 29)
    assert codagent("diff", loop).stdout
    assert codagent("undo").stdout == f"taken back: lib/new.txt, list.txt; `codagent apply {loop}` applies it again\n"
    assert (repository / "list.txt").read_text() == text()
    assert not (repository / "lib").exists()
    again = codagent("undo")
    assert (again.returncode, again.stderr) == (6, "codagent: there is no applied change that could be taken back\n")
    assert codagent("apply").returncode == 0


@pytest.mark.parametrize("paths", [["lib"], ["lib/new.txt"], ["./lib/"]])
def test_only_the_named_files_are_applied_and_the_branch_stays(codagent, repository, loop, paths):
    done = codagent("apply", loop[-4:], "--", *paths)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "applied; `codagent undo` takes it back")
    assert git(repository, "status", "--short", "-uall") == "?? lib/new.txt\n"
    assert git(repository, "branch", "--list", "codagent/*").strip() == f"codagent/{loop}"
    assert codagent("apply", "--", *paths).stdout == "already there: the working tree has these files of the change\n"


def test_a_path_is_seen_from_the_folder_where_the_command_runs(codagent, repository, loop):
    (repository / "lib").mkdir()
    assert codagent("apply", "--", "new.txt", cwd=repository / "lib").returncode == 0
    assert codagent("apply", "--", "list.txt", cwd=repository / "lib").returncode == 0
    assert (repository / "list.txt").read_text() == text(1, 15, 29)


def test_a_path_that_was_not_changed_is_refused(codagent, repository, loop):
    done = codagent("apply", "--", "answer.txt")
    assert (done.returncode, done.stderr) == (6, "codagent: answer.txt is not in the change, which has lib/new.txt, list.txt\n")


@pytest.mark.parametrize(
    ("answers", "taken", "new"),
    [
        ("y\n", (1, 15, 29), True),
        ("c\nn\ny\nn\ny\n", (1, 29), False),
        ("\x04", (), False),
    ],
)
def test_files_and_hunks_are_chosen_on_a_terminal(repository, loop, answers, taken, new):
    code, shown = typed(repository, answers, "apply")
    assert code == 0, shown
    assert "list.txt    | 6 +++---" in shown
    assert (repository / "list.txt").read_text() == text(*taken)
    assert (repository / "lib/new.txt").exists() == new
    assert ("nothing was applied" in shown) == (not taken and not new)


@pytest.fixture
def conflict(repository, loop):
    (repository / "list.txt").write_text(text().replace("15\n", "15 mine\n"))
    return loop


def test_without_a_terminal_a_conflict_names_the_ways_out(codagent, repository, conflict):
    done = codagent("apply")
    assert done.returncode == 6
    for way in (f"`codagent apply {conflict} --markers`", f"`git merge codagent/{conflict}`", "`codagent run 'change it'`"):
        assert way in done.stderr
    assert "same lines of list.txt;" in done.stderr
    assert (repository / "list.txt").read_text() == text().replace("15\n", "15 mine\n")
    assert not (repository / "lib").exists()


def test_conflict_markers_are_written_and_taken_back(codagent, repository, conflict):
    before = (repository / "list.txt").read_text()
    done = codagent("apply", "--markers")
    assert done.stdout.splitlines()[-1] == "applied, with conflict markers in list.txt; `codagent undo` takes it back"
    assert "<<<<<<< yours\n15 mine\n=======\n15 changed\n>>>>>>> codagent\n" in (repository / "list.txt").read_text()
    assert codagent("undo").returncode == 0
    assert (repository / "list.txt").read_text() == before


@pytest.mark.parametrize(
    ("key", "said"), [("m", "with conflict markers in list.txt"), ("b", "then `git merge codagent/"), ("n", "what now?")]
)
def test_on_a_terminal_a_conflict_is_asked_about(repository, conflict, key, said):
    code, shown = typed(repository, f"y\n{key}\n", "apply")
    assert (code, said in shown) == (0, True), shown
    assert ("<<<<<<< yours" in (repository / "list.txt").read_text()) == (key == "m")


def test_the_task_is_run_again_on_the_files_as_they_are(repository, conflict, script):
    model = script([call("finish", summary="all is well")])
    code, shown = typed(repository, "y\nr\n", "apply", CODAGENT_MODEL=model, CODAGENT_SANDBOX="local")
    assert (code, "all is well" in shown) == (0, True), shown


def test_the_task_is_run_again_as_it_was_run(codagent, repository, loop, script):
    codagent("apply")
    replies = [call("bash", command="sed -i 's/^7$/7 changed/' list.txt"), call("finish", summary="all is well")]
    made = codagent("run", "change it", "--model", script(replies), "--check", "test -e list.txt", "--protect", "*.md", *LOCAL)
    assert made.returncode == 0, made.stderr
    (repository / "list.txt").write_text(text(1, 15, 29).replace("7\n", "7 mine\n", 1))
    assert "`codagent run 'change it' --check 'test -e list.txt'`" in codagent("apply").stderr
    code, shown = typed(repository, "y\nr\n", "apply")
    assert (code, "all is well" in shown) == (0, True), shown
    first = max((repository / ".codagent/loops").glob("*/record.jsonl"), key=lambda path: path.stat().st_mtime).open().readline()
    settings = json.loads(first)["loop"]["settings"]
    assert (settings["sandbox"], settings["protect"]) == ("local", ["*.md"])


def test_an_edit_in_the_same_place_is_named_by_undo(codagent, repository, loop):
    codagent("apply")
    (repository / "list.txt").write_text(text(1, 15, 29).replace("15 changed", "15 mine"))
    done = codagent("undo")
    assert done.returncode == 6
    assert done.stderr.startswith("codagent: nothing was taken back: list.txt changed since in the same place")
    assert (repository / "lib/new.txt").exists()


def test_the_list_is_a_table(codagent, repository, loop):
    heading, row = codagent("list").stdout.splitlines()
    assert heading.split() == ["id", "kind", "outcome", "ended", "attempts", "cost", "model", "task"]
    assert row.startswith(f"{loop}  run   done     ")
    assert row.endswith("  change it")
    assert heading.index("task") == row.index("change it")
    (repository / "answer.txt").unlink()
    _, shown = typed(repository, "", "list", COLUMNS="60")
    assert max(map(len, shown.splitlines())) <= 60


def test_clean_all_forgets_what_was_applied(codagent, repository, loop):
    codagent("apply")
    codagent("clean", "--all")
    assert git(repository, "for-each-ref", "--format=%(refname)") == "refs/heads/main\n"
    assert codagent("undo").returncode == 6
