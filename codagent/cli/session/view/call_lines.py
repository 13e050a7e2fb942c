"""A call of a tool as lines: what was called, how it ended, and what it printed or changed."""

from __future__ import annotations

from prompt_toolkit.utils import get_cwidth

from codagent.cli.session.view.ink import Ink, clean
from codagent.cli.terminal.paint import fit, paint
from codagent.repository import tools
from codagent.session.answered import Answered
from codagent.text import count, first_argument, first_line

OUTPUT_LINES = 5  # of a command's output that are shown
PATCH_LINES = 16  # of an edit
_COLUMNS = 200  # of a line of output


def summarize_call(answered: Answered, ink: Ink, columns: int) -> str:
    """Say in a line what was called and how it ended."""
    call, (status, _, _) = answered.call, answered.answer.partition("\n")
    failed = status.startswith("error") or (status.startswith("exit") and not status.startswith("exit 0"))
    called = clean(f"{call.name} {first_line(first_argument(call), 400)}").rstrip()
    ended = clean(f" → {first_line(status, 60)}" + (f" · {answered.seconds:.1f} s" if answered.seconds >= 0.1 else ""))
    name, _, rest = fit(called, max(10, columns - 1 - get_cwidth(ended))).partition(" ")
    return f"{ink('bold', name)} {rest}{ink('red' if failed else 'dim', ended)}"


def describe_call(answered: Answered, ink: Ink, number: int) -> list[str]:
    """Return the lines below: a small patch, or the last lines of a command's output. What is left out is named with `/expand`."""
    more = f"/expand {number} shows all"
    if answered.patch:
        lines = paint(answered.patch, color=ink.color).split("\n")[2:]  # without the names
        shown = [f"  {line}" for line in lines[:PATCH_LINES]]
        return [*shown, ink("dim", f"  … {count(len(lines) - PATCH_LINES, 'more line')}; {more}")] if len(lines) > PATCH_LINES else shown
    if answered.call.name != tools.BASH.name and not answered.answer.startswith("error"):
        return []
    output = [line for line in clean(answered.answer).split("\n")[1:] if line.strip()]
    shown = [ink("dim", fit(f"  {line}", _COLUMNS)) for line in output[-OUTPUT_LINES:]]
    left_out = len(output) - len(shown)
    return [ink("dim", f"  … {count(left_out, 'line')} before; {more}"), *shown] if left_out else shown
