"""A long text on a terminal."""

import os
import pty
import subprocess
import sys

import pytest

CODE = "from codagent.cli.terminal.pager import show_paged; show_paged('\\n'.join(f'line {n}' for n in range({count})))"


@pytest.mark.parametrize(
    ("count", "pager", "shown"),
    [(5, "sed s/line/paged/", "line 4"), (99, "sed s/line/paged/", "paged 98"), (99, "/absent/pager", "line 98")],
)
def test_a_text_that_is_longer_than_the_screen_goes_through_the_pager(count, pager, shown):
    ours, theirs = pty.openpty()
    environment = os.environ | {"PAGER": pager, "LINES": "20", "COLUMNS": "80"}
    code = CODE.replace("{count}", str(count))
    with subprocess.Popen([sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        told = b""
        while piece := _read(ours):
            told += piece
        assert running.wait(120) == 0
    os.close(ours)
    assert shown in told.decode()


def _read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


def test_where_there_is_no_terminal_nothing_is_paged():
    code = CODE.replace("{count}", "99")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PAGER": "false"})
    assert done.stdout.splitlines()[-1] == "line 98"
