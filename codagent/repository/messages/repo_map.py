"""Shows a repository in the first message: its files and, for models that cannot search it themselves, the files that matter."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from pathlib import PurePosixPath

from codagent.protocols import Sandbox
from codagent.repository.messages.excerpt import NO_SUSPECTS, excerpt_python
from codagent.repository.python_source import split_python
from codagent.repository.tools import number_lines
from codagent.text import BYTES_PER_TOKEN, escape_name, join_names, utf8_size

LISTED_FILES, LISTED_SUBMODULES = 60, 20
MOST_FILES = 3
# Where functions are suspected, less is shown: a small model does better with a few likely functions, and reads them sooner.
SUSPECT_TOKENS = 1_000
WHOLE_BYTES = 1_500  # of a file that is shown whole
LEAST_SUSPECT = 0.5  # of the highest weight, for a file to be shown
MOST_WORDS = 60  # of the task and the checks' output that are searched for
MOST_OF_IT = 0.5  # score of a text from which its file is likely, whatever its name says
_TEST = re.compile(r"(^|/)(tests?|spec)(/|_)|(^|/)test_|_test\.|\.spec\.|conftest")
_NOT_FAILED = re.compile(r"^(SKIPPED|XFAIL|XPASS|PASSED)\b.*$", re.MULTILINE)  # lines of pytest that name other tests than those that fail
_TEXTS = (".md", ".rst", ".txt", ".adoc", ".html")  # may quote code, and are not what a task wants changed
_DEFINITION = r"^[[:space:]]*(async )?(export )?(def|class|function|func|fn|struct|interface) +[A-Za-z_][A-Za-z0-9_]*"


def list_files(paths: Sequence[str], submodules: Sequence[str] = ()) -> str:
    """List all files of a small repository. Of a large one, list its folders with their number of files. Submodules come last."""
    named = f"Submodules, which are read only, because changes in them are not kept: {join_names(submodules, LISTED_SUBMODULES)}"
    return f"{_list_files(paths)}\n{named}" if submodules else _list_files(paths)


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file as the first message shows it."""

    path: str
    text: str
    whole: bool = True  # False: the text has parts of it


def select_files(
    sandbox: Sandbox,
    paths: Sequence[str],
    about: str,
    max_tokens: int,
    suspicions: Mapping[str, Mapping[int, int]] = NO_SUSPECTS,
    *,
    numbered: bool = False,
) -> tuple[ShownFile, ...]:
    """Return the files that `about` (the task and the checks' output) is most likely about, best first, as many as fit.

    `suspicions` have a weight for functions that may have the bug, by path and first line. `numbered` puts their numbers before the lines,
    which count only for the files that follow. Of a Python file that does not fit whole, parts
    are shown. Tests are left out unless there is nothing else: the checks' output already shows the part of them that matters.
    """
    about = _NOT_FAILED.sub("", about)
    defined = _find_definitions(sandbox)
    content = _score_content(sandbox, about, [path for path in paths if path in defined])
    ranked = _rank(paths, about, defined, content, {path: max(weights.values()) for path, weights in suspicions.items()})
    left = (min(max_tokens, SUSPECT_TOKENS) if suspicions else max_tokens) * BYTES_PER_TOKEN
    chosen = []
    for path in ranked[:MOST_FILES]:
        try:
            text = sandbox.read(path).decode(errors="replace")
        except OSError:
            continue
        weights, is_python = suspicions.get(path, NO_SUSPECTS), path.endswith(".py")
        if utf8_size(text) > min(left, WHOLE_BYTES if weights else left):
            file = ShownFile(path, excerpt_python(path, text, about, left, weights, numbered=numbered) if is_python else "", whole=False)
        else:
            file = ShownFile(path, "".join(number_lines(split_python(text))) if numbered else text)
        if file.text or file.whole:
            chosen.append(file)
            left -= utf8_size(file.text)
    return tuple(chosen)


