"""The installed command in a terminal of its own: a pty whose output is read, and whose keys are typed."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from tests.cli.conftest import CODAGENT, allow_local

_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>78()][0-9A-B]?)")


class Terminal:
    """Runs the command until the end of the `with` block."""

    def __init__(self, root, home, *arguments, columns=100, lines=30, **environment):
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("CODAGENT_", "XDG_", "NO_COLOR"))}
        allow_local(root, home)
        env = clean | {"HOME": str(home), "TERM": "xterm-256color"} | environment
        self.raw = b""
        self._lines, self._whole = "", 0  # the whole lines of it without control sequences, and how many bytes they were
        self._seen = 0
        self._answered = 0
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            _set_size(0, columns, lines)
            os.chdir(root)
            os.execve(CODAGENT, [str(CODAGENT), *arguments], env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.close()

    def resize(self, columns, lines=30):
        _set_size(self._fd, columns, lines)

    def type(self, text):
        os.write(self._fd, text.encode())

    def send(self, line):
        """Type a line and Enter."""
        self.type(f"{line}\r")

    def wait_for(self, text, seconds=120.0):
        """Read until the text appears after what was waited for before, and return what came until then."""
        deadline = time.monotonic() + seconds
        while (found := self.text.find(text, self._seen)) < 0:
            assert time.monotonic() < deadline, f"{text!r} did not appear after:\n{self.text[self._seen :]}"
            if not self.read(0.5):
                assert text in self.text[self._seen :], f"ended without {text!r} after:\n{self.text[self._seen :]}"
        before = self.text[self._seen : found]
        self._seen = found + len(text)
        return before

    def read_to_the_end(self):
        """Read until the command has ended, and return its exit code."""
        while self._fd >= 0 and self.read(10.0):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self):
        """Close the terminal, as a person closes its window."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def kill(self, number=signal.SIGKILL):
        """Send a signal, and wait for the end."""
        if self.pid:
            os.kill(self.pid, number)
            return self.read_to_the_end()
        return 0

    @property
    def text(self):
        """What was printed, without control sequences."""
        whole = self.raw.rfind(b"\n") + 1  # no sequence and no character is split there
        if whole > self._whole:
            self._lines += _remove_sequences(self.raw[self._whole : whole])
            self._whole = whole
        return self._lines + _remove_sequences(self.raw[whole:])

    def read(self, seconds):
        """Read what is there. Returns False at the end."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            return False
        self.raw += data
        self.react(data)
        return bool(data)

    def react(self, data):
        """Answer what the command asks the terminal: where the cursor is."""
        for _ in range(data.count(b"\x1b[6n")):
            self.type("\x1b[1;1R")


def _set_size(fd, columns, lines):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def _remove_sequences(raw):
    return _SEQUENCE.sub(b"", raw).decode(errors="replace").replace("\r", "")
