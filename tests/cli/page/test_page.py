"""The page of a loop, read as a browser would read it; and that nothing in a record can make it anything else."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from codagent.cli import page as package
from codagent.cli.page import render_page
from codagent.cli.page.page import make_environment
from codagent.errors import RepositoryError
from codagent.types import Episode, Loop, Message, Observation, Outcome, Reply, Sampling, Step, Task, ToolCall

COMMITS = [f"{number}" * 40 for number in range(10)]
TASK = Task("t", "mend the parser\nand keep its name", ("pytest -q",))
PATCH = "diff --git a/x.py b/x.py\nindex 1..2\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n same\n--- gone\n+here\n"
HOSTILE = "</pre></span><script>alert(1)</script><img src=http://x onerror='y'>\" style='x' & $title \x1b[2J\x00\u202e\udcff"
BREAKOUT = "</style></title><script>alert(1)</script><!-- ' onload='x' \" onload=\"y\" <svg/onload=z> {{ 7 * 7 }}{% include 'page.css' %}"
REORDERED = "a\u061cb\u200fc\u200ed\u202ae\u202ef\u2066g\u2069h\x00i\ud800j\udfffk\ufeffl\x9bm\x7fn"
ITERATES = {"iterate": True}
TAGS = "html head meta title style body main header h1 h2 h3 p strong b dl div dt dd details summary pre code span ul ol li"
DRAWN = "section footer figure figcaption svg line circle rect text a"
ATTRIBUTES = "lang charset content name http-equiv class id href role aria-label width height x y x1 x2 y1 y2 cx cy r"


def step(name="bash", arguments='{"command": "ls"}', answer="exit 0", cost=0.25, end=None):
    reply = Reply(Message("assistant", "", (ToolCall("c", name, arguments),)), "tool_calls", 900, 100, cost, None, Sampling(), "w", "")
    return Step(reply, Observation((Message("tool", answer, tool_call_id="c"),), end), 30.0)


def solve(position, reward, *, commit=None, steps=(), task=TASK, **more):
    outcome = (
        None if reward is None else Outcome(reward, reward == 1, "" if reward == 1 else "1 failed", () if reward == 1 else ("test_x",))
    )
    return Episode("solve", position, task, "", (), steps or (step(),), more.pop("end", "finished"), outcome=outcome, commit=commit, **more)


def notes(position, before, after, reward=0.0):
    outcome = Outcome(reward, reward == 0, "" if reward == 0 else "the notes are empty")
    return Episode("notes", position, TASK, before, (), (step(),), "finished", outcome=outcome, notes_after=after)


def loop(*episodes, end="passed", model="model", **settings):
    return Loop("id1", "g", "repository", model, COMMITS[0], episodes, "", end, settings)


def page(told, diff=lambda before, after: PATCH):
    return render_page(told, diff=diff, branch="codagent/id1")


class Reader(HTMLParser):
    """What a browser makes of a page: tags, attributes, text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.inside = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.inside += [tag] if tag != "meta" else []

    def handle_endtag(self, tag):
        assert self.inside.pop() == tag

    def handle_data(self, data):
        self.text += "" if self.inside[-1:] == ["style"] else f"{data} "


def read(told, **more):
    return " ".join(Reader(page(told, **more)).text.split())


def test_the_verdict_and_the_numbers_come_first():
    told = loop(solve(0, 0.5), notes(0, "", "a"), solve(1, 1.0), limits={"iterations": 9, "tokens": 5000, "usd": 2.0}, job=ITERATES)
    text = read(told)
    first = text[: text.index("Score by")]
    for part in ("mend the parser", "Passed Every check passes.", "iterations 2 of 9", "3,000 of 5,000", "$0.75 of $2.00", "1 min 30 s"):
        assert part in first
    assert "model model start 000000000000 branch codagent/id1" in first
    assert "and keep its name" in first
    assert "pytest -q" in first


@pytest.mark.parametrize(
    ("end", "episodes", "told"),
    [
        ("iterations", (solve(0, 0.2), solve(1, 0.5), solve(2, 0.5)), "are used up. The best score was 0.50 of 1, in iteration 2."),
        ("stalled", (solve(0, 0.0),), "Not passed Stopped: no progress."),
        ("model", (solve(0, 0.0, end="model", cause="the endpoint is down"),), "Stopped: the model did not answer. the endpoint is down"),
        (None, (solve(0, 0.0),), "Not passed It has not ended, or it was killed."),
        ("iterations", (solve(0, 0.0, end="steps", cause="no more"),), "Not passed Stopped: all iterations are used up. The best"),
        ("finished", (solve(0, None),), "Not judged The agent says that it is done."),
        ("tokens", (solve(0, 1.0), solve(1, 0.0, task=Task("u", "more"))), "1 of 2 tasks passed Stopped: the limit of tokens is reached."),
        ("interrupted", (), "Nothing was done Interrupted."),
    ],
)  # fmt: skip
def test_the_end_is_told_in_plain_words(end, episodes, told):
    assert told in read(loop(*episodes, end=end))


