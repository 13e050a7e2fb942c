"""The files that the agent made and that stay behind in its sandbox, because git ignores them."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Collection, Iterable, Sequence

from codagent.protocols import Sandbox
from codagent.text import strip_controls

_NAMED = 10  # files in a sentence
_LISTED = 1000
# Caches and products of a run or a build, which nobody misses
_CACHE = re.compile(
    r"(^|/)(__pycache__|\.(pytest|mypy|ruff)_cache|\.hypothesis|\.tox|\.nox|\.venv|node_modules|\.cache|\.gradle|\.codagent"
    r"|target/(debug|release)|[^/]*\.egg-info)/|\.(py[co]|o|class)$|(^|/)\.(coverage|DS_Store)$"
)
# The agent may have staged or committed the files, so git is asked with an index of the start commit.
_LIST = """
export GIT_INDEX_FILE="$PWD/.git/codagent-ignored" GIT_OPTIONAL_LOCKS=0
git read-tree BASE 2>/dev/null || git read-tree HEAD || exit 1
{ for file in WRITTEN; do [ -e "$file" ] && printf '%s\\n' "$file"; done
git -c core.quotePath=false ls-files --others --ignored --exclude-standard | grep -vE 'CACHE' | head -n LIMIT
} | git -c core.quotePath=false check-ignore --verbose --stdin
rm -f "$GIT_INDEX_FILE"
"""


def describe_left_behind(sandbox: Sandbox, start_commit: str, written: Iterable[str], submodules: Collection[str] = ()) -> str:
    """Name the files that git ignores and that are not caches, each with the rule that ignores it. "": there are none.

    `written` are the paths that the agent wrote with its tools. They come first, and are named wherever they lie, but not in `submodules`,
    where git does not tell what it ignores.
    """
    elsewhere = ("/", "../", *(f"{path}/" for path in submodules))
    paths = [path for path in map(posixpath.normpath, written) if not path.startswith(elsewhere)]
    script = _LIST.replace("BASE", start_commit).replace("CACHE", _CACHE.pattern).replace("LIMIT", str(_LISTED))
    result = sandbox.run(script.replace("WRITTEN", " ".join(map(shlex.quote, dict.fromkeys(paths)))), timeout=60)
    lines = [line.partition("\t") for line in result.output.splitlines()]
    named = {path: _describe_rule(rule) for rule, tab, path in lines if tab}
    return _describe(list(named.items()))


def _describe(files: Sequence[tuple[str, str]]) -> str:
    if not files:
        return ""
    more = f"; and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    listed = "; ".join(f"{path} ({rule})" for path, rule in files[:_NAMED])
    return strip_controls(f"not in the result, because git ignores it: {listed}{more}")


def _describe_rule(rule: str) -> str:
    """Say where a rule stands: `FILE:LINE:PATTERN`, as git names it."""
    match = re.fullmatch(r"(.*?):(\d+):(.*)", rule)
    if match is None:
        return rule
    file, line, pattern = match.groups()
    return f"{pattern} in the ignore rules of git" if file.endswith("info/exclude") else f"{pattern} in {file}, line {line}"
