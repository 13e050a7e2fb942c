"""One iteration on the page: what was done, why it ended, what the gates say, what changed in files and notes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from codagent.cli.page.markup import Html, tag
from codagent.cli.page.patch import cut, patch, rewritten
from codagent.cli.page.summary import Iteration, ended
from codagent.errors import RepositoryError
from codagent.repository.attempts import claim_of
from codagent.types import Episode, Step, ToolCall

FEW_STEPS, FEW_LINES = 8, 60  # what is longer is folded
FAILED = 20  # as many are named


def section(iteration: Iteration, diff: Callable[[str, str], str], *, several_tasks: bool) -> Html:
    """The iteration as a section that the chart points to."""
    solve = iteration.solve
    parts = [_heading(iteration), *([tag("p", _first_line(solve.task.instruction, 200))] if several_tasks else []), _numbers(iteration)]
    parts += [*_said(solve), tag("p", ended(solve.end, solve.cause), class_="quiet"), *_steps(solve)]
    parts += [*_gates(solve), *_change(iteration, diff), *_notes(iteration.notes)]
    return tag("section", *parts, id=f"iteration-{iteration.number}")


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def money(usd: float | None) -> str:
    return "not known" if usd is None else f"${usd:,.2f}" if usd >= 0.01 or not usd else f"${usd:.4f}"


def _heading(iteration: Iteration) -> Html:
    state, word = "open", "not judged"
    if iteration.score is not None:
        state, word = ("passed", "passed") if iteration.passed else ("failed", f"{iteration.score:.2f} of 1")
    return tag("h2", f"Iteration {iteration.number} ", tag("span", word, class_=state))


def _numbers(iteration: Iteration) -> Html:
    spent, solve = iteration.used, iteration.solve
    told = [f"{len(solve.steps)} steps", duration(spent.seconds), f"{spent.tokens:,} tokens"]
    told += [money(spent.usd)] if spent.usd is not None else []
    told += [f"commit {solve.commit[:12]}"] if iteration.change and solve.commit else []
    return tag("p", " · ".join(told), class_="quiet")


def _said(solve: Episode) -> Iterator[Html]:
    """What the agent claims when it finishes; a claim and no more."""
    said = claim_of(solve)
    if said.summary:
        yield tag("p", tag("b", "The agent says: "), cut(said.summary))
    if said.blocked:
        yield tag("p", tag("b", "In its way, it says: "), cut(said.blocked))


def _steps(solve: Episode) -> Iterator[Html]:
    if solve.steps:
        lines = tag("ol", *map(_step, solve.steps), class_="steps")
        yield from _part("What it did", f"{len(solve.steps)} steps", lines, folded=len(solve.steps) > FEW_STEPS)


def _step(step: Step) -> Html:
    calls, answers = step.reply.message.tool_calls, step.observation.messages
    done = tag("span", *[part for call in calls for part in _call(call)]) if calls else tag("span", "no tool call", class_="quiet")
    answer = "; ".join(_first_line(message.content, 80) for message in answers)
    return tag("li", done, tag("span", answer, class_="quiet"), tag("span", duration(step.seconds), class_="quiet"))


def _call(call: ToolCall) -> tuple[Html, Html]:
    try:
        first = next(iter(json.loads(call.arguments, strict=False).values()), "")
    except (ValueError, AttributeError):
        first = call.arguments
    return tag("b", call.name), tag("code", f" {_first_line(str(first), 160)} ")


def _gates(solve: Episode) -> Iterator[Html]:
    outcome = solve.outcome
    if outcome is None or not (outcome.failed or outcome.feedback.strip()):
        return
    yield tag("h3", "What the gates say")
    if outcome.failed:
        more = [tag("li", f"and {len(outcome.failed) - FAILED} more")] if len(outcome.failed) > FAILED else []
        yield tag("p", f"{len(outcome.failed):,} did not pass:")
        yield tag("ul", *(tag("li", tag("code", _first_line(name, 200))) for name in outcome.failed[:FAILED]), *more)
    if outcome.feedback.strip():
        yield _folded("what they printed", tag("pre", cut(outcome.feedback)), folded=_long(outcome.feedback))


def _change(iteration: Iteration, diff: Callable[[str, str], str]) -> Iterator[Html]:
    title = "What it changed"
    if iteration.change is None:
        yield from (tag("h3", title), tag("p", "No file.", class_="quiet"))
        return
    try:
        raw = diff(*iteration.change)
    except RepositoryError as error:
        yield from (tag("h3", title), tag("p", f"The change cannot be shown: {error}", class_="quiet"))
        return
    size, lines = patch(raw)
    yield from _part(title, size, lines, folded=_long(raw))


def _notes(notes: Episode | None) -> Iterator[Html]:
    if notes is None:
        return
    title, outcome = "What it noted", notes.outcome
    if outcome and outcome.reward < 0:
        yield from (tag("h3", title), tag("p", f"The notes were malformed, so the old ones stay: {outcome.feedback}"))
        return
    lines = rewritten(notes.notes_before, notes.notes_after or "")
    if lines is None:
        yield from (tag("h3", title), tag("p", "Nothing new.", class_="quiet"))
    else:
        yield from _part(title, "the notes", lines, folded=_long(f"{notes.notes_before}\n{notes.notes_after}"))


def _part(title: str, summary: str, content: Html, *, folded: bool) -> tuple[Html, Html]:
    return tag("h3", title), _folded(summary, content, folded=folded)


def _folded(summary: str, content: Html, *, folded: bool) -> Html:
    return tag("details", tag("summary", summary), content) if folded else content


def _long(text: str) -> bool:
    return text.count("\n") > FEW_LINES


def _first_line(text: str, most: int) -> str:
    line, _, rest = text.strip().partition("\n")
    return line[:most] + ("…" if rest or len(line) > most else "")
