"""Scripts for loops to play, and loops that are started and not waited for."""

import json
import os
import signal
import subprocess
from pathlib import Path

from codagent.store.record import load
from tests.cli.conftest import CHECK, CODAGENT, call

LOCAL = ("--sandbox", "local")
LOOP = ("loop", "mend it", "--check", CHECK, "--rewrite", "always", *LOCAL)


def attempt(answer, **claim):
    """The replies of an attempt that writes `answer`."""
    return [call("bash", command=f"echo {answer} > answer.txt"), call("finish", **{"summary": f"wrote {answer}", **claim})]


def noted(text):
    return f"It is so.\n<notes>\n{text}\n</notes>"


def tries(*answers):
    """Attempts, each with the notes that follow it: `after 1`, `after 2` and so on."""
    return [item for number, answer in enumerate(answers, 1) for item in (*attempt(answer), noted(f"after {number}"))]


def record_of(done):
    """The loop that a command with --json tells of."""
    return load(Path(told(done)["record"]))


def told(done):
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def kinds(loop):
    return [(episode.kind, episode.position) for episode in loop.episodes]


class Started:
    """The installed command in the background, to be interrupted or killed."""

    def __init__(self, repository, *arguments):
        self._running = subprocess.Popen(
            [CODAGENT, *arguments],
            cwd=repository,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"HOME": str(repository.parent)},
        )

    def until(self, said):
        assert any(said in line for line in self._running.stderr)
        return self

    def end(self, number=signal.SIGKILL):
        """The exit code after a signal."""
        self._running.send_signal(number)
        return self.code()

    def code(self):
        """The exit code, when it has ended by itself."""
        self._running.stderr.read()
        return self._running.wait(120)
