"""Files into a sandbox and back, also when what comes back is hostile or the folder has changed meanwhile."""

import errno
import io
import os
import tarfile
from contextlib import closing

import pytest

from codagent.errors import SandboxError, UsageError
from codagent.folder import folder_files
from codagent.folder.folder_files import FolderFile, collect_files, put_files, read_folder, write_back
from codagent.sandbox.local import LocalSandbox


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "work"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a\n")
    (folder / "deep/b.bin").write_bytes(b"\0\xff")
    (folder / "deep/run.sh").write_text("true\n")
    (folder / "deep/run.sh").chmod(0o755)
    return folder


def test_what_goes_in_comes_out_the_same(root):
    files = read_folder(root)
    assert files == {
        "a.txt": FolderFile(b"a\n"),
        "deep/b.bin": FolderFile(b"\0\xff"),
        "deep/run.sh": FolderFile(b"true\n", executable=True),
    }
    with closing(LocalSandbox()) as sandbox:
        put_files(sandbox, files)
        assert sandbox.run("ls -A", timeout=60).output == "a.txt\ndeep\n"
        assert collect_files(sandbox) == files


def test_links_and_codagents_own_folder_stay_out(root):
    (root / ".codagent").mkdir()
    (root / ".codagent/notes.md").write_text("mine")
    (root / "link").symlink_to("/etc/passwd")
    assert sorted(read_folder(root)) == ["a.txt", "deep/b.bin", "deep/run.sh"]


def test_what_git_reads_neither_goes_in_nor_comes_out(root, tmp_path):
    (root / "vendor/.git").mkdir(parents=True)
    (root / "vendor/.git/config").write_text("[core]\n")
    (root / "module.git").mkdir()
    (root / "module.git/is_a_name.txt").write_text("x")
    before = read_folder(root)
    assert sorted(before) == ["a.txt", "deep/b.bin", "deep/run.sh", "module.git/is_a_name.txt"]
    names = (".git/config", "vendor/.git/hooks/post-checkout", "deep/.GIT/config", "sub/.git", ".gitignore", "a.git/b")
    assert sorted(collect_files(Hostile(archive_of(*names)))) == [".gitignore", "a.git/b"]
    with closing(LocalSandbox()) as sandbox:
        sandbox.run("mkdir -p .git deep && echo '[core]' > .git/config && echo x > deep/.git && echo y > kept", timeout=60)
        assert sorted(collect_files(sandbox)) == ["kept"]


def test_a_file_that_cannot_be_written_is_as_it_was(root, tmp_path, monkeypatch):
    before = read_folder(root)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    changes = write_back(root, before, {**before, "a.txt": FolderFile(b"A" * 100_000)}, tmp_path / "kept")
    assert (changes.written, changes.kept) == ((), ("a.txt",))
    assert read_folder(root) == before


@pytest.mark.parametrize(("mode", "executable", "after"), [(0o640, False, 0o640), (0o600, True, 0o700), (0o755, False, 0o644)])
def test_a_replaced_file_keeps_its_permissions(root, tmp_path, mode, executable, after):
    (root / "a.txt").chmod(mode)
    before = read_folder(root)
    write_back(root, before, {**before, "a.txt": FolderFile(b"A", executable)}, tmp_path / "kept")
    assert (root / "a.txt").stat().st_mode & 0o777 == after


def test_too_much_is_refused_in_a_sentence(root, monkeypatch):
    monkeypatch.setattr(folder_files, "MAX_FILES", 2)
    with pytest.raises(UsageError, match="name a smaller folder"):
        read_folder(root)


def test_changes_come_back_and_what_they_replace_is_kept(root, tmp_path):
    before = read_folder(root)
    after = {"a.txt": FolderFile(b"A\n"), "deep/run.sh": FolderFile(b"true\n"), "new/n.py": FolderFile(b"x", executable=True)}
    changes = write_back(root, before, after, tmp_path / "kept")
    assert (changes.written, changes.removed, changes.kept) == (("a.txt", "deep/run.sh", "new/n.py"), ("deep/b.bin",), ())
    assert read_folder(root) == after
    assert (tmp_path / "kept/before/a.txt").read_text() == "a\n"
    assert (tmp_path / "kept/before/deep/b.bin").read_bytes() == b"\0\xff"


def test_what_a_person_changed_meanwhile_stays_and_the_work_lies_beside(root, tmp_path):
    before = read_folder(root)
    (root / "a.txt").write_text("mine\n")
    (root / "new.txt").write_text("mine, too\n")
    (root / "deep/b.bin").unlink()
    after = {**before, "a.txt": FolderFile(b"theirs\n"), "new.txt": FolderFile(b"theirs\n"), "deep/b.bin": FolderFile(b"changed")}
    changes = write_back(root, before, after, tmp_path / "kept")
    assert (changes.written, changes.kept) == ((), ("a.txt", "deep/b.bin", "new.txt"))
    assert ((root / "a.txt").read_text(), (root / "new.txt").read_text()) == ("mine\n", "mine, too\n")
    assert (tmp_path / "kept/after/a.txt").read_text() == "theirs\n"


def test_nothing_is_written_through_a_link(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    before = read_folder(root)
    (root / "out").symlink_to(outside)
    (root / "file").symlink_to(outside / "file")
    after = {**before, "out/x": FolderFile(b"x"), "file": FolderFile(b"y"), "a.txt/z": FolderFile(b"z")}
    changes = write_back(root, before, after, tmp_path / "kept")
    assert changes.kept == ("a.txt/z", "file", "out/x")
    assert list(outside.iterdir()) == []


class Hostile:
    """A sandbox that hands out this archive."""

    def __init__(self, archive):
        self._archive = archive

    def run(self, command, *, timeout):
        with closing(LocalSandbox()) as sandbox:
            return sandbox.run("true", timeout=timeout)

    def read(self, path):
        return self._archive


def archive_of(*names, kind=tarfile.REGTYPE):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    return out.getvalue()


def test_a_hostile_archive_reaches_no_place_outside():
    names = ("/abs", "../up", "a/../../up", ".codagent/notes.md", "./ok")
    assert sorted(collect_files(Hostile(archive_of(*names)))) == ["ok"]
    assert collect_files(Hostile(archive_of("l", kind=tarfile.SYMTYPE))) == {}
    assert collect_files(Hostile(archive_of("d", kind=tarfile.CHRTYPE))) == {}


@pytest.mark.parametrize("archive", [b"", b"junk" * 200, archive_of("whole")[:300]])
def test_a_damaged_archive_is_an_error_of_the_sandbox(archive):
    with pytest.raises(SandboxError, match="damaged"):
        collect_files(Hostile(archive))


def test_what_programs_leave_for_themselves_does_not_come_back(root):
    with closing(LocalSandbox()) as sandbox:
        put_files(sandbox, read_folder(root))
        sandbox.run("mkdir -p deep/__pycache__ .pytest_cache && touch deep/__pycache__/x .pytest_cache/y", timeout=60)
        assert collect_files(sandbox) == read_folder(root)
