"""Measures a session in a real terminal: prompt ready, key to echo and first text while a reply streams, memory over many turns.

    .venv/bin/python -m tests.benchmarks.session [--turns 50] [--keys 200]

The server is on this machine, sends 200 pieces a second, and says when it sent the first. Commands run in the local sandbox. Run it when
nothing else runs: it waits for wall-clock time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cli.session.terminal import Terminal
from tests.session.place import make_repository

RATE = 200.0  # pieces a second
PIECES = 20_000  # of the reply during which keys are typed; it is stopped
READY = "branch main"  # ends the status line


class Server:
    """Streams a word after the other. `sent` is when the first word of the latest reply was sent."""

    def __init__(self) -> None:
        self.sent = 0.0
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
            for number in range(server.words):
                text = f"FIRST{time.time_ns()} " if number == 0 else "word " + ("\n\n" if number % 40 == 0 else "")
                server.sent = server.sent if number else time.monotonic()
                self._event({"choices": [{"index": 0, "delta": {"content": text}}]})
                time.sleep(1 / RATE)
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self._event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": server.words}})
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
        letter = chr(ord("A") + number % 26) * 1
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--keys", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve() as server:
        home = Path(folder)
        root = make_repository(home / "repository")
        began = time.monotonic()
        with Terminal(root, home, "session", "--sandbox", "local", "--model", server.url) as terminal:
            terminal.wait_for(READY)
            ready, ready_cpu = time.monotonic() - began, cpu_s(terminal.pid)
            firsts, sizes = [], []
            for _ in range(asked.turns):
                terminal.send("go on")
                terminal.wait_for("FIRST")
                firsts.append(time.monotonic() - server.sent)
                terminal.wait_for(f"{server.words} out" if not sizes else "out")
                sizes.append(memory_mb(terminal.pid))
            server.words = PIECES
            terminal.send("a long reply")
            terminal.wait_for("FIRST")
            keys = sorted(measure_keys(terminal, asked.keys))
            terminal.type("\x03")
        print(f"prompt ready: {ready:.2f} s, {ready_cpu:.2f} s of them on the processor")
        print(f"key to echo at {RATE:.0f} pieces a second: median {statistics.median(keys) * 1e3:.1f} ms", end="")
        print(f", 99th percentile {keys[int(0.99 * len(keys))] * 1e3:.1f} ms, {len(keys)} keys")
        print(f"first text: median {statistics.median(firsts) * 1e3:.0f} ms after it was sent, longest {max(firsts) * 1e3:.0f} ms")
        print(f"memory: {sizes[min(4, len(sizes) - 1)]:.0f} MB after 5 turns, {sizes[-1]:.0f} MB after {len(sizes)}")


if __name__ == "__main__":
    main()
