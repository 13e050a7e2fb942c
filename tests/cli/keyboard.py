"""The installed command on a terminal, with what a person types."""

import os
import pty
import re
import select
import subprocess

from tests.cli.conftest import CODAGENT, allow_local

SILENCE_S = 60.0  # a command that says nothing for so long waits for a person
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def typed(repository, text, *arguments, **environment):
    """Runs a command on a terminal that `text` is typed into. Gives its exit code and what the terminal shows, without colours.

    The local sandbox is allowed in the repository, unless XDG_STATE_HOME names another folder of what was allowed.
    """
    allow_local(repository, repository.parent)
    ours, theirs = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("CODAGENT_", "XDG_"))}
    env = clean | {"HOME": str(repository.parent), "COLUMNS": "100", "TERM": "xterm"} | environment
    running = subprocess.Popen([CODAGENT, *arguments], cwd=repository, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    os.write(ours, text.encode())
    shown = b""
    while select.select([ours], [], [], SILENCE_S)[0]:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # the terminal is closed
            break
        if not piece:
            break
        shown += piece
    else:
        running.kill()
    os.close(ours)
    return running.wait(120), _COLOUR.sub("", shown.decode()).replace("\r\n", "\n")
