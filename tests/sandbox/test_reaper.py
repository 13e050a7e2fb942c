"""How the owner of a container is known."""

import os
import subprocess

from codagent.sandbox.docker.reaper import process_start


def test_a_process_that_is_gone_has_no_start():
    with subprocess.Popen(["sleep", "60"]) as other:
        assert process_start(other.pid) not in ("", process_start(os.getpid()))
        other.kill()
    assert process_start(other.pid) == ""
