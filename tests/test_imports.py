"""Import weight is a feature: what a command does not need, it does not load."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "docker",
    "requests",
    "git",
    "httpx",
    "httpx2",
    "litellm",
    "prompt_toolkit",
    "xllamacpp",
    "huggingface_hub",
    "torch",
    "rich",
    "jinja2",
    "msgspec",
    "acp",
    "mcp",
    "pydantic",
}
PACKAGES = [Path(__file__).parents[1] / name for name in ("codagent", "train/codagent_train")]


def loaded_by(statement):
    code = f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()[-1].split())


def test_help_loads_nothing_heavy():
    loaded = loaded_by("sys.argv = ['codagent', '--help']; import codagent.cli; codagent.cli.main()")
    assert loaded & HEAVY == set()


def test_the_agent_never_loads_torch():
    assert "torch" not in loaded_by("import codagent.agent.loop, codagent.repository.environment, codagent.models.open")


@pytest.mark.parametrize("module", ["codagent.runner.runner", "codagent.runner.workspace", "codagent.session.session"])
def test_what_works_without_checks_does_not_load_the_gate(module):
    code = f"import {module}, sys\nprint(*[name for name in sys.modules if name.startswith('codagent.repository.gate')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_no_file_has_more_than_250_lines():
    sizes = {path: len(path.read_text().splitlines()) for package in PACKAGES for path in package.rglob("*.py")}
    assert {str(path): size for path, size in sizes.items() if size > 250} == {}
