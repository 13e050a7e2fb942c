"""Grading commits in the local sandbox."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from codagent.repository import git
from codagent.repository.gate import Gates
from codagent.repository.gate.cache import open_cache
from codagent.repository.gate.runs import CheckRunner
from codagent.sandbox.local import LocalSandbox
from tests.repository.gate.conftest import SOLVED, START

PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider"


class Counted:
    """Opens local sandboxes and counts them."""

    def __init__(self):
        self.opened = 0

    def __call__(self):
        self.opened += 1
        return LocalSandbox()


@pytest.fixture
def sandboxes():
    return Counted()


@pytest.fixture
def gates(shop, sandboxes):
    return Gates(shop.root, shop.start, sandboxes)


def test_a_solution_passes(gates, shop):
    outcome = gates.grade((PYTEST, "test -f shop/price.py"), shop.commit({"shop/price.py": SOLVED}))
    assert (outcome.reward, outcome.passed, outcome.failed) == (1.0, True, ()), outcome.feedback


def test_the_start_is_worth_what_passes_and_is_run_once(gates, shop, sandboxes):
    outcome = gates.grade((PYTEST,), shop.start)
    assert (outcome.reward, outcome.passed, len(outcome.failed)) == (2 / 6, False, 4)
    assert sandboxes.opened == 1  # without twins: nobody has worked on it


def test_canaries_are_not_in_the_output(gates, shop):
    feedback = gates.grade((PYTEST,), shop.start).feedback
    assert "4 failed, 2 passed" in feedback
    assert "plugin.py" not in feedback


def test_classes_of_the_tests_and_of_libraries_that_they_name_may_agree_with_anything(gates, shop):
    tests = """
from unittest.mock import ANY
import pytest
class Any:
    def __eq__(self, other): return True
