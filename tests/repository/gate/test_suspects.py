"""Which functions failing tests run, in the local sandbox."""

import json
import sys

import pytest

from codagent.repository.gate.suspects import MOST_WEIGHT, Suspect, find_likely_lines, find_suspects, name_likely, weigh
from codagent.repository.messages.first_message import MessageFacts, write_first_message
from codagent.repository.messages.shown import add_shown
from codagent.sandbox.local import LocalSandbox
from codagent.types import Profile, Task

CHECK = f"{sys.executable} -m pytest -q"
SHOP = """\
import threading


class Shop:
    def __init__(self):
        self.prices = [1, 2]

    @property
    def total(self):
        return add(self.prices)

    def count(self):
        return len(self.prices)


def add(prices):
    return sum(prices) + 1


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def never():
    pass
"""
TEST = """\
import pytest
from lib.shop import Shop, in_a_thread


def test_total():
    assert Shop().total == 3


def test_count():
    assert Shop().count() == 2


def test_of_a_thread():
    found = []
    in_a_thread(lambda: found.append(Shop().total))
    assert found == [3]


def test_skipped():
    Shop().count()
    pytest.skip("not here")


@pytest.mark.xfail
def test_that_may_fail():
    Shop().count()
    pytest.xfail("not yet")
"""


@pytest.fixture
def sandbox():
    local = LocalSandbox()
    for path, text in (("lib/__init__.py", ""), ("lib/shop.py", SHOP), ("tests/test_shop.py", TEST)):
        local.write(path, text.encode())
    local.run("git init -q && git add -A", timeout=60)
    yield local
    local.close()


def names(suspects):
    lines = SHOP.splitlines()
    return [(lines[suspect.line].strip() if "@" in lines[suspect.line - 1] else lines[suspect.line - 1].strip()) for suspect in suspects]


@pytest.mark.parametrize("check", [CHECK, f"cd . && timeout 60 {CHECK} tests | tail -5"])
def test_what_only_failing_tests_run_comes_first(sandbox, check):
    suspects = find_suspects(sandbox, ["true", check])
    assert names(suspects) == ["def total(self):", "def add(prices):", "def __init__(self):", "def in_a_thread(work):"]
    assert [round(suspect.score, 2) for suspect in suspects] == [1.0, 1.0, 0.82, 0.71]
    assert {suspect.path for suspect in suspects} == {"lib/shop.py"}
    assert "??" not in sandbox.run("git status --porcelain | grep -v __pycache__ | grep -v .pytest_cache", timeout=60).output


def test_failures_of_unittest_count(sandbox):
    cases = "    def test_total(self):\n        self.assertEqual(Shop().total, 3)\n\n    def test_count(self):\n        Shop().count()\n"
    skipped = "    @unittest.expectedFailure\n    def test_may_fail(self):\n        self.assertEqual(Shop().count(), 3)\n"
    text = f"import unittest\n\nfrom lib.shop import Shop\n\n\nclass TestShop(unittest.TestCase):\n{cases}\n{skipped}"
    sandbox.write("tests/test_shop.py", text.encode())
    assert names(find_suspects(sandbox, [CHECK]))[:2] == ["def total(self):", "def add(prices):"]


def test_what_runs_only_to_show_a_failure_is_no_suspect(sandbox):
    methods = "    def __repr__(self):\n        return name()\n\n    def __str__(self):\n        return repr(self)\n"
    text = f"{methods}\n\ndef name():\n    return 'shop'\n"
    sandbox.write("lib/shop.py", SHOP.replace("\n\ndef add", f"\n{text}\n\ndef add").encode())
    sandbox.write("tests/test_shop.py", b"from lib.shop import Shop\n\n\ndef test_it():\n    assert Shop() == 3\n")
    assert [suspect.name for suspect in find_suspects(sandbox, [CHECK])] == ["Shop.__init__"]
    sandbox.write("tests/test_shop.py", b"from lib.shop import Shop\n\n\ndef test_it():\n    assert str(Shop()) == 3\n")
    assert {suspect.name for suspect in find_suspects(sandbox, [CHECK])} == {"Shop.__init__", "Shop.__str__", "Shop.__repr__", "name"}


