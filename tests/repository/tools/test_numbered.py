"""Lines after their numbers: how they are shown, and how they replace others."""

import pytest

from codagent.repository.tools.numbered import number_lines, replace_numbered
from codagent.sandbox.local import LocalSandbox
from codagent.types import Profile
from tests.repository.tools.test_tools import use

FILE = "def f(a):\n    b = a\n\n    return b\n"
SMALL = Profile(tools=("replace", "finish"))


def test_lines_with_text_have_their_numbers():
    assert number_lines(FILE.splitlines(keepends=True)) == ["1|def f(a):\n", "2|    b = a\n", "\n", "4|    return b\n"]


@pytest.mark.parametrize(
    ("wanted", "result"),
    [
        ("4|    return a\n", FILE.replace("return b", "return a")),
        ("4|    return a", FILE.replace("return b", "return a")),
        ("1|def f(b):\n4|    return -b\n", "def f(b):\n    b = a\n\n    return -b\n"),
        ("4|    return a\n1|def f(a, b):\n", "def f(a, b):\n    b = a\n\n    return a\n"),  # in any order
        ("2|    b = a\n    b += 1\n\n    b += 2\n", "def f(a):\n    b = a\n    b += 1\n\n    b += 2\n\n    return b\n"),
        ("2|\n4|    return a\n", "def f(a):\n\n    return a\n"),
        ("3|    b += 1\n", "def f(a):\n    b = a\n    b += 1\n    return b\n"),  # an empty line has a number that is not shown
        ("4|    return a | b\n", FILE.replace("return b", "return a | b")),
        ("2|\n3|\n4|\n", "def f(a):\n"),
        ("1|def f(a, b):\n    b = a\n    b += 1\n", "def f(a, b):\n    b = a\n    b += 1\n\n    return b\n"),  # it went on copying
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_take_the_place_of_those_with_their_numbers(wanted, result, ends, last):
    before = FILE.replace("\n", ends) if last else FILE.replace("\n", ends).removesuffix(ends)
    after, note = replace_numbered(before, wanted)
    expected = result.replace("\n", ends)
    has_end = last or wanted.endswith("4|\n")  # without the last line, the one before it keeps its end
    assert after == (expected if has_end else expected.removesuffix(ends))
    assert note.startswith("replaced ")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("5|x\n", "there is no line 5; the file has 4 lines"),
        ("0|x\n", "there is no line 0; the file has 4 lines"),
        ("    return a\n4|    return b", "the first line has no number; begin each line that changes with its number and |"),
        ("4|    return a\n4|    return b\n", "line 4 is there twice; give each number once"),
        ("4|    return b\n", "these lines stand there already; nothing to do"),
        ("", "these lines stand there already; nothing to do"),
        ("9" * 12 + "|x", "the first line has no number; begin each line that changes with its number and |"),
    ],
)
def test_what_cannot_be_replaced_is_told(wanted, said):
    assert replace_numbered(FILE, wanted) == (None, said)


def test_a_small_model_replaces_lines_of_a_file_and_cannot_break_it():
    sandbox = LocalSandbox()
    sandbox.write("a.py", FILE.encode())
    assert use(sandbox, "replace", SMALL, path="a.py", content="4|    return a\n") == "ok a.py: replaced 1 line"
    assert "error: a.py: nothing was replaced, because the file would not be Python" in use(
        sandbox, "replace", SMALL, path="a.py", content="4|    return (a\n"
    )
    assert sandbox.read("a.py").decode() == FILE.replace("return b", "return a")
    assert use(sandbox, "replace", path="a.py", content="4|    return b\n").startswith("error: there is no tool 'replace'")
    sandbox.close()