def _list_files(paths: Sequence[str]) -> str:
    if not paths:
        return "The repository is empty."
    if len(paths) <= LISTED_FILES:
        return "Files:\n" + "\n".join(map(escape_name, paths))
    folders = Counter("/".join(PurePosixPath(path).parts[:2][: max(1, path.count("/"))]) if "/" in path else path for path in paths)
    lines = [f"{folder}/ ({count} files)" if count > 1 else folder for folder, count in sorted(folders.items())[:LISTED_FILES]]
    more = len(folders) - len(lines)
    return f"{len(paths):,} files:\n" + "\n".join(map(escape_name, lines)) + (f"\n… and {more} more" if more else "")


def _rank(
    paths: Sequence[str], about: str, defined: Mapping[str, set[str]], content: Mapping[str, float], suspicions: Mapping[str, int]
) -> list[str]:
    """Order the files that define something and are likely.

    These are files with suspects, the likeliest first, then those whose names are named, and those with most of the words in their text.
    Beside files with suspects there are only those whose path is named, and the likeliest of the others.
    """
    words = set(re.findall(r"[A-Za-z_]\w+", about))
    named = {path: _score(path, about, words, defined[path]) for path in paths if path in defined}
    total = {path: score + content.get(path, 0.0) for path, score in named.items()}
    sources = [path for path, score in total.items() if score and not _TEST.search(path)] or [
        path for path, score in total.items() if score
    ]
    most_named = max((named[path] for path in sources), default=0)
    least = most_named / 2 if most_named else max((total[path] for path in sources), default=0.0) / 2
    scores = named if most_named else total
    likely = [path for path in sources if scores[path] >= least > 0 or content.get(path, 0.0) >= MOST_OF_IT]
    if suspicions:
        least_weight = LEAST_SUSPECT * max(suspicions.values())
        others = sorted((path for path in likely if path not in about), key=lambda path: -total[path])
        suspected = {path for path, weight in suspicions.items() if path in defined and weight >= least_weight}
        likely = [*suspected.union(others[:1], (path for path in likely if path in about))]
    return sorted(likely, key=lambda path: (-suspicions.get(path, 0), -total[path], path))


def _score(path: str, about: str, words: set[str], defined: set[str]) -> int:
    """Score a file: 4 if `about` has its path, 3 if it names its test, 2 if it has a similar word, 1 for each of its definitions named."""
    stem = PurePosixPath(path).stem.strip("_")
    test = re.compile(rf"test_{re.escape(stem)}\b|\b{re.escape(stem)}(_test|\.test|\.spec)\b")
    alike = len(stem) > 3 and any(word.lower().startswith(stem.lower()[:-1]) for word in words)
    return 4 * (path in about) + 3 * bool(test.search(about)) + 2 * alike + len(words & defined)


def _find_definitions(sandbox: Sandbox) -> dict[str, set[str]]:
    """Return the names that each file defines. It recognises the definitions of most languages."""
    result = sandbox.run(f"git grep -IoE '{_DEFINITION}' -- . | head -n 20000", timeout=20)
    names: dict[str, set[str]] = {}
    for line in result.output.splitlines():
        path, _, definition = line.partition(":")
        if definition and not path.lower().endswith(_TEXTS):
            names.setdefault(path, set()).add(definition.split()[-1])
    return names


def _score_content(sandbox: Sandbox, about: str, paths: Sequence[str]) -> dict[str, float]:
    """Score the text of files from 0 to 1: the share of the words of `about` that it has. A word counts more when few files have it.

    Words are compared by their beginnings, so that "step" finds "steps".
    """
    words = dict.fromkeys(word.lower() for word in re.findall(r"[A-Za-z_]\w{3,}", about, re.ASCII))
    stems = list(dict.fromkeys(word[: max(4, len(word) - 2)] for word in words))[:MOST_WORDS]
    if not stems or not paths:
        return {}
    result = sandbox.run(f"git grep -Iiowe '({'|'.join(stems)})[A-Za-z0-9_]*' -E -- . | head -n 50000", timeout=20)
    having: defaultdict[str, set[str]] = defaultdict(set)  # which files have a word
    for line in set(result.output.splitlines()):  # a file has most of its words many times
        path, _, match = line.partition(":")
        for stem in stems:
            if match.lower().startswith(stem):
                having[stem].add(path)
    weights = {stem: log(1 + len(paths) / len(files)) for stem, files in having.items()}
    total = sum(weights.values()) or 1.0
    return {path: sum(weight for stem, weight in weights.items() if path in having[stem]) / total for path in paths}
