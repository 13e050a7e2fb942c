"""What of a repository goes into the set-up of its sandbox: files that git tracks, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.sandbox.definition import load_for_repository
from codagent.sandbox.images import setup
from codagent.sandbox.images.setup import File, Setup, read_setup

COPY = "FROM scratch\nCOPY . /\n"


def read(root: Path, tracked: list[str], **table: object) -> Setup:
    setup = read_setup(load_for_repository("python", table), root, tracked)
    assert setup is not None
    return setup


def test_nothing_is_set_up_by_an_image_alone(tmp_path: Path) -> None:
    assert read_setup(load_for_repository("python", {"image": "node:22"}), tmp_path, []) is None


def test_a_script_gets_the_files_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "run.sh").write_text("x")
    (tmp_path / "deep" / "run.sh").chmod(0o755)
    (tmp_path / "other").write_text("y")
    setup = read(tmp_path, ["deep/run.sh", "other"], setup="deep/run.sh", files=["./deep/run.sh"])
    assert setup == Setup(script="deep/run.sh", files={"deep/run.sh": File(b"x", executable=True)})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".git/config", "'.git/config' leads into .git"),
        ("secret.env", "git does not track 'secret.env'"),
        ("missing", "there is no file 'missing'$"),
        ("gone", "there is no file 'gone' in the repository"),
        ("../outside", "'../outside' leads out"),
        ("/etc/passwd", "leads out"),
        ("to_passwd", "'to_passwd' leads out of the repository"),
        ("to_outside", "'to_outside' leads out of the repository"),
        ("to_git", "'to_git' leads into .git"),
        ("to_secret", "'to_secret' leads to 'secret.env', which git does not track"),
        ("to_notes", "'to_notes' leads into"),
        (".codagent/notes.md", "leads into"),
        ("sub/.GIT/config", "leads into"),
        ("swapped/file", "'swapped/file' leads out"),
        ("circle", "leads out"),
        ("submodule", "there is no file 'submodule' in the repository"),
        ("pipe", "there is no file 'pipe' in the repository"),
        ("zero", "leads out"),
    ],
)
def test_a_file_that_is_not_the_repositorys_is_refused_by_name(tmp_path: Path, name: str, why: str) -> None:
    root = tmp_path / "repository"
    for folder in (".git", ".codagent", "sub/.GIT", "submodule"):
        (root / folder).mkdir(parents=True)
    for file in (".git/config", "secret.env", ".codagent/notes.md", "sub/.GIT/config", "../outside", "../file"):
        (root / file).write_text("token")
    os.mkfifo(root / "pipe")
    links = {"to_passwd": "/etc/passwd", "to_outside": "../outside", "to_git": ".git/config", "to_secret": "secret.env", "swapped": ".."}
    links |= {"to_notes": ".codagent/notes.md", "circle": "circle", "zero": "/dev/zero"}
    for link, target in links.items():
        (root / link).symlink_to(target)
    tracked = [".codagent/notes.md", "sub/.GIT/config", "swapped/file", "gone", "submodule", "pipe", *links]
    for table in ({"setup": "true", "files": [name]}, {"dockerfile": name}):
        with pytest.raises(UsageError, match=why):
            read(root, tracked, **table)


def test_even_an_index_that_lists_what_is_outside_does_not_let_it_in(tmp_path: Path) -> None:
    for name in ("/etc/passwd", "../outside"):
        with pytest.raises(UsageError, match="leads out"):
            read(tmp_path, [name], setup="true", files=[name])


def test_a_link_to_a_tracked_file_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    assert read(tmp_path, ["file", "link"], setup="true", files=["link"]).files == {"link": File(b"x")}


def test_a_context_is_what_git_tracks_of_the_dockerfiles_folder(tmp_path: Path) -> None:
    for folder in ("dev/.git", "dev/sub", "dev/.codagent"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("dev/a", "dev/sub/b", "dev/untracked", "dev/left", "top", "dev/.git/config", "dev/.codagent/notes.md"):
        (tmp_path / name).write_text(name)
    (tmp_path / "dev" / "link").symlink_to("a")
    (tmp_path / "dev" / "Dockerfile").write_text(COPY)
    (tmp_path / "dev" / ".dockerignore").write_text("# a comment\nleft\n")
    tracked = ["dev/a", "dev/sub/b", "dev/left", "top", "dev/link", "dev/Dockerfile", "dev/.dockerignore", "dev/gone"]
    setup = read(tmp_path, [*tracked, "dev/.codagent/notes.md"], dockerfile="dev/Dockerfile")
    assert setup.dockerfile == COPY
    assert {name: file for name, file in setup.context.items() if name not in ("Dockerfile", ".dockerignore")} == {
        "a": File(b"dev/a"),
        "sub/b": File(b"dev/sub/b"),
        "link": File(b"a", link=True),
    }


@pytest.mark.parametrize("target", ["../../outside", "/etc/passwd", "../.git/config"])
def test_a_link_in_a_context_that_leads_away_is_refused_by_name(tmp_path: Path, target: str) -> None:
    root = tmp_path / "repository"
    (root / "dev").mkdir(parents=True)
    (root / "dev" / "Dockerfile").write_text(COPY)
    (root / "dev" / "link").symlink_to(target)
    with pytest.raises(UsageError, match="'dev/link' leads"):
        read(root, ["dev/Dockerfile", "dev/link"], dockerfile="dev/Dockerfile")


def test_a_dockerfile_that_copies_nothing_has_no_context(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "a").write_text("a")
    assert read(tmp_path, ["Dockerfile", "a"], dockerfile="Dockerfile").context == {}


def test_all_files_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "MAX_BYTES", 1000)
    (tmp_path / "a").write_text("x" * 600)
    (tmp_path / "b").write_text("x" * 600)
    assert read(tmp_path, ["a", "b"], setup="true", files=["a"]).files["a"].data == b"x" * 600
    with pytest.raises(UsageError, match="'b'"):
        read(tmp_path, ["a", "b"], setup="true", files=["a", "b"])


def test_a_dockerfile_is_text_of_no_great_length(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("#" * (2 << 20))
    (tmp_path / "binary").write_bytes(b"\xff")
    for name, why in (("long", "more than 1 MB"), ("binary", "UTF-8")):
        with pytest.raises(UsageError, match=why):
            read(tmp_path, ["long", "binary"], dockerfile=name)


def test_a_digest_is_of_the_content_alone(tmp_path: Path) -> None:
    for name, text in (("one", "x"), ("two", "x"), ("three", "y")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(text)
    one, two, three = (read(tmp_path / name, ["a"], setup="cat a", files=["a"]).digest for name in ("one", "two", "three"))
    assert one == two
    (tmp_path / "one" / "a").chmod(0o755)
    others = [
        read(tmp_path / "one", ["a"], setup="cat a", files=["a"]).digest,
        read(tmp_path / "two", ["a"], setup="cat a").digest,
        read(tmp_path / "two", ["a"], setup="cat b", files=["a"]).digest,
        read(tmp_path / "two", ["a"], setup="cat a", files=["a"], image="evil/image").digest,
        read(tmp_path / "two", ["a"], dockerfile="a").digest,
    ]
    assert len({one, three, *others}) == 7
