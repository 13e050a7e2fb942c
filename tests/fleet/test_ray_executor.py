"""Loops on a small Ray cluster. Starting Ray takes seconds, so one test shows all; `tests/benchmarks/fleet.py` has the rest."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from codagent.errors import UsageError
from codagent.fleet.ray_cluster import _WithoutRay
from codagent.fleet.ray_executor import RayExecutor
from tests.cli.conftest import CHECK, CODAGENT, call
from tests.cli.loops import tries


@pytest.mark.parametrize("on", ["spark", "ray://", "ray:/x", "ray://host", "ray://host:port", "RAY"])
def test_what_is_no_address_is_refused(on):
    with pytest.raises(UsageError, match="is not known; it is ray, or"):
        RayExecutor(on)


def test_what_ray_prints_is_no_result(capsys):
    """Ray reports a lost machine in a thread of its own, on standard output."""
    stream = _WithoutRay(sys.stdout)
    for name in ("ray_listen_error_messages", "job"):
        thread = threading.Thread(target=print, args=(name,), kwargs={"file": stream}, name=name)
        thread.start()
        thread.join()
    stream.flush()
    assert capsys.readouterr().out == "job\n"


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    started.add_node(num_cpus=1)
    yield started
    started.shutdown()


@pytest.fixture
def tasks(tmp_path):
    root, folder = tmp_path / "repository", tmp_path / "tasks"
    root.mkdir()
    folder.mkdir()
    (root / "answer.txt").write_text("wrong\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    hold = call("bash", command=f"echo $$ > {tmp_path}/started; [ -e {tmp_path}/go ] || sleep 280")
    scripts = {"one": tries("1", "right"), "two": tries("right"), "held": [hold, *tries("right")]}
    for name, items in scripts.items():
        (folder / f"{name}.json").write_text(json.dumps(items))
        head = f'repository = "{root}"\nmodel = "scripted:{folder}/{name}.json"\nchecks = ["{CHECK}"]\n'
        (folder / f"{name}.toml").write_text(f'{head}[[task]]\ninstruction = "{name}"\n')
    return folder


def start(tasks, cluster, *words):
    command = [CODAGENT, "loop", f"{tasks}/", "--on", f"ray://{cluster.address}", "--sandbox", "local", "--json", *words]
    return subprocess.Popen(command, cwd=tasks.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path):
    deadline = time.monotonic() + 200
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timeout(600)
def test_loops_run_on_the_cluster_end_at_ctrl_c_and_go_on(cluster, tasks):
    running = start(tasks, cluster)
    wait_for(tasks.parent / "started")
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=250)
    assert running.returncode == 130, said
    held = int((tasks.parent / "started").read_text())
    deadline = time.monotonic() + 60
    while Path(f"/proc/{held}").exists():  # the cluster ends its tasks by itself
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (tasks.parent / "go").touch()
    again = start(tasks, cluster, "--continue")
    out, said = again.communicate(timeout=300)
    result = json.loads(out)
    assert (again.returncode, [loop["outcome"] for loop in result["loops"]]) == (0, ["passed"] * 3), said
    assert [(loop["name"], loop["iterations"]) for loop in result["loops"]] == [("held", 1), ("one", 2), ("two", 1)]
    root = tasks.parent / "repository"
    for loop in result["loops"]:
        shown = subprocess.run(["git", "show", f"{loop['branch']}:answer.txt"], cwd=root, capture_output=True, text=True, check=True)
        assert shown.stdout == "right\n"
    assert len(list((root / ".codagent/loops").iterdir())) == 3
