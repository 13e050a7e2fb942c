"""The user's repository before and after a loop, byte for byte."""

import subprocess

from tests.cli.conftest import call
from tests.cli.loops import LOOP, attempt, noted, told, tries

OURS = (".codagent", ".git/objects", ".git/refs/codagent", ".git/refs/heads/codagent", ".git/logs/refs/heads/codagent")


def git(repository, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(["git", *identity, *arguments], cwd=repository, capture_output=True, text=True, check=True).stdout


def state(repository):
    """Every file but ours: its mode, its bytes, and when it was changed; of objects, which may come, nothing but those that are there."""
    files = [path for path in sorted(repository.rglob("*")) if path.is_file() or path.is_symlink()]
    paths = [path for path in files if not str(path.relative_to(repository)).startswith(OURS)]
    return {str(path.relative_to(repository)): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes()) for path in paths}


def lived_in(repository):
    """With all that a person may have going on."""
    (repository / "answer.txt").write_text("stashed\n")
    git(repository, "stash")
    (repository / "run").write_text("#!/bin/sh\n")
    (repository / "run").chmod(0o755)
    (repository / "link").symlink_to("answer.txt")
    git(repository, "add", "run", "link")
    (repository / "answer.txt").write_text("wrong, and not committed\n")
    (repository / "untracked.txt").write_text("mine\n")
    hook = repository / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {repository}/hooked\n")
    hook.chmod(0o755)
    git(repository, "config", "alias.x", "status")
    git(repository, "tag", "one")
    git(repository, "pack-refs", "--all")


def test_a_loop_leaves_all_as_it_was(codagent, script, repository):
    lived_in(repository)
    before, refs = state(repository), git(repository, "show-ref", "--head")
    vandal = [call("bash", command="rm -rf .git/refs; git stash drop; git config alias.x log; rm untracked.txt; git checkout -q -b x")]
    done = codagent(*LOOP, "--model", script([*vandal, *tries("1"), *attempt("right"), noted("n")]), "--json")
    assert (done.returncode, told(done)["iterations"]) == (0, 2), done.stderr
    assert state(repository) == before
    after = git(repository, "show-ref", "--head").splitlines()
    assert [line for line in after if "codagent/" not in line] == refs.splitlines()
    assert git(repository, "stash", "list").count("\n") == 1
    git(repository, "fsck", "--strict")


def test_a_loop_that_is_cleaned_away_leaves_no_ref(codagent, script, repository):
    lived_in(repository)
    refs = git(repository, "show-ref", "--head")
    codagent(*LOOP, "--model", script(tries("1", "right")), "--group", "2", "--all")
    assert git(repository, "show-ref", "--head") != refs
    assert codagent("clean", "--all").returncode == 0
    assert git(repository, "show-ref", "--head") == refs