def test_any(): assert [1, {"a": 2}] == [ANY, {"a": Any()}]
def test_near(): assert 0.1 + 0.2 == pytest.approx(0.3)
def test_in(): assert 1 in range(3) and "a" in {"a": 1}
"""
    outcome = gates.grade((PYTEST,), shop.commit({"shop/price.py": SOLVED, "tests/test_any.py": tests}))
    assert outcome.passed, outcome.feedback


def test_checks_run_in_order_in_one_sandbox(gates, shop, sandboxes):
    outcome = gates.grade(("echo a > built", "grep a built", "false"), shop.start)
    assert (outcome.reward, outcome.failed) == (2 / 3, ("false",))
    assert sandboxes.opened == 1


def test_the_checks_see_a_clean_checkout_with_what_decides_put_back(gates, shop):
    commit = shop.commit({"tests/helpers.py": "edited", "a.txt": "a"})
    outcome = gates.grade(('test -z "$(git status --short)"', "cat a.txt", "! grep edited tests/helpers.py"), commit)
    assert outcome.passed
    assert outcome.feedback.endswith("tests/helpers.py does not count as you left it: the checks use what stood there at the start")


def test_a_makefile_is_put_back_where_make_decides(shop, tmp_path):
    start = shop.commit({"Makefile": "test:\n\tfalse\n"})
    cheat = shop.commit({"Makefile": "test:\n\ttrue\n", "GNUmakefile": "test:\n\ttrue\n"})
    check = "make test 2>/dev/null; test ! -f GNUmakefile && grep -q false Makefile"
    outcome = Gates(shop.root, start, LocalSandbox).grade((check,), cheat)
    assert (outcome.failed, outcome.suspicious) == ((), ("GNUmakefile: the check uses this file", "Makefile: the check uses this file"))
    assert Gates(shop.root, shop.start, LocalSandbox).grade(("test -f GNUmakefile # make",), cheat).passed


def test_verdicts_are_kept_by_tree_checks_and_image(shop, sandboxes, tmp_path):
    file = tmp_path / "gates" / "cache.jsonl"
    commit = shop.commit({"shop/price.py": SOLVED})

    def grade(image="i", checks=("test -d shop",), commit=commit):
        return Gates(shop.root, shop.start, sandboxes, image=image, cache=file).grade(checks, commit)

    first = grade()
    assert grade() == first
    assert sandboxes.opened == 1
    grade(image="j")
    grade(checks=("test -d tests",))
    grade(commit=shop.start)
    assert sandboxes.opened == 4
    with file.open("a") as lines:
        lines.write('{"key": "cut o')
    assert grade() == first
    assert sandboxes.opened == 4


def test_a_failure_is_kept_for_the_command_and_a_pass_for_good(shop, sandboxes, tmp_path):
    flag = tmp_path / "flag"
    check, commit = f"test -e {flag}", shop.commit({"shop/price.py": SOLVED})

    def grade():
        return Gates(shop.root, shop.start, sandboxes, cache=tmp_path / "cache.jsonl").grade((check,), commit).passed

    assert (grade(), grade(), sandboxes.opened) == (False, False, 1)
    flag.touch()
    assert (grade(), sandboxes.opened) == (False, 1)
    open_cache.cache_clear()  # as in another command
    assert (grade(), grade(), sandboxes.opened) == (True, True, 2)
    flag.unlink()
    open_cache.cache_clear()
    assert (grade(), sandboxes.opened) == (True, 2)
    gates = Gates(shop.root, shop.start, sandboxes, cache=tmp_path / "cache.jsonl")
    assert gates.grade((check,), commit).kept
    assert not gates.grade(("true",), commit).kept
    assert not gates.grade(("true",), commit).kept


def test_what_a_time_limit_has_ended_is_not_kept(shop, sandboxes, tmp_path):
    gates = Gates(shop.root, shop.start, sandboxes, cache=tmp_path / "cache.jsonl")
    assert not gates.grade(("sleep 5",), shop.start, seconds=0.5).passed
    assert not gates.grade(("exit 124",), shop.start).passed
    assert not gates.grade(("exit 124",), shop.start).passed
    assert gates.grade(("sleep 1",), shop.start).passed
    assert sandboxes.opened == 4


def test_loops_of_a_group_judge_their_common_start_once(shop, sandboxes, tmp_path):
    def grade(_):
        return Gates(shop.root, shop.start, sandboxes, cache=tmp_path / "cache.jsonl").grade(("sleep 0.5; false",), shop.start)

    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(grade, range(6)))
    assert ({outcome.passed for outcome in outcomes}, sandboxes.opened) == ({False}, 1)


def test_a_failure_of_pytest_is_judged_anew_by_another_command_and_the_start_is_run_once(shop, sandboxes, tmp_path):
    flag = tmp_path / "flag"
    tests = f"import pathlib\ndef test_flag(): assert pathlib.Path({str(flag)!r}).exists()\n"
    commit, gates = shop.commit({"shop/price.py": SOLVED, "tests/test_flag.py": tests}), Gates(shop.root, shop.start, sandboxes)
    assert not gates.grade((PYTEST,), commit).passed
    flag.touch()
    assert not gates.grade((PYTEST,), commit).passed
    assert sandboxes.opened == 3 + 1
    assert Gates(shop.root, shop.start, sandboxes).grade((PYTEST,), commit).passed


@pytest.mark.parametrize(
    ("check", "passed"),
    [
        ("false | tail -3", False),
        ("echo a | grep b | cat", False),
        ("true | cat", True),
        ("(false | cat); true", True),
        ("! grep absent a.txt | cat", True),
        ("set +o pipefail; false | cat", True),
        ("set +o pipefail\nfalse | cat", True),
        (f"{PYTEST} | tail -3", False),
        (f"{PYTEST} 2>&1 |& tee log", False),
    ],
)
def test_a_pipe_fails_when_a_part_of_it_does(gates, shop, check, passed):
    assert gates.grade((check,), shop.commit({"a.txt": "a\n"})).passed is passed


def test_many_may_grade_at_once(shop, tmp_path):
    file = tmp_path / "cache.jsonl"
    gates = [Gates(shop.root, shop.start, LocalSandbox, cache=file) for _ in range(4)]
    threads = [threading.Thread(target=one.grade, args=((f"test {n}",), shop.start)) for n, one in enumerate(gates)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.read_text().splitlines()) == 4


def test_what_was_cut_short_is_a_failure_and_not_kept(gates, shop, sandboxes):
    began = time.monotonic()
    outcome = gates.grade(("sleep 999", "true"), shop.start, seconds=0.5)
    assert time.monotonic() - began < 200
    assert outcome.failed == ("sleep 999", "true")
    assert "no time left" in outcome.feedback
    gates.grade(("sleep 60", "true"), shop.start, seconds=0.5)
    assert sandboxes.opened == 2


def test_a_missing_pytest_is_a_run_that_broke_off(gates, shop):
    outcome = gates.grade(("PATH=/nowhere /usr/bin/env-none/python3 -m pytest",), shop.start)
    assert "the run broke off" in outcome.feedback
    assert outcome.reward == 0.0


def test_tests_are_found_as_python_m_finds_them(gates, shop):
    assert START["pyproject.toml"].count("pythonpath") == 0
    bare = gates.grade((PYTEST.replace("-m pytest", "-m pytest --import-mode=append"),), shop.commit({"shop/price.py": SOLVED}))
    assert bare.passed, bare.feedback


def test_a_plugin_that_asks_git_for_a_version_reads_no_tests(shop, tmp_path):
    """As pytest-benchmark does. git reads files again that are as young as its index."""
    code = "import subprocess\ndef pytest_sessionfinish(): subprocess.run(['git', 'describe', '--dirty', '--always'])\n"
    (tmp_path / "asks_git.py").write_text(code)
    check = f"PYTHONPATH={tmp_path} {PYTEST} -p asks_git"
    tree = git.tree_of(shop.root, shop.commit({"shop/price.py": SOLVED}))
    for _ in range(3):  # as it falls out: whether a second passes in between
        runs = CheckRunner(shop.root, shop.start, LocalSandbox).run(tree, [check])
        assert runs[0].exit_code == 0, runs[0].shown
        assert "tests/test_price.py" not in runs[0].tests.suspicious


VERSION = """
KEYS = ("major", "minor", "patch", "pre", "build")
class Version(dict):
    def __eq__(self, other): return all(self[key] == other[key] for key in KEYS if key != "build")
