"""The live view on a real pseudo-terminal, as the terminal itself sees it."""

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from dataclasses import replace

import pytest

from codagent.cli.terminal.live import format_usage, score_mark
from codagent.store.ledger import Spent
from codagent.types import Limits, Outcome

BEGIN = """
import os
import time
from codagent.runner.display import LoopView
from codagent.store.ledger import Spent
from codagent.types import *
from codagent.cli.terminal.live import Live

HOSTILE = "\\x1b[2J\\x1b]0;owned\\x07\\x1b[31m\\x9b2J\\rover\\u202ethere\\udcff[bold]"
task = Task("t", f"mend it {HOSTILE}")

def step(more=""):
    call = ToolCall("c", f"bash{more}", '{"command": "ls' + more + '"}')
    reply = Reply(Message("assistant", "", (call,)), "tool_calls", 10, 2, None, None, Sampling(), "w", "")
    return Step(reply, Observation((Message("tool", f"exit 0{more}", tool_call_id="c"),)), 0.5)

def episode(position, reward=None, kind="solve", end="finished"):
    outcome = None if reward is None else Outcome(reward, reward == 1, "")
    return Episode(kind, position, task, "", (), end=end, outcome=outcome)

def draw(live):
    live._screen.refresh()  # now; a thread does it from time to time

def watch(live, **more):
    live.watch(LoopView(Limits(iterations=9, tokens=5000, usd=2.0), lambda: Spent(1234, 0.5), lambda: 600.0, **more))
"""
ESCAPES = r"\x1b\[\??[0-9;]*[A-Za-z]"
OURS = r"\x1b\[(\?25[lh]|1A|2K|2m|0m)"


class Terminal:
    """A child on a pseudo-terminal of its own; `seen` is all that it wrote."""

    def __init__(self, code, columns=80):
        self.main, side = os.openpty()
        self.resize(columns)
        environment = {"PATH": os.environ["PATH"], "TERM": "xterm"}
        self.child = subprocess.Popen([sys.executable, "-c", BEGIN + code], stderr=side, stdin=side, stdout=side, env=environment)
        os.close(side)
        self.seen = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def resize(self, columns):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def await_text(self, text):
        deadline = time.monotonic() + 120
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            time.sleep(0.02)

    def finish(self):
        self.child.wait(120)
        self._reader.join(120)
        return self.seen

    def _read(self):
        data = b""
        try:
            while piece := os.read(self.main, 65536):
                data += piece
                self.seen = data.decode(errors="replace")
        except OSError:  # the child is gone
            os.close(self.main)


def screen(seen):
    """The lines that a terminal shows after `seen`, for the few sequences that the view may use."""
    lines, row, column = [""], 0, 0
    for escape, control, text in re.findall(rf"({ESCAPES})|([\r\n])|([^\x1b\r\n]+)", seen):
        if escape.endswith("A"):
            row -= 1
        elif escape == "\x1b[2K":
            lines[row] = ""
        elif control == "\r":
            column = 0
        elif control == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    return "\n".join(line.rstrip() for line in lines).rstrip("\n").split("\n")


def test_the_block_tells_where_the_loop_is():
    terminal = Terminal("""
with Live() as live:
    watch(live, earlier=[episode(0, 0.3), episode(0, kind="notes")])
    live.on_episode_start(episode(1)); live.on_episode_end(episode(1, 0.9))
    live.on_episode_end(episode(2, 1.0)); live.on_episode_start(episode(3))
    live.on_text("thinking about it"); draw(live)
""")
    seen = terminal.finish()
    shown = screen(seen[: seen.rindex("thinking about it") + 20])
    assert "iteration 4 of 9  ▃█●" in shown
    assert "1,234 of 5,000 tokens · $0.50 of $2.00 · 10 min left" in shown
    assert "… thinking about it" in shown


def test_the_iterations_at_one_of_several_tasks_are_counted_apart():
    terminal = Terminal("""
with Live() as live:
    watch(live, earlier=[episode(0, 0.3), episode(1, 1.0)])
    for position in (2, 3):
        live.on_episode_start(Episode("solve", position, Task("other", "another"), "", (), ()))
    live.on_text("on"); draw(live)
""")
    seen = terminal.finish()
    assert "iteration 4, 2 of 9 at this task  ▃●" in screen(seen[: seen.rindex("… on") + 4])


def test_the_block_says_what_is_done_before_the_first_attempt():
    seen = Terminal("""
with Live() as live:
    watch(live); draw(live)
""").finish()
    assert "the start is prepared and checked · " in seen


def test_an_iteration_that_was_broken_off_goes_on_where_it_was():
    terminal = Terminal("""
with Live() as live:
    watch(live, earlier=[episode(0, 0.3), episode(0, kind="notes"), episode(1, end="interrupted")]); live.on_text("on"); draw(live)
""")
    seen = terminal.finish()
    assert "iteration 2 of 9  ▃" in screen(seen[: seen.rindex("… on") + 4])


