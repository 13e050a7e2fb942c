"""Tries each claim about a sandbox from inside a running one."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing

from codagent.protocols import Sandbox
from codagent.sandbox.definition import ENVIRONMENT, Definition, load_definition
from codagent.sandbox.docker.sandbox import DockerSandbox

# Shell commands that succeed when the claim holds.
_CLAIMS = {
    "no network": "[ \"$(ls /sys/class/net)\" = lo ] && ! timeout 3 bash -c 'exec 3<>/dev/tcp/192.0.2.1/80'",
    "not root": '[ "$(id -u)" != 0 ] && [ "$(id -g)" != 0 ]',
    "no capabilities": "! grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb):' /proc/self/status | grep -qv 0000000000000000",
    "no new privileges": "grep -q '^NoNewPrivs:.1' /proc/self/status",
    "system calls are filtered": "grep -q '^Seccomp:.2' /proc/self/status",
    "the root file system is read-only": "grep -qE '^[^ ]+ / [^ ]+ ro,' /proc/mounts",
    "no file of this machine is mounted": "! grep -vE ' (/etc/(hosts|hostname|resolv.conf)|/usr/sbin/docker-init|/sbin/docker-init) | - "
    "(overlay|tmpfs|proc|sysfs|devpts|mqueue|cgroup2?|fuse-overlayfs|btrfs|zfs) ' /proc/self/mountinfo",
    "no docker engine in reach": "[ ! -e /var/run/docker.sock ] && [ ! -e /run/docker.sock ]",
    "the main process cannot be killed": "! kill -KILL 1 2>/dev/null",
}


def check(name: str) -> list[tuple[str, bool]]:
    """Start the sandbox `name` and return each claim with whether it holds on this engine. This takes some seconds.

    Raises SandboxError when the sandbox does not start.
    """
    wanted = load_definition(name)
    with closing(DockerSandbox.start(wanted, loop="check")) as sandbox:
        rows = [(claim, sandbox.run(command, timeout=30).exit_code == 0) for claim, command in _CLAIMS.items()]
        tests: list[tuple[str, Callable[[Sandbox, Definition], bool]]] = [
            ("no variable of this machine", _environment_is_hidden),
            (f"at most {wanted.workspace_mb} MB of files", _workspace_is_limited),
            (f"at most {wanted.pids} processes", processes_are_limited),
            (f"at most {wanted.memory_mb} MB of memory", _memory_is_limited),
            ("nothing survives the time limit", _nothing_survives),
        ]
        return rows + [(claim, holds(sandbox, wanted)) for claim, holds in tests]


def _environment_is_hidden(sandbox: Sandbox, _: Definition) -> bool:
    """Return whether no value of a variable of this process is seen, except those that the sandbox sets and PATH."""
    seen = {line.partition("=")[2] for line in sandbox.run("env", timeout=10).output.splitlines()}
    hidden = {value for name, value in os.environ.items() if name != "PATH" and len(value) > 3}
    return not (seen - set(ENVIRONMENT.values())) & hidden


def _workspace_is_limited(sandbox: Sandbox, wanted: Definition) -> bool:
    result = sandbox.run(f"head -c {wanted.workspace_mb + 1}M /dev/zero >filling; code=$?; rm filling; exit $code", timeout=60)
    return result.exit_code == 1 and "No space" in result.output


def processes_are_limited(sandbox: Sandbox, wanted: Definition) -> bool:
    """Return whether a fork is refused at the limit or before. Each process that starts prints a dot.

    bash tries for some seconds to fork again; other shells give up at once. A slow machine has a minute to start the processes.
    """
    many = f"for i in $(seq {wanted.pids + 50}); do sleep 300 & printf .; done"
    result = sandbox.run(f"sh -c '{many}'", timeout=60)
    sandbox.kill_all()
    return result.exit_code != 0 and "fork" in result.output and result.output.count(".") <= wanted.pids


def _memory_is_limited(sandbox: Sandbox, _: Definition) -> bool:
    """Return whether a program is killed that needs ever more memory: tail keeps the last line, which is endless here."""
    return sandbox.run("tail /dev/zero", timeout=60).exit_code == 137


def _nothing_survives(sandbox: Sandbox, _: Definition) -> bool:
    sandbox.run("setsid sleep 99 & (trap '' TERM HUP; exec sleep 99) & sleep 99", timeout=1)
    return sandbox.run("grep -qx sleep /proc/[0-9]*/comm", timeout=10).exit_code == 1
