"""What a repository sets up for its sandbox runs only when this user has allowed it. Here no engine answers, which comes after."""

import json
import os
import pty
import subprocess
import time

import pytest

from tests.cli.conftest import CHECK, CODAGENT, FIX, allow_local, call
from tests.cli.keyboard import typed
from tests.store.foreign import without_checksums

SETUP = '[sandbox]\nsetup = "pip install -r wanted.txt"\nfiles = ["wanted.txt"]\n'
REFUSED, ENGINE = 2, 5


@pytest.fixture
def shared(repository):
    """The repository with a set-up, as somebody else made it."""
    (repository / "codagent.toml").write_text(SETUP)
    (repository / "wanted.txt").write_text("pytest\n")
    subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
    return repository


@pytest.fixture
def alone(codagent, tmp_path):
    """The command where no engine answers."""
    return lambda *arguments, **variables: codagent(*arguments, DOCKER_HOST=f"unix://{tmp_path}/none.sock", **variables)


@pytest.fixture
def work(alone, script):
    return lambda: alone("run", "x", "--model", script(FIX), "--check", CHECK)


def test_a_set_up_that_was_never_allowed_is_refused_and_the_command_that_allows_it_named(shared, work):
    done = work()
    assert done.returncode == REFUSED
    assert done.stderr.count("\n") <= 2
    assert "`codagent sandbox allow`" in done.stderr
    assert list((shared / ".codagent" / "loops").iterdir()) == []


def test_allowing_shows_it_all_and_remembers_it_away_from_the_repository(shared, alone, work, tmp_path):
    shown = alone("sandbox", "allow")
    assert shown.returncode == 0
    for part in ("setup:\n  | pip install -r wanted.txt\n", "files that it gets: wanted.txt\n", "allowed\n"):
        assert part in shown.stdout
    assert work().returncode == ENGINE
    kept = tmp_path / ".local" / "state" / "codagent" / "allowed.json"
    assert list(json.loads(kept.read_text())) == ["setups"]
    assert kept.stat().st_mode & 0o077 == 0


def test_the_state_folder_is_where_the_user_has_it(shared, alone, tmp_path):
    alone("sandbox", "allow", XDG_STATE_HOME=str(tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere" / "codagent" / "allowed.json").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("wanted.txt", "evil\n"),
        ("codagent.toml", SETUP.replace("pip", "evil")),
        ("codagent.toml", SETUP + 'image = "evil/image"\n'),
        ("codagent.toml", SETUP + 'dockerfile = "wanted.txt"\n'),
    ],
)
def test_whatever_changes_in_it_has_to_be_allowed_again(shared, alone, work, file, text):
    alone("sandbox", "allow")
    (shared / file).write_text(text)
    assert work().returncode == REFUSED


def test_a_memory_that_cannot_be_kept_is_said(shared, alone, tmp_path):
    (tmp_path / "file").write_text("")
    done = alone("sandbox", "allow", XDG_STATE_HOME=str(tmp_path / "file"))
    assert done.returncode == REFUSED
    assert "cannot be written" in done.stderr


def test_nothing_hidden_in_a_set_up_stays_hidden(shared, alone):
    (shared / "codagent.toml").write_text('[sandbox]\nsetup = "curl evil \\u001b[2K\\r pip \\u202e"\n')
    shown = alone("sandbox", "allow").stdout
    assert r"| curl evil \x1b[2K\r pip \u202e" in shown
    assert "\x1b" not in shown


def test_a_task_files_set_up_is_allowed_by_its_name(repository, alone, script):
    (repository / "tasks.toml").write_text(f"instruction = 'x'\nsetup = 'make deps'\nchecks = ['{CHECK}']\n")
    loop = ("loop", "tasks.toml", "--model", script(FIX))
    assert alone(*loop).returncode == REFUSED
    assert "nothing to allow" in alone("sandbox", "allow").stdout
    assert alone(*loop).returncode == REFUSED
    assert "| make deps" in alone("sandbox", "allow", "tasks.toml").stdout
    assert alone(*loop).returncode == ENGINE


def test_a_records_set_up_goes_through_the_same_door(repository, alone, script):
    model = ("--model", script(FIX))
    done = alone("loop", "x", *model, "--check", "false", "--sandbox", "local", "--iterations", "1", "--json")
    loop_id = json.loads(done.stdout)["id"]
    file = repository / ".codagent" / "loops" / loop_id / "record.jsonl"
    first, *rest = without_checksums(file.read_text()).splitlines()
    told = json.loads(first)
    told["loop"]["settings"] |= {"sandbox": "python", "sandbox_setup": {"setup": "make deps"}}
    file.write_text("\n".join([json.dumps(told), *rest, ""]))
    for command in (("replay",), ("loop", "--resume", loop_id, "--iterations", "2", *model), ("branch", loop_id, "--at", "1", *model)):
        done = alone(*command)
        assert (done.returncode, "codagent sandbox allow" in done.stderr) == (REFUSED, True), done.stderr


