"""Loops on a Ray cluster of three nodes on this machine: `python tests/benchmarks/fleet.py equal|kill|interrupt|tiny [N] [SANDBOX]`.

equal: N loops by --jobs and by Ray; every result has to be the same. kill: a node is killed when a third of the loops has ended.
interrupt: Ctrl-C in the middle, then --continue. tiny: N loops of one step, and the driver's memory while they run; the driver is killed in
the middle.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from codagent.store.record import load

CODAGENT = Path(sys.executable).parent / "codagent"
CHECK = "grep -q right answer.txt"
MAX_TOKENS = 60_000


def call(name, **arguments):
    return {"calls": [{"name": name, "arguments": arguments}]}


def script_of(number):
    """An own script for each loop: up to three attempts, of which the last is right; one loop in five never passes."""
    answers = [f"{number}-{attempt}" for attempt in range(number % 3)] + ([] if number % 5 == 4 else ["right"])
    items = []
    for answer in answers or ["no"]:
        items += [call("bash", command=f"echo {answer} > answer.txt; echo {number} > made-{number}.txt"), call("finish", summary=answer)]
        items.append(f"<notes>\nafter {answer}\n</notes>")
    return items


@dataclass(frozen=True)
class Running:
    """A command, and the file of what it says."""

    process: subprocess.Popen
    said: Path


class Bench:
    """A repository and task files."""

    def __init__(self, folder, count, sandbox, make_script=script_of):
        self.root, self.tasks, self.sandbox, self.count = folder / "repository", folder / "tasks", sandbox, count
        self.root.mkdir()
        self.tasks.mkdir()
        (self.root / "answer.txt").write_text("wrong\n")
        for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):
            subprocess.run(["git", *words], cwd=self.root, check=True)
        for number in range(count):
            script = self.tasks / f"{number:04}.json"
            script.write_text(json.dumps(make_script(number)))
            text = (
                f'repository = "{self.root}"\nmodel = "scripted:{script}"\nchecks = ["{CHECK}"]\n[[task]]\ninstruction = "mend {number}"\n'
            )
            (self.tasks / f"{number:04}.toml").write_text(text)

    def start(self, record, *words):
        limits = ("--iterations", "3", "--max-tokens", str(MAX_TOKENS), "--total-tokens", str(MAX_TOKENS * self.count))
        command = [CODAGENT, "loop", f"{self.tasks}/", "--sandbox", self.sandbox, "--record", str(record), "--json", *limits, *words]
        said = self.tasks.parent / f"{record.name}.txt"
        with said.open("w") as stderr:  # a pipe that nobody reads would be full after some hundred loops
            process = subprocess.Popen(command, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True)
        return Running(process, said)

    def records(self, record):
        return sorted(record.rglob("record.jsonl"))

    def results(self, record):
        """What came of each task, without what differs from run to run."""
        return {loop.attempts[0].task.instruction: self._outline(loop) for file in self.records(record) if (loop := load(file)).attempts}

    def _outline(self, loop):
        branch = subprocess.run(
            ["git", "rev-parse", f"codagent/{loop.id}^{{tree}}"], cwd=self.root, capture_output=True, text=True, check=False
        )
        ends = [(one.kind, one.end, one.notes_after, one.outcome and (one.outcome.reward, one.outcome.feedback)) for one in loop.episodes]
        return loop.end, ends, branch.stdout


def finish(running):
    """Wait for a command, and return its object, its seconds from now, and what it said."""
    began = time.monotonic()
    out, _ = running.process.communicate(timeout=3000)
    try:
        told = json.loads(out) if out.strip() else {}
    except ValueError:
        raise SystemExit(f"not JSON: {out[:1500]}") from None
    return told, time.monotonic() - began, running.said.read_text()


def start_cluster(nodes=3):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    return cluster, [cluster.add_node(num_cpus=1) for _ in range(nodes - 1)]


def count_ended(bench, record):
    return sum(b'\n{"end":' in file.read_bytes() for file in bench.records(record))


def wait_until_ended(bench, record, running, wanted):
    while count_ended(bench, record) < wanted and running.process.poll() is None:
        time.sleep(0.2)


def count_containers(bench, record):
    """Count the containers of the loops on record, also those that have ended."""
    words = ["docker", "ps", "-a", "--format", '{{.Label "codagent.loop"}}']
    found = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
    return sum(name in {file.parent.name for file in bench.records(record)} for name in found)


def run_equal(folder, count, sandbox):
    bench = Bench(folder, count, sandbox)
    before, usage = time.monotonic(), os.times()
    local, seconds, said = finish(bench.start(folder / "local", "--jobs", "3"))
    print(f"--jobs 3: {seconds:.0f} s, {cpu_since(usage):.0f} s of CPU, exit {local['exit_code']}, {sum_up(local)}", flush=True)
    before = time.monotonic()
    cluster, _ = start_cluster()
    print(f"three nodes started in {time.monotonic() - before:.0f} s", flush=True)
    try:
        usage = os.times()
        there, seconds, said = finish(bench.start(folder / "ray", "--jobs", "3", "--on", f"ray://{cluster.address}"))
        print(f"ray: {seconds:.0f} s, exit {there.get('exit_code')}, {sum_up(there)}", flush=True)
    finally:
        cluster.shutdown()
    compare(bench, folder / "local", folder / "ray", said)


def run_kill(folder, count, sandbox):
    bench = Bench(folder, count, sandbox)
    local, seconds, _ = finish(bench.start(folder / "local", "--jobs", "3"))
    print(f"--jobs 3: {seconds:.0f} s, {sum_up(local)}", flush=True)
    cluster, nodes = start_cluster()
    try:
        running = bench.start(folder / "ray", "--jobs", "3", "--on", f"ray://{cluster.address}")
        wait_until_ended(bench, folder / "ray", running, count // 3)
        ended = {file: file.read_bytes() for file in bench.records(folder / "ray") if b'\n{"end":' in file.read_bytes()}
        cluster.remove_node(nodes[0], allow_graceful=False)
        print(f"a node was killed when {len(ended)} loops had ended", flush=True)
        there, seconds, said = finish(running)
        lost = [line for line in said.splitlines() if "worker was lost" in line]
        print(f"ray: {seconds:.0f} s more, exit {there.get('exit_code')}, {sum_up(there)}, lost and taken up: {len(lost)}", flush=True)
        touched = [file for file, data in ended.items() if file.read_bytes() != data]
        print(f"loops that had ended and were run again: {len(touched)}; containers left: {count_containers(bench, folder / 'ray')}")
        compare(bench, folder / "local", folder / "ray", said)
    finally:
        cluster.shutdown()


def run_interrupt(folder, count, sandbox):
    bench = Bench(folder, count, sandbox)
    cluster, _ = start_cluster()
    try:
        words = ("--jobs", "3", "--on", f"ray://{cluster.address}")
        running = bench.start(folder / "ray", *words)
        wait_until_ended(bench, folder / "ray", running, count // 3)
        running.process.send_signal(signal.SIGINT)
        _, seconds, _ = finish(running)
        left = count_containers(bench, folder / "ray")
        print(f"Ctrl-C: ended after {seconds:.1f} s with exit {running.process.returncode}, containers left: {left}", flush=True)
        there, _, said = finish(bench.start(folder / "ray", *words, "--continue"))
        print(f"--continue: exit {there.get('exit_code')}, {sum_up(there)}")
        local, _, _ = finish(bench.start(folder / "local", "--jobs", "3"))
        print(f"--jobs 3: {sum_up(local)}")
        compare(bench, folder / "local", folder / "ray", said)
    finally:
        cluster.shutdown()


def run_tiny(folder, count, sandbox):
    bench = Bench(folder, count, sandbox, lambda number: [call("finish", summary=str(number))])
    cluster, _ = start_cluster()
    words = ("--jobs", "3", "--on", f"ray://{cluster.address}", "--iterations", "1", "--rewrite", "never")
    try:
        running = bench.start(folder / "ray", *words)
        watch_memory(bench, folder / "ray", running, [count // 10 * tenth for tenth in range(1, 6)])
        running.process.kill()
        running.process.communicate()
        print(f"driver killed when {count_ended(bench, folder / 'ray')} had ended", flush=True)
        running = bench.start(folder / "ray", *words, "--continue")
        watch_memory(bench, folder / "ray", running, [count // 10 * tenth for tenth in range(6, 11)])
        there, _, said = finish(running)
        print(f"exit {there.get('exit_code')}, {sum_up(there)}, records {len(bench.records(folder / 'ray'))}", said[-300:])
    finally:
        cluster.shutdown()


def watch_memory(bench, record, running, marks):
    """Print the driver's memory as loops end."""
    for mark in marks:
        wait_until_ended(bench, record, running, mark)
        status = Path(f"/proc/{running.process.pid}/status")
        if running.process.poll() is None:
            rss = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS"))
            print(f"{mark} loops ended: driver {int(rss) // 1024} MB", flush=True)


def cpu_since(before):
    now = os.times()
    return now.children_user + now.children_system - before.children_user - before.children_system


def sum_up(told):
    rows = told.get("loops", [])
    outcomes = {row["outcome"] for row in rows}
    counts = ", ".join(f"{sum(row['outcome'] == one for row in rows)} {one}" for one in sorted(outcomes))
    most = max((row["tokens"] or 0 for row in rows), default=0)
    return f"{len(rows)} loops: {counts}; most tokens of one {most} of {MAX_TOKENS}"


def compare(bench, one, other, said):
    left, right = bench.results(one), bench.results(other)
    different = [task for task in {*left, *right} if left.get(task) != right.get(task)]
    print(f"results that differ: {len(different)} of {len(left)}", flush=True)
    for task in sorted(different)[:2]:
        print(task, left.get(task), right.get(task), sep="\n  ")
    if different:
        print(said[-2000:])


if __name__ == "__main__":
    what, number, place = sys.argv[1], int((sys.argv[2:] or ["40"])[0]), (sys.argv[3:] or ["python"])[0]
    with tempfile.TemporaryDirectory(prefix="fleet-") as temporary:
        globals()[f"run_{what}"](Path(temporary), number, place)
