"""A repository's own set-up becomes an image, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from codagent.errors import SandboxError, UsageError
from codagent.sandbox.definition import Definition, load_for_repository
from codagent.sandbox.docker import DockerSandbox
from codagent.sandbox.image import ensure_image

pytestmark = pytest.mark.docker

LOOP = "test-image"


@pytest.fixture(autouse=True)
def _no_image_stays(client: Any, python_sandbox: Definition, wait_until_gone: Callable[[str], bool]) -> Iterator[None]:
    before = {image["Id"] for image in client.images("codagent/repo")}
    yield
    assert wait_until_gone(LOOP)
    for image in client.images("codagent/repo"):
        if image["Id"] not in before:
            client.remove_image(image["Id"], force=True)


def made(wanted: Definition, root: Path) -> tuple[str, list[str]]:
    said: list[str] = []
    return ensure_image(wanted, root=root, say=said.append), said


def test_a_setup_runs_once_and_again_when_it_or_its_files_change(tmp_path: Path) -> None:
    (tmp_path / "tools.txt").write_text("one")
    wanted = load_for_repository("python", {"setup": "cp tools.txt /opt/tools\nid -u >>/opt/tools", "files": ["tools.txt"]})
    first, said = made(wanted, tmp_path)
    assert said[0].startswith("building codagent/repo:")
    assert made(wanted, tmp_path) == (first, [])
    with closing(DockerSandbox.start(wanted, loop=LOOP, image=first)) as sandbox:
        assert sandbox.run("cat /opt/tools; pwd; id -u", timeout=10).output == "one0\n/workspace\n1000\n"
    (tmp_path / "tools.txt").write_text("two")
    assert made(wanted, tmp_path)[0] != first


def test_a_dockerfile_of_the_repository_is_built_with_what_it_copies(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY seed /opt/seed\n")
    (tmp_path / "seed").write_text("1")
    (tmp_path / "left out").write_text("1")
    (tmp_path / ".dockerignore").write_text("left*\n")
    wanted = load_for_repository("python", {"dockerfile": "Dockerfile"})
    first, _ = made(wanted, tmp_path)
    (tmp_path / "left out").write_text("2")
    assert made(wanted, tmp_path) == (first, [])
    (tmp_path / "seed").write_text("2")
    assert made(wanted, tmp_path)[0] != first


def test_what_an_image_declares_cannot_weaken_the_sandbox(tmp_path: Path) -> None:
    """A volume would be a way to the disk, a health check or an entry point something else that runs, a user another one than ours."""
    recipe = (
        "ARG BASE\nFROM ${BASE}\nVOLUME /data\nUSER root\nENTRYPOINT sleep 1\nHEALTHCHECK --interval=1s CMD touch /data/check\nENV MARK=1\n"
    )
    (tmp_path / "Dockerfile").write_text(recipe)
    wanted = load_for_repository("python", {"dockerfile": "Dockerfile"})
    with closing(DockerSandbox.start(wanted, loop=LOOP, image=made(wanted, tmp_path)[0])) as sandbox:
        result = sandbox.run("sleep 2; id -u; ls /data; stat -f -c %T /data; echo $MARK", timeout=10)
        assert result.output == "1000\ntmpfs\n1\n"


def test_a_setup_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="the cause of it"):
        made(load_for_repository("python", {"setup": "echo the cause of it; exit 3"}), tmp_path)


def test_files_outside_the_repository_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("/etc/passwd", "../x", "link", "missing"):
        with pytest.raises(UsageError, match="no file"):
            made(load_for_repository("python", {"setup": "true", "files": [name]}), tmp_path)
