"""An image that several threads need at once is built once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from codagent.repository.setups import read_setup_of
from codagent.sandbox.definition import Definition
from codagent.sandbox.pool import SandboxFactory
from codagent.settings.settings import Settings
from tests.docker.images import remove_images

pytestmark = pytest.mark.docker

LOOP = "test-pool"


def test_two_threads_that_need_an_image_build_it_once(
    tmp_path: Path, client: Any, python_sandbox: Definition, wait_until_gone: Callable[..., bool]
) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    lines: list[str] = []
    settings = Settings(sandbox=python_sandbox.name, sandbox_setup={"setup": "sleep 2; date +%N >/opt/once"})
    factory = SandboxFactory(tmp_path, settings, lines.append, read_setup_of)
    with ThreadPoolExecutor(2) as pool:
        started, image = pool.submit(factory, LOOP), pool.submit(factory.image)
        started.result().close()
    assert wait_until_gone(LOOP, owner=os.getpid())
    remove_images(client, image.result())
    assert [line.partition(":")[0] for line in lines] == ["building codagent/repo"]
