"""Checks run by the host in a sandbox that the agent never saw; their exit codes decide."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from codagent.errors import SandboxError
from codagent.tools import show
from codagent.types import CommandResult, Outcome, Profile, Sandbox

CHECK_SECONDS = 600.0
PARTIAL = 0.9  # some checks passed: never as good as all


def run_check(sandbox: Sandbox, check: str, *, seconds: float = CHECK_SECONDS) -> CommandResult:
    """One check, in a login-free shell at the repository's root."""
    return sandbox.run(check, timeout=max(1.0, min(seconds, CHECK_SECONDS)))


def restore(sandbox: Sandbox, protect: Sequence[str], start_commit: str) -> None:
    """Bring what matches the globs `protect` back to how it stood at `start_commit`: changed and deleted files return, added ones go."""
    for glob in protect:
        pathspec = shlex.quote(f":(glob){glob}")
        command = f"git restore --source={start_commit} --staged --worktree -- {pathspec}"
        result = sandbox.run(command, timeout=60)
        if result.exit_code and "did not match any file" not in result.output:
            raise SandboxError(f"protected files {glob!r} could not be restored for the gates: {result.output.strip()}")


def grade(sandbox: Sandbox, checks: Sequence[str], *, seconds: float = CHECK_SECONDS) -> Outcome:
    """Run every check in order. Reward 1 when all pass, else their share of `PARTIAL`; feedback is what each said."""
    results = [(check, run_check(sandbox, check, seconds=seconds)) for check in checks]
    passed = sum(result.exit_code == 0 for _, result in results)
    return Outcome(
        reward=1.0 if passed == len(results) else PARTIAL * passed / len(results),
        passed=passed == len(results),
        feedback="\n\n".join(f"$ {check}\n{show(result, _BRIEF)}" for check, result in results),
    )


_BRIEF = Profile(output_lines=60, output_bytes=6_000)