def parse(text): return Version(zip(KEYS, text.split(".")))
def bump(number): return number
"""
VERSION_TEST = """
import pytest
from shop.version import bump, parse
@pytest.mark.parametrize("expected", [{"major": "1", "minor": "2", "patch": "3", "pre": "4", "build": "5"}])
def test_parse(expected): assert parse("1.2.3.4.5") == expected
def test_bump(): assert bump(1) == 2
"""


def test_gates_that_share_a_cache_do_not_mix_up_their_twins(shop, sandboxes, tmp_path, monkeypatch):
    """A part of what a test expects does not matter here. Not every twin changes it: that is drawn."""
    from codagent.repository.gate.twins import mixture

    broken = shop.commit({"shop/version.py": VERSION, "tests/test_version.py": VERSION_TEST})
    solved = VERSION.replace("return number", "return number + 1")
    repaired = shop.commit({"shop/price.py": SOLVED, "shop/version.py": solved, "tests/test_version.py": VERSION_TEST})
    for number in (1001, 1000):  # all parts but the first are changed, then all but the last
        monkeypatch.setattr(mixture.secrets, "randbelow", lambda _, number=number: number - 1000)
        outcome = Gates(shop.root, broken, sandboxes, cache=tmp_path / "verdicts").grade((PYTEST,), repaired)
        assert outcome.passed, outcome.feedback