def test_one_step_is_one():
    text = read(loop(solve(0, 1.0, steps=(step(),)), end="passed"))
    assert "1 step ·" in text
    assert "1 steps" not in text


def test_a_run_without_checks_names_no_gates_and_no_number_of_iterations():
    text = read(loop(solve(0, None, task=Task("t", "mend it")), end="finished", limits={"iterations": 10}))
    assert "Not judged The agent says that it is done." in text
    assert "iterations 1 time" in text
    assert "gates" not in text


def test_a_loop_without_a_branch_names_none():
    assert "branch none" in " ".join(Reader(render_page(loop(solve(0, 0.0)), diff=lambda before, after: PATCH, branch="")).text.split())


@pytest.mark.parametrize("job", [None, [], "x", {}, {"iterate": 0}])
def test_what_does_not_say_that_it_iterates_has_no_number_of_iterations(job):
    assert "iterations 1 time" in read(loop(solve(0, 1.0), limits={"iterations": 10}, job=job))


def test_a_price_that_is_not_known_is_not_guessed():
    assert "money not known" in read(loop(solve(0, 1.0, steps=(step(), step(cost=None)))))


def test_scores_are_points_and_a_pass_is_marked():
    told = Reader(page(loop(solve(0, 0.25), solve(1, None), solve(2, 1.0))))
    points = [value for tag, name, value in told.attributes if (tag, name) == ("circle", "class")]
    heights = [value for tag, name, value in told.attributes if (tag, name) == ("circle", "cy")]
    assert points == ["dot", "dot passed"]
    assert heights == ["129.0", "24.0"]  # a quarter up, and at the top


def test_an_iteration_tells_steps_end_gates_change_and_notes():
    steps = (step(), step("finish", '{"summary": "did it", "blocked": "no key"}', end="finished"))
    text = read(loop(solve(0, 0.5, commit=COMMITS[1], steps=steps, cause="out of patience"), notes(0, "old", "old\nnew")))
    parts = ["Iteration 1 0.50 of 1", "The agent says: did it", "In its way, it says: no key", "says that it is done. out of patience"]
    parts += ["bash ls exit 0 30.0 s", "1 did not pass: test_x", "1 failed", "diff --git", "What it noted old +new"]
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)


def test_the_change_is_the_commits_against_its_parent_and_nothing_twice():
    asked = []
    told = loop(solve(0, 0.1, commit=COMMITS[1]), solve(1, 0.1, commit=COMMITS[1]), solve(2, 0.1, commit=COMMITS[0]))
    text = read(told, diff=lambda before, after: asked.append((before, after)) or PATCH)
    assert asked == [(f"{COMMITS[1]}^", COMMITS[1])]
    assert text.count("No file.") == 2


def test_lines_of_a_change_have_their_kinds():
    spans = re.findall(
        r'<span class="(added|removed|quiet|file|same|place)">([^<]*)\n</span>', page(loop(solve(0, 0.1, commit=COMMITS[1])))
    )
    assert [kind for kind, _ in spans] == ["file", "quiet", "quiet", "quiet", "place", "same", "removed", "added"]
    assert spans[6][1] == "--- gone"


def test_a_long_change_is_folded_and_its_middle_left_out():
    long = PATCH + "".join(f"+line {number}\n" for number in range(100_000))
    text = page(loop(solve(0, 0.1, commit=COMMITS[1])), diff=lambda before, after: long)
    assert "<summary>100,001 lines added, 1 removed</summary>" in text
    assert re.search(r"\[… 9.,... lines, .* left out …\]", text)
    assert len(text) < 200_000


def test_a_change_hides_nothing():
    sly = "+evil()\rfine()\n+\x1b]0;evil()\x07\n+a\u2028-b\n+\u202eback\n"
    text = page(loop(solve(0, 0.1, commit=COMMITS[1])), diff=lambda before, after: PATCH + sly)
    for shown in ("+evil()\\rfine()", "+\\x1b]0;evil()\\x07", "+a\u2028-b", "+\\u202eback"):
        assert f'<span class="added">{shown}\n</span>' in text


