"""The page: what came out first, then how it went, then each iteration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from string import Template

from codagent.cli.page import chart
from codagent.cli.page.iteration import duration, money, section
from codagent.cli.page.markup import Html, join, tag, text
from codagent.cli.page.summary import Iteration, Used, iterations, limits, reason, used, verdict
from codagent.types import Loop

Diff = Callable[[str, str], str]


def report(loop: Loop, *, diff: Diff, branch: str) -> str:
    """`loop` as one HTML page. `diff` gives the patch between two commits, or a RepositoryError; `branch` is where the best of it lies."""
    told = iterations(loop)
    several = len({iteration.solve.task.id for iteration in told}) > 1
    sections = [section(iteration, diff, several_tasks=several) for iteration in told]
    title, body = _title(loop), join([_head(loop, told, branch), *_charts(told), *sections, _foot(loop)])
    return Template(_file("page.html")).substitute(title=text(title), style=_file("page.css"), body=body)


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _title(loop: Loop) -> str:
    instruction = loop.episodes[0].task.instruction.strip() if loop.episodes else ""
    return instruction.partition("\n")[0][:200] or f"loop {loop.id}"


def _head(loop: Loop, told: Sequence[Iteration], branch: str) -> Html:
    word = verdict(told)
    state = {"Passed": "passed", "Not passed": "failed"}.get(word, "open")
    parts = [
        tag("p", f"codagent loop {loop.id}", class_="quiet"),
        tag("h1", _title(loop)),
        tag("p", tag("strong", word, class_=state), " ", reason(loop, told), class_="verdict"),
        _facts(loop, told, branch),
    ]
    return tag("header", *parts, *_asked(loop))


def _facts(loop: Loop, told: Sequence[Iteration], branch: str) -> Html:
    most, spent = limits(loop), used(loop.episodes)
    facts = {
        "iterations": f"{len(told)}" + (f" of {most.iterations}" if most else ""),
        "time in steps": duration(spent.seconds),
        "tokens": f"{spent.tokens:,}" + (f" of {most.tokens:,}" if most else ""),
        "money": _money(spent, most.usd if most else None),
        "model": loop.model,
        "start": tag("code", loop.start_commit[:12]),
        "branch": tag("code", branch),
    }
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()))


def _money(spent: Used, most: float | None) -> str:
    return money(spent.usd) + (f" of ${most:,.2f}" if most is not None and spent.usd is not None else "")


def _asked(loop: Loop) -> list[Html]:
    """The whole task where the title is not all of it, and what decides."""
    if not loop.episodes:
        return []
    task = loop.episodes[0].task
    whole = tag("details", tag("summary", "the whole task"), tag("pre", task.instruction.strip()))
    checks = [tag("li", tag("code", check)) for check in task.checks]
    decides = tag("div", tag("h3", "Checks that decide"), tag("ul", *checks))
    return [*([whole] if task.instruction.strip() != _title(loop) else []), *([decides] if checks else [])]


def _charts(told: Sequence[Iteration]) -> list[Html]:
    figure = partial(tag, "figure")
    if not told:
        return []
    drawn = [figure(tag("figcaption", "Tokens by iteration"), chart.tokens(told))]
    if any(iteration.score is not None for iteration in told):
        drawn.insert(0, figure(tag("figcaption", "Gate score by iteration; at 1 every gate passes"), chart.scores(told)))
    return drawn


def _foot(loop: Loop) -> Html:
    commands = {"diff": "what it changed", "apply": "puts that on the working tree", "show": "everything that was said"}
    lines = [tag("div", tag("dt", tag("code", f"codagent {name} {loop.id}")), tag("dd", does)) for name, does in commands.items()]
    return tag("footer", tag("dl", *lines))
