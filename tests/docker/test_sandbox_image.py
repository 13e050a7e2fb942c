"""A repository's own set-up becomes an image, once, within bounds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from codagent.errors import SandboxError, UsageError
from codagent.repository.setups import read_setup_of
from codagent.sandbox.definition import Definition, load_for_repository
from codagent.sandbox.docker.reaper import owner_labels, reap
from codagent.sandbox.docker.sandbox import DockerSandbox
from codagent.sandbox.images.image import ensure_image
from tests.docker.images import remove_images

pytestmark = pytest.mark.docker

LOOP = "test-image"
KILLED = """
import socket, sys
socket.gethostname = lambda: sys.argv[1]
from pathlib import Path
from codagent.sandbox.definition import load_for_repository
from codagent.sandbox.images.image import ensure_image
from codagent.sandbox.images.setup import Setup
ensure_image(load_for_repository("python", {"setup": "sleep 60"}), Setup(script="sleep 60"), say=lambda line: print(line, flush=True))
"""


BUILT: set[str] = set()


@pytest.fixture(autouse=True)
def _no_image_stays(client: Any, python_sandbox: Definition, own_host: str, wait_until_gone: Callable[[str], bool]) -> Iterator[None]:
    """Remove what a test has built, and nothing of another command that builds at the same time."""
    yield
    assert wait_until_gone(LOOP)
    assert wait_until_gone("setup")
    remove_images(client, *BUILT)
    BUILT.clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def build_image_of(wanted: Definition, root: Path) -> tuple[str, list[str]]:
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    lines: list[str] = []
    image = ensure_image(wanted, read_setup_of(root, wanted), say=lines.append)
    BUILT.add(image)
    return image, lines


def run_after_setup(script: str, root: Path, look: str = "cat /opt/seen") -> str:
    """What a sandbox says after a set-up."""
    wanted = load_for_repository("python", {"setup": script})
    with closing(DockerSandbox.start(wanted, loop=LOOP, image=build_image_of(wanted, root)[0])) as sandbox:
        return sandbox.run(look, timeout=60).output


def test_a_setup_runs_once_and_again_when_it_or_its_files_change(root: Path) -> None:
    (root / "tools.txt").write_text("one")
    wanted = load_for_repository("python", {"setup": "cp tools.txt /opt/tools\nid -u >>/opt/tools", "files": ["tools.txt"]})
    first, lines = build_image_of(wanted, root)
    assert lines[0].startswith("building codagent/repo:")
    assert build_image_of(wanted, root) == (first, [])
    with closing(DockerSandbox.start(wanted, loop=LOOP, image=first)) as sandbox:
        assert sandbox.run("cat /opt/tools; pwd; id -u", timeout=60).output == "one0\n/workspace\n1000\n"
    (root / "tools.txt").write_text("two")
    assert build_image_of(wanted, root)[0] != first


def test_a_setup_finds_its_files_where_it_starts_with_their_names_and_modes(root: Path) -> None:
    (root / "deep").mkdir()
    (root / "deep" / "run.sh").write_text("#!/bin/sh\npwd; stat -c '%A %u' deep/run.sh\n")
    (root / "deep" / "run.sh").chmod(0o755)
    wanted = load_for_repository("python", {"setup": "deep/run.sh >/opt/seen", "files": ["deep/run.sh"]})
    with closing(DockerSandbox.start(wanted, loop=LOOP, image=build_image_of(wanted, root)[0])) as sandbox:
        assert sandbox.run("cat /opt/seen", timeout=60).output == "/setup\n-rwxr-xr-x 0\n"


def test_a_dockerfile_of_the_repository_is_built_with_what_it_copies(root: Path) -> None:
    (root / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY seed /opt/seed\n")
    (root / "seed").write_text("1")
    (root / "left out").write_text("1")
    (root / ".dockerignore").write_text("left*\n")
    wanted = load_for_repository("python", {"dockerfile": "Dockerfile"})
    first, _ = build_image_of(wanted, root)
    (root / "left out").write_text("2")
    assert build_image_of(wanted, root) == (first, [])
    (root / "seed").write_text("2")
    assert build_image_of(wanted, root)[0] != first


def test_what_git_does_not_track_is_in_no_build(root: Path) -> None:
    (root / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY . /opt/context\n")
    (root / ".gitignore").write_text("secret.env\n")
    (root / "secret.env").write_text("token")
    (root / "link").symlink_to("Dockerfile")
    wanted = load_for_repository("python", {"dockerfile": "Dockerfile"})
    with closing(DockerSandbox.start(wanted, loop=LOOP, image=build_image_of(wanted, root)[0])) as sandbox:
        listed = sandbox.run("cd /opt/context; find . -type f -o -type l | sort", timeout=60).output.split()
    assert listed == ["./.codagent.Dockerfile", "./.gitignore", "./Dockerfile", "./link"]


def test_what_an_image_declares_cannot_weaken_the_sandbox(root: Path) -> None:
    """A volume would be a way to the disk, a health check or an entry point something else that runs, a user another one than ours."""
    recipe = (
        "ARG BASE\nFROM ${BASE}\nVOLUME /data\nUSER root\nENTRYPOINT sleep 1\nHEALTHCHECK --interval=1s CMD touch /data/check\nENV MARK=1\n"
    )
    (root / "Dockerfile").write_text(recipe)
    wanted = load_for_repository("python", {"dockerfile": "Dockerfile", "setup": "echo $MARK >/opt/seen"})
    with closing(DockerSandbox.start(wanted, loop=LOOP, image=build_image_of(wanted, root)[0])) as sandbox:
        result = sandbox.run("sleep 2; id -u; ls /data; stat -f -c %T /data; echo $MARK; cat /opt/seen", timeout=60)
        assert result.output == "1000\ntmpfs\n1\n1\n"


def test_a_setup_that_fails_says_what_it_said_and_leaves_no_container(root: Path) -> None:
    with pytest.raises(SandboxError, match=r"(?s)exit code 3.*the cause of it"):
        build_image_of(load_for_repository("python", {"setup": "echo the cause of it; exit 3"}), root)


def test_a_setup_runs_with_the_limits_of_a_sandbox_and_few_rights(root: Path) -> None:
    script = """
    { cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes; } 2>/dev/null >/opt/seen
    { cat /sys/fs/cgroup/pids.max || cat /sys/fs/cgroup/pids/pids.max; } 2>/dev/null >>/opt/seen
    grep -E '^(CapPrm|CapBnd|NoNewPrivs)' /proc/self/status >>/opt/seen
    ls /sys/class/net >>/opt/seen
    """
    rights = "00000000000000db"  # chown, dac_override, fowner, fsetid, setgid, setuid
    limits = ["2147483648", "512", "CapPrm:", rights, "CapBnd:", rights, "NoNewPrivs:", "1", "eth0", "lo"]
    assert run_after_setup(script, root).split() == limits


def test_what_apt_and_pip_need_as_root_works(root: Path) -> None:
    script = """
    useradd -m packaged; install -o packaged -m 4755 /bin/true /opt/tool; touch /opt/owned; chown packaged:packaged /opt/owned
    su packaged -c 'id -un' >/opt/seen; chmod g+s /opt/owned; stat -c %U:%A /opt/owned /opt/tool >>/opt/seen
    setpriv --reuid packaged --regid packaged --clear-groups id -un >>/opt/seen
    python3 -c 'import venv; venv.create("/opt/venv")'; echo done >>/opt/seen
    """
    assert run_after_setup(script, root) == "packaged\npackaged:-rw-r-Sr--\npackaged:-rwsr-xr-x\npackaged\ndone\n"


@pytest.mark.parametrize("attack", ["perl -e 'fork while 1' & sleep 3; exit 9", "bomb() { bomb | bomb & }; bomb; sleep 3; exit 9"])
def test_a_fork_bomb_in_a_setup_ends_with_it(root: Path, attack: str) -> None:
    with pytest.raises(SandboxError, match="exit code"):
        build_image_of(load_for_repository("python", {"setup": attack}), root)


def test_a_memory_hog_in_a_setup_is_killed(root: Path) -> None:
    with pytest.raises(SandboxError, match=r"(?s)exit code 137.*2048 MB"):
        build_image_of(load_for_repository("python", {"setup": "tail /dev/zero"}), root)


@pytest.mark.parametrize("attack", ["sleep 60", "yes", "exec >&- 2>&-; sleep 60"])
def test_a_setup_past_its_time_is_ended(root: Path, monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    monkeypatch.setattr("codagent.sandbox.images.builder._SECONDS", 2)
    with pytest.raises(SandboxError, match="was not done after 2 s"):
        build_image_of(load_for_repository("python", {"setup": attack}), root)


def test_what_a_setup_leaves_in_the_background_is_not_waited_for(root: Path) -> None:
    assert run_after_setup("setsid sleep 300 & echo ready >/opt/seen", root) == "ready\n"


def test_a_killed_host_leaves_a_setup_to_the_reaper(
    own_host: str, containers: Callable[[str], list[dict[str, Any]]], wait_until_gone: Callable[[str], bool]
) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, own_host], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline().startswith("building")
        while not any(each["State"] == "running" for each in containers("setup")):  # the engine lists it before it is created in full
            pass
        host.send_signal(signal.SIGKILL)
    [left] = containers("setup")
    assert left["Id"] in reap()
    assert wait_until_gone("setup")


def test_an_image_after_a_setup_does_not_look_like_ours_to_remove(root: Path, client: Any) -> None:
    image, _ = build_image_of(load_for_repository("python", {"setup": "true"}), root)
    config = client.inspect_image(image)["Config"]
    assert set(config["Labels"].values()) == {""}
    assert (config["WorkingDir"], config["Entrypoint"]) == ("/workspace", [])


def test_an_image_of_a_dockerfile_cannot_claim_to_be_ours_to_remove(root: Path, client: Any) -> None:
    (root / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nLABEL codagent=1 codagent.pid=1 codagent.start=1 theirs=1\n")
    image, _ = build_image_of(load_for_repository("python", {"dockerfile": "Dockerfile"}), root)
    labels = client.inspect_image(image)["Config"]["Labels"]
    assert labels == {**dict.fromkeys(owner_labels("x"), ""), "theirs": "1"}


def test_a_proxys_password_reaches_the_setup_and_not_the_sandbox(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": "http://me:hunter2@proxy:1"}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    assert run_after_setup("[ $HTTP_PROXY ] && echo ready >/opt/seen", root, "cat /opt/seen; env | grep -c hunter2") == "ready\n0\n"


def test_a_dockerfiles_build_has_the_sandboxs_memory(root: Path) -> None:
    look = "{ cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes; } 2>/dev/null >/opt/seen"
    (root / "Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nUSER root\nRUN {look}; nproc >>/opt/seen\n")
    wanted = load_for_repository("python", {"dockerfile": "Dockerfile"})
    with closing(DockerSandbox.start(wanted, loop=LOOP, image=build_image_of(wanted, root)[0])) as sandbox:
        assert sandbox.run("cat /opt/seen", timeout=60).output.split()[0] == "2147483648"


HOSTILE = r"printf 'a\033]0;owned\007\033[2Jb\n'"


def test_what_a_build_prints_is_harmless_in_errors_and_while_it_runs(root: Path) -> None:
    (root / "Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nRUN {HOSTILE}; : \x1b]0;owned\x07; exit 3\n")
    lines: list[str] = []
    for table in ({"dockerfile": "Dockerfile"}, {"setup": f"{HOSTILE}; exit 3"}):
        with pytest.raises(SandboxError, match="ab") as raised:
            lines += build_image_of(load_for_repository("python", table), root)[1]
        assert "\x1b" not in str(raised.value) + "".join(lines)
        assert "\x07" not in str(raised.value)
    (root / "Dockerfile").write_text("FROM scratch\n\x1b]0;owned\x07\x1b[2J\n")
    with pytest.raises(SandboxError) as raised:
        build_image_of(load_for_repository("python", {"dockerfile": "Dockerfile"}), root)
    assert "\x1b" not in str(raised.value)


def test_of_a_long_output_the_end_is_shown(root: Path) -> None:
    script = "seq 1000000; head -c 10000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 3"
    with pytest.raises(SandboxError) as raised:
        build_image_of(load_for_repository("python", {"setup": script}), root)
    assert str(raised.value).endswith("the end")
    assert len(str(raised.value)) < 20_000


def test_files_outside_the_repository_are_refused(root: Path) -> None:
    (root / "link").symlink_to("/etc/passwd")
    for name in ("/etc/passwd", "../x", "link", "missing", ".git/config"):
        with pytest.raises(UsageError, match=name):
            build_image_of(load_for_repository("python", {"setup": "true", "files": [name]}), root)


def test_a_setup_without_its_repository_is_refused() -> None:
    with pytest.raises(UsageError, match="repository"):
        ensure_image(load_for_repository("python", {"setup": "true"}), say=print)
