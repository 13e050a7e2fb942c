"""Where results are kept."""

from __future__ import annotations

import os

import pytest

from codagent.errors import RepositoryError, UsageError
from codagent.repository import git


@pytest.fixture
def result(repository):
    tree = repository.git("rev-parse", "HEAD^{tree}")
    return git.commit(
        repository.root, tree, repository.git("rev-parse", "HEAD"), "fix\n", trailers={"Codagent-Loop": "l1", "Cost": "0.1\nusd"}
    )


def test_a_commit_is_by_codagent_and_carries_its_trailers(repository, result):
    assert repository.git("log", "-1", "--format=%an <%ae> %cn", result) == "codagent <codagent@localhost> codagent"
    assert repository.git("log", "-1", "--format=%B", result) == "fix\n\nCodagent-Loop: l1\nCost: 0.1 usd"
    assert repository.git("log", "-1", "--format=%(trailers:key=Cost,valueonly)", result) == "0.1 usd"


def test_published_commits_are_found_by_position_and_forgotten_together(repository, result):
    head = repository.git("rev-parse", "HEAD")
    for position, commit in ((0, head), (10, result), (2, result)):
        git.publish(repository.root, "l1", position, commit, best=result)
    git.publish(repository.root, "l10", 0, head, best=head)
    assert git.list_published(repository.root, "l1") == {0: head, 2: result, 10: result}
    assert repository.git("rev-parse", git.branch_name("l1")) == result
    git.unpublish(repository.root, "l1")
    assert git.list_published(repository.root, "l1") == {}
    assert repository.git("for-each-ref", "--format=%(refname)", "refs/codagent", "refs/heads/codagent").split() == [
        "refs/codagent/l10/0",
        "refs/heads/codagent/l10",
    ]


def test_what_a_killed_git_left_locked_is_unlocked_and_no_other_loop_with_it(repository, result):
    git.publish(repository.root, "l1", 0, result, best=result)
    git.publish(repository.root, "l2", 0, result, best=result)
    locks = [repository.root / ".git/refs" / name for name in ("codagent/l1/1.lock", "heads/codagent/l1.lock", "codagent/l2/1.lock")]
    for lock in locks:
        lock.touch()
    git.unlock(repository.root, "l1")
    assert [lock.exists() for lock in locks] == [False, False, True]
    git.publish(repository.root, "l1", 1, result, best=result)
    with pytest.raises(RepositoryError, match="cannot lock ref"):
        git.publish(repository.root, "l2", 1, result, best=result)


def test_a_branch_that_is_checked_out_is_left_alone_and_the_commit_is_kept(repository, result):
    head = repository.git("rev-parse", "HEAD")
    git.publish(repository.root, "l1", 0, head, best=head)
    repository.git("checkout", "-q", "codagent/l1")
    git.publish(repository.root, "l1", 1, result, best=result)
    with pytest.raises(RepositoryError, match="codagent/l1 is checked out"):
        git.unpublish(repository.root, "l1")
    assert repository.git("rev-parse", "HEAD") == head
    assert git.list_published(repository.root, "l1") == {0: head, 1: result}


def test_a_branch_in_the_way_is_named(repository, result):
    repository.git("branch", "codagent")
    with pytest.raises(RepositoryError, match="refs/heads/codagent"):
        git.publish(repository.root, "l1", 0, result, best=result)


@pytest.mark.parametrize("name", ["", "../x", "a b", "a\ndelete refs/heads/main", "-x", "a/b"])
def test_a_loop_id_that_could_name_another_ref_is_refused(repository, name):
    with pytest.raises(UsageError, match="is not the id of a session, run or loop"):
        git.unpublish(repository.root, name)


def test_what_lies_between_two_commits_can_be_read_and_applied(repository):
    repository.git("config", "diff.noprefix", "true")
    repository.git("config", "color.ui", "always")
    first = repository.git("rev-parse", "HEAD")
    repository.write("a.txt", b"one\n2 \xe9\nthree\n")
    repository.write("data.bin", bytes(range(256)))
    second = repository.commit()
    assert "-two\n+2 \udce9\n" in git.diff(repository.root, first, second)
    assert git.diff(repository.root, first, second, stat=True).endswith("2 files changed, 1 insertion(+), 1 deletion(-)\n")
    repository.git("checkout", "-q", first)
    repository.git("apply", "-p1", data=os.fsencode(git.diff(repository.root, first, second, binary=True)))
    assert git.tree_of(repository.root, git.snapshot(repository.root).commit) == git.tree_of(repository.root, second)


def test_a_diff_names_files_as_people_do(repository):
    start = git.snapshot(repository.root).commit
    repository.write("世界.py", "wide\n")
    shown = git.diff(repository.root, start, git.snapshot(repository.root).commit)
    assert "+++ b/世界.py\n" in shown