def test_the_call_that_runs_is_shown():
    terminal = Terminal("""
with Live() as live:
    watch(live); live.on_episode_start(episode(0)); live.on_reply(step().reply, None); draw(live)
""")
    assert "bash ls · 0 s" in terminal.finish()


def test_lines_scroll_above_and_the_last_screen_is_clean():
    terminal = Terminal("""
with Live() as live:
    live.say("before"); watch(live); live.on_episode_start(episode(0))
    for _ in range(30): live.on_reply(step().reply, None); live.on_step(step())
    live.on_episode_end(episode(0, 0.5)); draw(live)
live.say("after")
""")
    shown = screen(terminal.finish())
    assert shown[0] == "before"
    assert sum("bash ls → exit 0" in line for line in shown) == 30
    assert "ended: the agent says that it is done" in shown
    assert shown[-1] == "after"
    assert not any("of 9" in line for line in shown)
    assert terminal.seen.rindex("\x1b[?25h") > terminal.seen.rindex("\x1b[?25l")


def test_nothing_hostile_reaches_the_terminal():
    terminal = Terminal("""
with Live() as live:
    live.say(HOSTILE); watch(live, earlier=[episode(0, 0.3)])
    live.on_episode_start(episode(1)); live.on_text(HOSTILE); draw(live)
    live.on_reply(step(HOSTILE).reply, ()); draw(live); live.on_step(step(HOSTILE))
    live.on_episode_end(episode(1, 0.2)); draw(live)
""")
    rest = re.sub(OURS, "", terminal.finish())
    assert re.findall("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", rest) == []
    assert "owned" not in rest
    assert "[bold]" in rest


@pytest.mark.parametrize("how", ["Ctrl-C", "an error"])
def test_the_terminal_is_given_back_after(how):
    terminal = Terminal(f"""
with Live() as live:
    watch(live); live.on_episode_start(episode(0)); live.on_text("working"); draw(live) if {how!r} == "an error" else time.sleep(280)
    raise ValueError
""")
    terminal.await_text("working")
    if how == "Ctrl-C":
        terminal.child.send_signal(signal.SIGINT)
    shown = screen(terminal.finish())
    assert not any("of 9" in line for line in shown)
    assert shown[-1] in ("KeyboardInterrupt", "ValueError")
    assert terminal.seen.rindex("\x1b[?25h") > terminal.seen.rindex("\x1b[?25l")


def test_it_follows_the_width_of_the_terminal():
    terminal = Terminal("""
with Live() as live:
    watch(live); live.on_episode_start(episode(0)); live.on_text("word " * 50); draw(live)
    while os.get_terminal_size(0).columns != 30: time.sleep(0.02)
    draw(live); live.say("resized"); draw(live)
""")
    terminal.await_text("word")
    terminal.resize(30)
    seen = terminal.finish()
    last = re.sub(ESCAPES, "", seen[seen.rindex("resized") :]).replace("\r", "\n").splitlines()
    assert max(len(line) for line in last) < 30
    assert any("word word" in line for line in last)


@pytest.mark.parametrize(("reward", "mark"), [(0.0, "▁"), (0.5, "▅"), (0.99, "█"), (-0.1, "▁"), (float("nan"), "▁")])
def test_a_score_is_a_bar(reward, mark):
    assert score_mark(Outcome(reward, False, "")) == mark


def test_a_pass_and_no_judgement_are_marks_of_their_own():
    assert score_mark(Outcome(1.0, True, "")) + score_mark(None) == "●·"


def test_money_is_told_with_its_limit_and_its_cents_and_as_unknown_without_a_price():
    free = Limits(tokens=100, usd=None)
    assert format_usage(free, Spent(7, 0.0), 65.0) == "7 of 100 tokens · cost unknown · 65 s left"
    assert format_usage(free, Spent(7, 0.25), -1.0) == "7 of 100 tokens · $0.25 · 0 s left"
    assert format_usage(replace(free, usd=1.0), Spent(7, 0.0009), 65.0) == "7 of 100 tokens · $0.0009 of $1.00 · 65 s left"


def test_the_share_of_the_prompts_that_came_from_a_cache_is_told():
    assert format_usage(Limits(tokens=100, usd=None), Spent(7, 0.25), 65.0, 0.876) == "7 of 100 tokens · 88% cached · $0.25 · 65 s left"
    terminal = Terminal("""
with Live() as live:
    watch(live)
    for cached in (0, 300):
        live.on_reply(Reply(Message("assistant", "x"), "stop", 400, 5, 0.0, None, Sampling(), "w", "", cached), None)
    draw(live)
""")
    terminal.await_text("38% cached")
    terminal.finish()
