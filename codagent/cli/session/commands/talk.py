"""Commands on the conversation: its context, its model, its cost, and other conversations."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, get_args

from codagent.cli.session.commands.slash_command import Command
from codagent.cli.session.view.meter import short_number
from codagent.errors import UsageError
from codagent.runner.model import open_model
from codagent.session.opening import fork, list_sessions
from codagent.settings.settings import Settings
from codagent.text import count, first_line, format_usd
from codagent.types import Effort

if TYPE_CHECKING:
    from codagent.cli.session.chat import Chat

_LISTED = 10  # sessions


def _model(chat: Chat, name: str) -> None:
    if not name:
        chat.view.say(f"the model is {chat.options.settings.model}; /model NAME takes another")
        return
    settings = chat.options.settings
    _ask_another(chat, replace(settings, model=name, asked=settings.asked | {"model"}))
    chat.view.say(f"{name} is asked from now on")


def _effort(chat: Chat, level: str) -> None:
    levels = get_args(Effort)
    effort = next((known for known in levels if known == level), None)
    if effort is None:
        now = chat.options.settings.effort or "as the model chooses"
        unknown = f"there is no effort {level!r}; " if level else ""
        chat.view.say(f"{unknown}the effort is {now}; /effort takes one of {', '.join(levels)}")
        return
    _ask_another(chat, replace(chat.options.settings, effort=effort))
    chat.view.say(f"the effort is {effort} from now on")


def _ask_another(chat: Chat, settings: Settings) -> None:
    """Open the model of other settings, and ask it from now on."""
    session = chat.session
    session.set_model(settings, partial(open_model, settings, chat.options.access, say=chat.view.say))
    chat.options = replace(chat.options, settings=settings)
    session.open()
    chat.view.meter.window = session.profile.context_tokens


def _cost(chat: Chat, _: str) -> None:
    meter = chat.view.meter
    cached = f", {meter.cached / meter.sent:.0%} of it from a cache" if meter.cached and meter.sent else ""
    chat.view.say(f"{meter.replies} replies: {meter.sent:,} tokens sent{cached}, {meter.received:,} received, {format_usd(meter.usd)}")
    if maybe := meter.describe_broken_off():
        chat.view.say(f"{maybe}: replies broke off, and what their server counted is not known, so this was set aside for them")


def _context(chat: Chat, _: str) -> None:
    chat.session.open()
    used, window = chat.session.measure_context()
    bar = "█" * round(20 * min(1.0, used / window))
    chat.view.say(f"{bar:░<20} about {short_number(used)} of {short_number(window)} tokens; /compact sums up, /clear forgets")


def _clear(chat: Chat, _: str) -> None:
    chat.session.clear()
    chat.view.meter.context = 0
    chat.view.say("the conversation is forgotten; the work in the sandbox stays")


def _compact(chat: Chat, wish: str) -> None:
    chat.session.open()
    summary = chat.session.compact(wish)
    if not summary:
        chat.view.say("there is nothing to sum up so far")
        return
    chat.view.markdown(summary)
    chat.view.say("the conversation goes on with this summary and its latest steps")


def _plan(chat: Chat, text: str) -> None:
    if text == "off":
        chat.plan(on=False)
        chat.view.say("all tools may be used again")
        return
    chat.plan(on=True)
    chat.view.say("the model only reads until you type go; /plan off ends this without")
    if text:
        chat.ask(f"Make a plan and change nothing: {text}")


def _fork(chat: Chat, argument: str) -> None:
    chat.session.open()
    loop = chat.session.history.loop
    if argument and not argument.isdecimal():
        raise UsageError(f"{argument} is no turn; say the number of the turn that the fork begins after, as in /fork 1")
    turn = int(argument or len(chat.session.history.turns))
    options = chat.options
    forked = fork(options.root, options.loops, loop, turn, options.access.secret)
    chat.view.say(f"session {forked} begins after turn {turn}; /resume {loop.id} goes back to this one")
    chat.switch(forked)


def _resume(chat: Chat, wanted: str) -> None:
    if wanted:
        chat.switch(wanted)
        return
    for loop, turns in reversed(list(islice(list_sessions(chat.options.loops), _LISTED))):
        chat.view.say(f"{loop.id}  {count(len(turns), 'turn'):>9}  {first_line(turns[0].task.instruction, 60) if turns else '-'}")
    chat.view.say("/resume ID goes on with one of them")


COMMANDS = (
    Command("model", "say which model is asked, or take another", _model, "[NAME]"),
    Command("effort", "say how much the model thinks", _effort, "[LEVEL]"),
    Command("cost", "tokens and money so far", _cost),
    Command("context", "how full the model's context is", _context),
    Command("clear", "forget the conversation, keep the work", _clear),
    Command("compact", "sum up the conversation", _compact, "[WISH]"),
    Command("plan", "let the model only read until you type go", _plan, "[TEXT|off]"),
    Command("fork", "go on from the end of turn N in a session of its own", _fork, "[N]"),
    Command("resume", "list the sessions, or go on with one", _resume, "[ID]"),
)