BRANCHES = """\
def price(count, member=False):
    total = count * 3
    if count > 10:
        total -= 1
    if member:
        total += 2
    for _ in range(1000):
        total += 0
    return total
"""
BRANCH_TESTS = b"""\
from lib.shop import price


def test_few():
    assert price(1) == 3


def test_many():
    assert price(11) == 32


def test_members():
    assert price(1, member=True) == 1


def test_members_with_many():
    assert price(11, member=True) == 30
"""


def test_the_lines_are_told_that_only_failing_tests_run(sandbox):
    sandbox.write("lib/shop.py", BRANCHES.encode())
    sandbox.write("tests/test_shop.py", BRANCH_TESTS)
    suspects = find_suspects(sandbox, [CHECK])
    assert [(suspect.name, suspect.score, suspect.lines[6]) for suspect in suspects] == [("price", 1.0, 1.0)]
    assert round(suspects[0].lines[2], 2) == 0.71
    assert find_likely_lines(suspects) == (("lib/shop.py", 6),)
    facts = add_shown(
        MessageFacts(Task("t", "mend it", (CHECK,)), ("lib/shop.py",)), sandbox, Profile(fill_tokens=500), seconds_left=lambda: 100.0
    )
    assert facts.likely_lines == ("        total += 2",)
    message = write_first_message(facts, Profile(fill_tokens=500), None)
    assert "Where the bug may be, the likeliest first: `price`. The likeliest line:\n```\n        total += 2\n```\n" in message


def test_a_loop_is_not_noted_to_its_end(sandbox):
    sandbox.write("lib/shop.py", BRANCHES.replace("1000", "10**6").encode())
    sandbox.write("tests/test_shop.py", BRANCH_TESTS)
    suspect = find_suspects(sandbox, [CHECK])[0]
    assert (8 in suspect.lines, 9 in suspect.lines) == (True, False)


def test_lines_are_told_where_they_are_few():
    one, many = Suspect("a.py", 1, "f", 1.0, {2: 0.5, 3: 1.0}), Suspect("b.py", 1, "g", 0.5, dict.fromkeys(range(2, 7), 1.0))
    assert find_likely_lines([one]) == (("a.py", 3), ("a.py", 2))
    assert find_likely_lines([one, many]) == (("a.py", 3), ("a.py", 2))  # of both functions there are six as good
    assert find_likely_lines([one, Suspect("b.py", 1, "g", 0.4, {2: 1.0})]) == (("a.py", 3), ("a.py", 2))
    assert find_likely_lines([one, Suspect("b.py", 1, "g", 0.5, {2: 0.7})]) == (("a.py", 3), ("b.py", 2), ("a.py", 2))
    assert find_likely_lines([Suspect("a.py", 1, "f", 1.0, {1: 1.0, **dict.fromkeys(range(2, 9), 0.5)})]) == (("a.py", 1),)
    assert find_likely_lines([Suspect("a.py", 1, "f", 1.0, dict.fromkeys(range(9), 1.0))]) == ()
    assert find_likely_lines([Suspect("a.py", 1, "f", 1.0)]) == find_likely_lines([]) == ()


def test_nothing_of_it_stays(sandbox, monkeypatch, tmp_path):
    monkeypatch.setattr("codagent.repository.gate.suspects.secrets.token_hex", lambda _: f"..{tmp_path}/traced")
    assert find_suspects(sandbox, [CHECK])
    assert list(tmp_path.iterdir()) == []


def test_weights_are_measured_by_the_likeliest():
    suspects = [Suspect("a.py", 3, "f", 0.4), Suspect("b.py", 9, "g", 0.2), Suspect("a.py", 1, "h", 0.01)]
    assert weigh(suspects) == {"a.py": {3: MOST_WEIGHT, 1: 0}, "b.py": {9: MOST_WEIGHT / 2}}
    assert weigh([]) == {}


def test_likely_functions_are_named_unless_there_are_many():
    suspects = [Suspect("a.py", 3, "C.f", 0.4), Suspect("b.py", 9, "", 0.4), Suspect("c.py", 9, "g", 0.2), Suspect("a.py", 1, "h", 0.1)]
    assert name_likely(suspects) == ("C.f", "g")
    assert name_likely([Suspect("a.py", line, f"f{line}", 0.1) for line in range(5)]) == ()
    assert name_likely([]) == ()


