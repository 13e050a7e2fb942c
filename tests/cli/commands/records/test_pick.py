"""Questions about the parts of a change."""

import io
import sys

import pytest

from codagent.cli.commands.records.pick import ask, pick
from codagent.repository.git import ChangedFile, Hunk

HUNKS = tuple(Hunk(at, 1, at, 1, f"@@ -{at} +{at} @@\n-{at}\n+new\n") for at in (1, 9, 20))
CHANGED = (ChangedFile("a.py", "changed", HUNKS), ChangedFile("b\n.png", "added"), ChangedFile("c.py", "changed", HUNKS[:1]))


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [
        ("yyyyy", {"a.py": None, "b\n.png": None, "c.py": None}),
        ("nnnnn", {}),
        ("ynyny", {"a.py": [0, 2], "c.py": None}),
        ("nayn", {"a.py": [1, 2], "b\n.png": None}),
        ("ydnn", {"a.py": [0]}),
        ("nyq", {"a.py": [1]}),
        ("q", {}),
        ("", {}),
        ("x?Yyyq", {"a.py": None}),
    ],
)
def test_what_is_answered_is_chosen(monkeypatch, answers, chosen):
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))
    assert pick(CHANGED) == chosen


def test_names_and_keys_are_shown_on_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\nn\nn\nn\nn\n"))
    pick(CHANGED)
    shown = capsys.readouterr().out
    assert "hunk 3 of 3 of a.py; take it? [y,n,a,d,q,?] added: b\\n.png; take it? " in shown


def test_an_answer_that_is_no_answer_is_explained(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("what\n\nY es\n"))
    assert ask("so?", "yn", "y or n") == "y"
    assert capsys.readouterr().out == "so? [y,n,?] y or n\nso? [y,n,?] y or n\nso? [y,n,?] "
