"""Runs the sample task with the real harbor, from its command line to its verdict: `PYTHON tests/benchmarks/harbor_trial.py`.

PYTHON is a Python 3.12 with harbor and codagent's own dependencies. harbor's own Docker environment needs `docker compose`, which not every
machine has, so the container is started here by the `docker` command, from the task's Dockerfile. The model plays a script: once it does
the task, and once it only says so.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

from harbor.environments.base import BaseEnvironment, ExecResult
from harbor.models.trajectories import Trajectory

ROOT = Path(__file__).parents[2]
TASK = ROOT / "tests/adapters/task"
FINISH = {"calls": [{"name": "finish", "arguments": {"summary": "it says right"}}]}
FIX = [{"calls": [{"name": "edit", "arguments": {"path": "answer.txt", "old": "wrong", "new": "right"}}]}, FINISH]


class DockerCommand(BaseEnvironment):
    """A container of the task's image, without compose."""

    @staticmethod
    def type() -> str:
        return "docker-command"

    def _validate_definition(self):
        if not (self.environment_dir / "Dockerfile").exists():
            raise FileNotFoundError("the task has no Dockerfile")

    async def start(self, force_build):
        image = (await self._docker("build", "-q", str(self.environment_dir))).stdout.strip()
        self._container = (await self._docker("run", "-d", "--network", "none", image, "sleep", "3600")).stdout.strip()
        await self.exec("mkdir -p /logs/agent /logs/verifier /logs/artifacts /tests", user="root")

    async def stop(self, delete):
        await self._docker("rm", "-f", self._container)

    async def exec(self, command, cwd=None, env=None, timeout_sec=None, user=None):
        options = [word for pair in ((("-w", cwd),) if cwd else ()) + ((("-u", str(user)),) if user else ()) for word in pair]
        options += [word for name, value in (env or {}).items() for word in ("-e", f"{name}={value}")]
        return await self._docker("exec", *options, self._container, "bash", "-c", command, seconds=timeout_sec, check=False)

    async def upload_file(self, source_path, target_path):
        await self._docker("cp", str(source_path), f"{self._container}:{target_path}")

    async def upload_dir(self, source_dir, target_dir):
        await self._docker("cp", f"{source_dir}/.", f"{self._container}:{target_dir}")

    async def download_file(self, source_path, target_path):
        await self._docker("cp", f"{self._container}:{source_path}", str(target_path))

    async def download_dir(self, source_dir, target_dir):
        Path(target_dir).mkdir(parents=True, exist_ok=True)
        await self._docker("cp", f"{self._container}:{PurePosixPath(source_dir)}/.", str(target_dir))

    async def _docker(self, *words, seconds=None, check=True):
        process = await asyncio.create_subprocess_exec("docker", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, errors = await asyncio.wait_for(process.communicate(), seconds)
        except TimeoutError:
            process.kill()
            raise RuntimeError(f"Command timed out after {seconds} seconds") from None
        if check and process.returncode:
            raise RuntimeError(errors.decode())
        return ExecResult(stdout=out.decode(), stderr=errors.decode(), return_code=process.returncode)


def run_trial(script, folder):
    """Run harbor's command line on the task, and return its result of the trial and the trajectory as its own models read it."""
    (folder / "script.json").write_text(json.dumps(script))
    words = ["run", "-p", str(TASK), "-a", "codagent.adapters.harbor:Codagent", "-m", f"scripted:{folder}/script.json"]
    words += ["-e", "tests.benchmarks.harbor_trial:DockerCommand", "-o", str(folder / "jobs"), "--quiet", "-n", "1"]
    done = subprocess.run([Path(sys.executable).parent / "harbor", *words], cwd=ROOT, text=True, capture_output=True, check=False)
    results = [file for file in (folder / "jobs").rglob("result.json") if file.parent.parent.parent == folder / "jobs"]
    if len(results) != 1:
        raise SystemExit(f"{done.stdout}\n{done.stderr}")
    trial = results[0].parent
    trajectory = Trajectory.model_validate_json((trial / "agent/trajectory.json").read_text())
    return json.loads(results[0].read_text()), trajectory


def main():
    for what, script in (("the task is done", FIX), ("the agent only says so", [FINISH])):
        with tempfile.TemporaryDirectory() as folder:
            result, trajectory = run_trial(script, Path(folder))
            agent = result["agent_result"]
            verdict = result["verifier_result"]["rewards"]
            print(f"{what}: reward {verdict}, claimed {agent['metadata']['claimed']}, {len(trajectory.steps)} steps", end="")
            print(f", {agent['n_input_tokens']} tokens in, {agent['n_output_tokens']} out, exception {result.get('exception_info')}")


if __name__ == "__main__":
    main()
