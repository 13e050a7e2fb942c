"""A task in harbor's own format, and an environment in a folder of this machine, in which it runs without a container."""

import asyncio
import logging
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TASK = Path(__file__).parent / "task"


@dataclass
class ExecResult:
    """As harbor's: what a command wrote, and its exit code."""

    stdout: str | None
    stderr: str | None
    return_code: int


class FolderEnvironment:
    """What harbor's environments do, in a folder that stands for the root of the container."""

    def __init__(self, root: Path) -> None:
        self.root, self.commands = root, []
        for name in ("work", "results/verifier"):
            (root / name).mkdir(parents=True)
        (root / "work/answer.txt").write_text("wrong\n")

    async def exec(self, command, cwd=None, env=None, timeout_sec=None, user=None):
        self.commands.append(command)
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", self._inside(command)),
            cwd=self.root / "work",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        try:
            out, errors = await asyncio.wait_for(process.communicate(), timeout_sec)
        except TimeoutError:
            process.kill()
            raise RuntimeError(f"Command timed out after {timeout_sec} seconds") from None
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        return ExecResult(out.decode(), errors.decode(), process.returncode)

    async def upload_file(self, source_path, target_path):
        shutil.copyfile(source_path, self._inside(target_path))

    async def download_file(self, source_path, target_path):
        shutil.copyfile(self._inside(source_path), target_path)

    async def verify(self) -> float:
        """Run the task's own test, and return its reward."""
        await self.exec((TASK / "tests/test.sh").read_text())
        return float((self.root / "results/verifier/reward.txt").read_text())

    def _inside(self, text):
        """Put this folder in the place of the container's root."""
        return text.replace("/app", f"{self.root}/work").replace("/logs", f"{self.root}/results")


@dataclass
class AgentContext:
    """As harbor's."""

    n_input_tokens: int | None = None
    n_cache_tokens: int | None = None
    n_output_tokens: int | None = None
    cost_usd: float | None = None
    rollout_details: list | None = None
    metadata: dict | None = None


def run(agent, environment, *, seconds=60.0):
    """Run the agent on the task as harbor does, and return the context. Raises what the agent raises."""
    context = AgentContext()

    async def trial():
        await agent.setup(environment)
        await asyncio.wait_for(agent.run((TASK / "instruction.md").read_text(), environment, context), seconds)

    try:
        asyncio.run(trial())
    finally:
        logging.getLogger("harbor").debug("%s", context)
        agent.last_context = context
    return context
