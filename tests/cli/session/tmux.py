"""A terminal in tmux: a shell that is typed into, and whose screen is read as a person sees it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import CODAGENT

WAIT_S = 120.0


class Tmux:
    """A server of its own with one window. The size holds until `resize`."""

    def __init__(self, folder: Path, home: Path, columns: int, lines: int) -> None:
        self._socket = f"codagent-{os.getpid()}"
        path = f"{CODAGENT.parent}:{os.environ['PATH']}"
        shell = shlex.join(["env", f"HOME={home}", f"PATH={path}", "TERM=xterm-256color", "PS1=$ ", "bash", "--norc", "--noprofile"])
        self("new-session", "-d", "-x", str(columns), "-y", str(lines), "-c", str(folder), shell)
        self.see(lambda lines: lines[0] == "$")

    def __enter__(self) -> Tmux:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        command = ["tmux", "-f", os.devnull, "-L", self._socket, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, input=given).stdout

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        self("send-keys", "-l", line)
        self("send-keys", "Enter")

    def paste(self, text: str) -> None:
        """Paste a text as a terminal does it that tells pastes from keys."""
        self("load-buffer", "-", given=text)
        self("paste-buffer", "-p")

    def resize(self, columns: int, lines: int) -> None:
        self("resize-window", "-x", str(columns), "-y", str(lines))

    def see(self, condition: Callable[[list[str]], object]) -> list[str]:
        """Wait until the lines of the screen meet a condition, and return them."""
        deadline = time.monotonic() + WAIT_S
        while not condition(lines := self("capture-pane", "-p").split("\n")):
            assert time.monotonic() < deadline, "\n".join(lines)
            time.sleep(0.1)
        return lines

    def wait_for(self, *texts: str) -> list[str]:
        """Wait until one of the texts is on the screen, and return its lines."""
        return self.see(lambda lines: any(text in line for text in texts for line in lines))

    def clear(self) -> None:
        """Clear the screen, and wait until it has the prompt alone: what is typed before is echoed twice."""
        self.type("clear")
        self.see(lambda lines: "".join(lines).strip() == "$")

    def close(self) -> None:
        self("kill-server")