@pytest.mark.parametrize(
    ("name", "shown"), [("f", "f"), ("C.f", "C.f"), ("f.<locals>.g", "f"), ("<lambda>", ""), ("\x1b[0m`", ""), ("f" * 101, ""), (7, "")]
)
def test_a_name_from_the_sandbox_is_a_name(sandbox, monkeypatch, name, shown):
    monkeypatch.setattr(sandbox, "read", lambda _: json.dumps({"failures": 1, "ran": [["a.py", 1, name, 1, 0, []]]}).encode())
    assert find_suspects(sandbox, [CHECK])[0].name == shown


def test_where_nothing_can_be_traced_there_are_no_suspects(sandbox):
    assert find_suspects(sandbox, ["make test"]) == ()
    assert find_suspects(sandbox, [f"{CHECK} -k count"]) == ()
    assert find_suspects(sandbox, [f"{CHECK} --no-such-option"]) == ()
    sandbox.write("tests/test_slow.py", b"import time\n\n\ndef test_slow():\n    time.sleep(60)\n")
    assert find_suspects(sandbox, [CHECK], seconds=3) == ()


@pytest.mark.parametrize(
    "left",
    ["", "[]", '{"failures": 0, "ran": [["a.py", 1, "f", 1, 0, []]]}', '{"failures": 2, "ran": [["a.py"]]}', '{"failures": 2, "ran": 7}'],
)
def test_what_the_repository_writes_in_place_of_the_counts_does_no_harm(sandbox, monkeypatch, left):
    monkeypatch.setattr(sandbox, "read", lambda _: left.encode())
    assert find_suspects(sandbox, [CHECK]) == ()


def test_a_function_that_no_output_names_is_shown(sandbox):
    filler = "".join(f"\n\ndef other_{number}(value):\n    return value * {number}  # {'x' * 60}\n" for number in range(200))
    sandbox.write("lib/shop.py", (SHOP + filler).encode())
    task = Task("t", "tests/test_shop.py::test_total fails", (CHECK,))
    profile = Profile(fill_tokens=500)
    facts = add_shown(MessageFacts(task, ("lib/shop.py", "tests/test_shop.py")), sandbox, profile, seconds_left=lambda: 100.0)
    shown = facts.files[0]
    assert ("assert 4 == 3" in facts.checks_output, shown.path, shown.whole) == (True, "lib/shop.py", False)
    assert facts.likely[:2] == ("Shop.total", "add")
    assert "return sum(prices) + 1" in shown.text
    assert "def never" not in shown.text


@pytest.mark.parametrize(("check", "quick"), [(f"{CHECK} -k count", 15.0), (CHECK, 0.0)], ids=["they pass", "they take long"])
def test_where_the_checks_pass_or_take_long_nothing_is_traced(sandbox, monkeypatch, check, quick):
    monkeypatch.setattr("codagent.repository.messages.shown.QUICK_S", quick)
    monkeypatch.setattr("codagent.repository.gate.suspects.find_suspects", lambda *_, **__: pytest.fail("it is traced"))
    task = Task("t", "do it", (check,))
    facts = add_shown(MessageFacts(task, ("lib/shop.py",)), sandbox, Profile(fill_tokens=500), seconds_left=lambda: 9.0)
    assert ("passed" in facts.checks_output or "failed" in facts.checks_output, facts.likely) == (True, ())


def test_a_function_that_runs_as_its_module_is_imported_is_suspected_least(sandbox):
    sandbox.write(
        "lib/shop.py", SHOP.replace("def never", "def prepare(prices):\n    prices.append(3)\n\n\nprepare([])\n\n\ndef never").encode()
    )
    lines = sandbox.read("lib/shop.py").decode().splitlines()
    suspects = find_suspects(sandbox, [CHECK])
    found = [lines[suspect.line - 1] for suspect in suspects]
    assert "def prepare(prices):" in found
    assert found.index("def add(prices):") < found.index("def prepare(prices):")
    assert not [line for line in found if line.startswith("class")]