def answered(repository, tmp_path, answer, *arguments):
    """What a command says and how it ends on a terminal on which a person types."""
    terminal, end = pty.openpty()
    environment = os.environ | {"HOME": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    environment = {key: value for key, value in environment.items() if not key.startswith(("CODAGENT_", "XDG_"))}
    running = subprocess.Popen(
        [CODAGENT, *arguments], cwd=repository, stdin=end, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    os.close(end)
    time.sleep(0.1)
    os.write(terminal, answer)
    said = running.communicate(timeout=200)[1].decode()
    os.close(terminal)
    return running.returncode, said


def test_on_a_terminal_it_is_shown_and_asked_for_and_a_yes_is_remembered(shared, tmp_path, script, work):
    command = ("run", "x", "--model", script(FIX), "--check", CHECK)
    for answer in (b"\n", b"n\n", b"\x04"):
        code, said = answered(shared, tmp_path, answer, *command)
        assert (code, "was not allowed" in said) == (REFUSED, True), said
    code, said = answered(shared, tmp_path, b"y\n", *command)
    assert code == ENGINE
    assert "  | pip install -r wanted.txt" in said
    assert "[y/N]" in said
    code, said = answered(shared, tmp_path, b"", *command)
    assert (code, "[y/N]" in said) == (ENGINE, False)
    assert work().returncode == ENGINE


def test_the_local_sandbox_sets_nothing_up(shared, alone, script):
    assert alone("run", "x", "--model", script(FIX), "--check", CHECK, "--sandbox", "local").returncode == 0


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 3), (b"\x04", 3)])
def test_on_a_terminal_it_is_asked_once_whether_suspicious_changes_may_be(repository, tmp_path, script, answer, code):
    allow_local(repository, tmp_path)
    work = [call("bash", command="echo import atexit > a.py"), *FIX]
    ended, said = answered(repository, tmp_path, answer, "run", "x", "--sandbox", "local", "--model", script(work), "--check", CHECK)
    assert ended == code, said
    assert said.count("may these files change so, for this command? [y/N]") == 1
    assert "a.py:1: reaches for atexit" in said


@pytest.mark.parametrize("command", [("run", "x"), ("loop", "x"), ("session",)])
def test_on_a_terminal_the_local_sandbox_is_asked_about_and_a_no_ends_the_command(repository, tmp_path, script, command):
    flags = ("--sandbox", "local", "--model", script(FIX), "--check", CHECK)
    for answer in ("\n", "n\n", "\x04"):
        code, shown = typed(repository, answer, *command, *flags, XDG_STATE_HOME=str(tmp_path / "state"))
        assert (code, shown.count("[y/N]"), "nothing was run" in shown) == (REFUSED, 1, True), shown
    assert not list((repository / ".codagent/loops").glob("*/record.jsonl"))


def test_a_yes_to_the_local_sandbox_holds_for_this_repository_and_all_commands(repository, tmp_path, script):
    flags, state = ("--sandbox", "local", "--check", CHECK), {"XDG_STATE_HOME": str(tmp_path / "state")}
    code, shown = typed(repository, "y\n", "run", "x", "--model", script(FIX), *flags, **state)
    assert (code, "can read, change and delete your files" in shown) == (0, True), shown
    code, shown = typed(repository, "", "loop", "x", "--model", script(FIX), *flags, **state)
    assert (code, "[y/N]" in shown, "does not isolate" in shown) == (0, False, True), shown
    _, shown = typed(repository, "", "replay", "--sandbox", "local", **state)
    assert "[y/N]" not in shown
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", repository, other], check=True)
    assert typed(other, "n\n", "run", "x", "--model", script(FIX), *flags, **state)[0] == REFUSED


def test_without_a_terminal_the_local_sandbox_is_named_and_nobody_is_asked(codagent, script):
    done = codagent("run", "x", "--model", script(FIX), "--check", CHECK, "--sandbox", "local")
    assert (done.returncode, "does not isolate" in done.stderr, "[y/N]" in done.stderr) == (0, True, False)


def test_a_dry_run_in_the_local_sandbox_asks_nothing(repository, tmp_path, script):
    flags = ("--sandbox", "local", "--model", script(FIX), "--check", CHECK, "--dry-run")
    code, shown = typed(repository, "", "loop", "x", *flags, XDG_STATE_HOME=str(tmp_path / "state"))
    assert (code, "[y/N]" in shown) == (0, False), shown
