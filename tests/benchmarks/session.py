"""Measures a session in a real terminal against its goals: prompt ready, first text of a reply, memory over many turns, key to echo.

    .venv/bin/python -m tests.benchmarks.session [--turns 50] [--keys 200]

The server is on this machine, sends 200 pieces a second, and says when it sent the first. Commands run in the local sandbox. Run it when
nothing else runs: it waits for wall-clock time. The exit code is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cli.session.terminal import Terminal
from tests.session.place import make_repository

RATE = 200.0  # pieces a second
PIECES = 20_000  # of the reply during which keys are typed; it is stopped
READY = "branch main"  # ends the status line
LETTERS = "αβγδεζηθικλμνξοπρστυφχψω"  # that no reply and no control sequence has


class Server:
    """Streams a word after the other. `sent` is when the first word of the latest reply was sent, `replies` how many were begun."""

    def __init__(self) -> None:
        self.sent, self.replies = 0.0, 0
        self.words = 20
        self.url = ""


@contextmanager
def serve() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            self._begin("application/json")
            self.wfile.write(b'{"data": [{"id": "m"}]}')

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._begin("text/event-stream")
            server.replies += 1
            for number in range(server.words):
                text = f"FIRST{server.replies}." if number == 0 else " word" + ("\n\n" if number % 40 == 0 else "")
                server.sent = server.sent if number else time.monotonic()
                self._event({"choices": [{"index": 0, "delta": {"content": text}}]})
                time.sleep(1 / RATE)
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self._event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}})
            self.wfile.write(b"data: [DONE]\n\n")

        def _begin(self, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.end_headers()

        def _event(self, value: object) -> None:
            self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
            self.wfile.flush()

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None  # type: ignore[method-assign] # a reply that is stopped
    threading.Thread(target=http.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1#m"
    try:
        yield server
    finally:
        http.shutdown()


def measure_keys(terminal: Terminal, count: int) -> list[float]:
    """Type letters while the reply streams, and return the seconds until each appears."""
    times = []
    for number in range(count):
        letter = LETTERS[number % len(LETTERS)]
        seen = len(terminal.raw)
        began = time.monotonic()
        terminal.type(letter)
        while letter.encode() not in terminal.raw[seen:]:
            terminal.read(0.01)
            assert time.monotonic() - began < 10, f"{letter} was not echoed"
        times.append(time.monotonic() - began)
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            terminal.read(0.01)
    return times


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figure:
    """What was measured, against what it is to be."""

    name: str
    value: float
    goal: float
    unit: str
    more: str = ""

    def describe(self) -> str:
        more = self.more and f"  ({self.more})"
        verdict = "held" if self.value <= self.goal else "MISSED"
        return f"{self.name:<48} {self.value:8.2f} {self.unit:<3} goal {self.goal:g} {self.unit}: {verdict}{more}"


def measure_turns(terminal: Terminal, server: Server, turns: int) -> tuple[list[float], list[float]]:
    """Hold turns, and return the seconds until the first text of each was shown, and the memory in MB after each."""
    firsts, sizes = [], []
    for turn in range(1, turns + 1):
        terminal.send("go on")
        terminal.wait_for(f"FIRST{turn}.")
        firsts.append(time.monotonic() - server.sent)
        terminal.wait_for(f" {turn} out ")  # in the status line: each reply counts as one token
        sizes.append(memory_mb(terminal.pid))
    return firsts, sizes


def measure(home: Path, server: Server, turns: int, keys: int) -> Iterator[Figure]:
    root = make_repository(home / "repository")
    began = time.monotonic()
    with Terminal(root, home, "session", "--sandbox", "local", "--model", server.url) as terminal:
        terminal.wait_for(READY)
        ready = time.monotonic() - began
        yield Figure("prompt ready", ready, 0.5, "s", f"{cpu_s(terminal.pid):.2f} s of the processor")
        firsts, sizes = measure_turns(terminal, server, turns)
        yield Figure(
            "first text shown, longest", max(firsts) * 1e3, 50, "ms", f"median {statistics.median(firsts) * 1e3:.0f} ms, {turns} turns"
        )
        early = sizes[min(4, len(sizes) - 1)]
        growth = 100 * (sizes[-1] / early - 1)
        yield Figure(f"memory from turn 5 to turn {turns}", growth, 10, "%", f"{early:.0f} MB, then {sizes[-1]:.0f} MB")
        server.words = PIECES
        terminal.send("a long reply")
        terminal.wait_for(f"FIRST{turns + 1}.")
        yield _describe_keys(f"key to echo at {RATE:.0f} pieces a second, p99", measure_keys(terminal, keys))
        terminal.type("\x03\x03")  # the first takes away what was typed
        terminal.wait_for("stopped; what was done is kept")
        terminal.send("!for i in $(seq 100000); do echo line $i; sleep 0.01; done")
        terminal.wait_for("line ")
        yield _describe_keys("key to echo while a command prints, p99", measure_keys(terminal, keys // 4))
        terminal.type("\x03\x03\x03")  # takes away what was typed, stops the command, leaves
        terminal.read_to_the_end()


def _describe_keys(name: str, times: list[float]) -> Figure:
    times = sorted(times)
    return Figure(name, times[int(0.99 * len(times))] * 1e3, 30, "ms", f"median {statistics.median(times) * 1e3:.1f} ms, {len(times)} keys")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--keys", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve() as server:
        figures = []
        for figure in measure(Path(folder), server, asked.turns, asked.keys):
            print(figure.describe(), flush=True)
            figures.append(figure)
    return int(any(figure.value > figure.goal for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