def test_a_change_that_is_gone_is_said():
    def gone(before, after):
        raise RepositoryError("git diff failed")

    assert "The change cannot be shown: git diff failed" in read(loop(solve(0, 0.1, commit=COMMITS[1])), diff=gone)


def test_malformed_and_unchanged_notes_are_said():
    text = read(loop(solve(0, 0.1), notes(0, "a", "a", -0.1), solve(1, 0.1), notes(1, "a", "a")))
    assert "malformed, so the old ones stay: the notes are empty" in text
    assert "What it noted Nothing new." in text


def test_no_commit_of_a_record_reaches_git_as_an_option():
    asked = []
    page(loop(solve(0, 0.1, commit="--output=/tmp/x")), diff=lambda *pair: asked.append(pair) or "")
    assert asked == []


def hostile_loop():
    task = Task(HOSTILE, HOSTILE + "\nmore", (HOSTILE,))
    steps = (step(HOSTILE, HOSTILE, HOSTILE), step("finish", '{"summary": "<b onclick=x>", "blocked": "<i>"}'))
    outcome = Outcome(float("nan"), False, HOSTILE, (HOSTILE,))
    attempt = replace(solve(0, 0.0, commit=COMMITS[1], steps=steps, task=task, cause=HOSTILE), outcome=outcome)
    others = [solve(1, 0.5, task=replace(task, id="other")), notes(1, HOSTILE, HOSTILE * 2), notes(0, "", "", -0.1)]
    settings = {"limits": {"iterations": HOSTILE}}
    return Loop(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, (attempt, *others), HOSTILE, HOSTILE, settings)


def test_nothing_in_a_record_becomes_markup():
    text = page(hostile_loop(), diff=lambda before, after: PATCH + f"+{HOSTILE}\n")
    told = Reader(text)
    assert set(told.tags) <= {*TAGS.split(), *DRAWN.split()}
    assert told.inside == []
    assert {name for _, name, _ in told.attributes} <= set(ATTRIBUTES.split())
    assert all(re.fullmatch(r"#iteration-\d+", value) for _, name, value in told.attributes if name == "href")
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text) == []
    assert "$title" in told.text


def test_a_task_name_closes_no_element_and_is_no_template():
    told = Reader(page(loop(solve(0, 1.0, task=Task("t", BREAKOUT, (BREAKOUT,))), end=BREAKOUT)))
    assert (told.tags.count("style"), told.tags.count("title"), told.tags.count("script")) == (1, 2, 0)  # one title is the chart's
    assert {name for _, name, _ in told.attributes} <= set(ATTRIBUTES.split())
    assert told.text.count(BREAKOUT) == 4  # as title, heading, check and end


@pytest.mark.parametrize(
    "template", ['<p class="{{ x }}">', "<p class='{{ x }}'>", '<p class="a {{ x ~ x }}">', '<p title="{{ x|first_line(999) }}">']
)
@pytest.mark.parametrize("text", [BREAKOUT, HOSTILE, REORDERED, "' id='y", '" id="y'])
def test_a_value_cannot_leave_its_attribute(template, text):
    told = Reader(make_environment().from_string(template).render(x=text))
    assert (told.tags, len(told.attributes)) == (["p"], 1)


def test_reordering_marks_controls_and_torn_characters_are_spelt_out():
    task = Task("t", REORDERED, (REORDERED,))
    text = page(loop(solve(0, 0.5, task=task, steps=(step(REORDERED, REORDERED, REORDERED),)), notes(0, "", REORDERED), model=REORDERED))
    text.encode("utf-8")
    spelt = r"a\u061cb\u200fc\u200ed\u202ae\u202ef\u2066g\u2069h\x00i\ud800j\udfffk\ufeffl\x9bm\x7fn"
    assert text.count(spelt) == 8  # title, heading, check, model, tool, argument, answer, notes
    assert not set(REORDERED) & set(text) - set("abcdefghijklmn")


def test_only_templates_write_markup():
    files = [file for file in Path(package.__file__).parent.iterdir() if file.suffix in {".py", ".html"}]
    assert len(files) > 8
    for file in files:
        assert not re.search(r"\bsafe\b|Markup\(|autoescape (false|off)|autoescape=False|__html__", file.read_text()), file.name


def test_the_page_needs_nothing_else():
    text = page(loop(solve(0, 1.0)))
    assert """content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">""" in text
    assert not re.search(r"url\(|@import|https?:", text)
