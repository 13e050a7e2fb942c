"""The two steps of the action: `work` runs a loop on what a person asked for, `publish` pushes its branch and opens a pull request.

It needs no package. What people write on GitHub reaches no shell: it is read from the event's file and given to codagent in a file.
codagent is installed from the commit that the workflow names in `uses:`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

WORD = "/codagent"  # a comment that begins with this asks for work; an issue asks for work by its label
LABEL = "codagent"
HERE = Path(__file__).resolve()


def read_event() -> dict:
    """Return what happened, as GitHub tells it."""
    return json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))


def find_request(event: dict, allowed: set[str]) -> str:
    """Return what is to be done. "": the event asks for nothing, or its author may not ask.

    The comment and the issue itself both have to be by somebody who may ask: the model reads both.
    """
    issue, comment = event.get("issue") or {}, event.get("comment")
    authors = {part.get("author_association") for part in (issue, comment) if part}
    if not authors or not authors <= allowed or event.get("action") not in ("created", "labeled"):
        return ""
    text = f"{issue.get('title') or ''}\n\n{issue.get('body') or ''}".strip()
    if comment:
        said = (comment.get("body") or "").strip()
        asks = said == WORD or said.startswith((f"{WORD} ", f"{WORD}\n"))
        return f"{text}\n\n{said.removeprefix(WORD).strip()}".strip() if asks else ""
    return text if (event.get("label") or {}).get("name") == LABEL else ""


def write_outputs(**values: str) -> None:
    """Hand values to the steps that follow. None of them has a line end."""
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())


def work() -> int:
    """Install codagent and run a loop. Returns 0 when there is a result, also a failed one; else codagent's exit code."""
    request = find_request(read_event(), set(os.environ["ALLOWED"].split()))
    if not request:
        print("nobody who may ask has asked for work")
        write_outputs(outcome="skipped", branch="")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.md"
        task.write_text(request, encoding="utf-8")
        words = [str(task), "--check", os.environ["CHECK"], "--model", os.environ["MODEL"], *shlex.split(os.environ["ARGUMENTS"])]
        done = subprocess.run([install(Path(folder)), "loop", *words, "--json"], stdout=subprocess.PIPE, text=True, check=False)
    told = json.loads(done.stdout or "{}")
    write_outputs(outcome=str(told.get("outcome") or "error"), branch=str(told.get("branch") or ""))
    return 0 if told.get("id") else done.returncode or 1


def install(folder: Path) -> str:
    """Install codagent into a virtual environment, and return its command. CODAGENT names one that is there already."""
    if given := os.environ.get("CODAGENT"):
        return given
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run([folder / "venv/bin/python", "-m", "pip", "install", "--quiet", HERE.parents[3]], check=True)
    return str(folder / "venv/bin/codagent")


def publish() -> int:
    """Push the branch and open a pull request; a draft when the checks do not pass."""
    event, branch, outcome = read_event(), os.environ["BRANCH"], os.environ["OUTCOME"]
    number = int(event["issue"]["number"])
    server, repository = os.environ.get("GITHUB_SERVER_URL", "https://github.com"), os.environ["GITHUB_REPOSITORY"]
    helper = "credential.helper=!f() { echo username=x-access-token; echo password=$GH_TOKEN; }; f"  # the token is in no command line
    subprocess.run(["git", "-c", helper, "push", f"{server}/{repository}.git", f"refs/heads/{branch}:refs/heads/{branch}"], check=True)
    title = f"codagent: {' '.join((event['issue'].get('title') or f'issue {number}').split())[:80]}"
    body = f"For #{number}. Outcome of the loop: {outcome}. Read the change before you merge it."
    draft = [] if outcome == "passed" else ["--draft"]
    return subprocess.run(["gh", "pr", "create", "--head", branch, "--title", title, "--body", body, *draft], check=False).returncode


if __name__ == "__main__":
    sys.exit({"work": work, "publish": publish}[sys.argv[1]]())
