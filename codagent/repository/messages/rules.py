"""The instructions that people write for agents: the user's own, and the files AGENTS.md and CLAUDE.md of a repository.

A repository's files are read from the sandbox. They may be links, folders, binary or of any size: only a regular file inside the
repository is read, and no more of it than may be shown.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from codagent.protocols import Sandbox
from codagent.repository.messages.own import NOTHING_OWN, USER_FOLDER, UserInstructions
from codagent.repository.messages.skills import MAX_HEAD_BYTES, SKILL_FILE, SkillFile, describe_skill, find_skills, name_skill
from codagent.sandbox.definition import WORKSPACE
from codagent.text import BYTES_PER_TOKEN, encode_text, sanitize, utf8_size
from codagent.types import Profile

RULES_FILES = ("AGENTS.md", "CLAUDE.md")  # of a folder, the weightier first
MAX_RULES_BYTES = 32 * 1024  # of all the instructions of an attempt; for a model with a short context, a quarter of the context
MAX_FILES = 50  # that an attempt reads
MAX_IMPORTS = 5  # in a chain of files that import each other
_LEAST_BYTES = 200  # instructions of which less would be shown are left out
_CUT = "\n[… the rest is left out …]"
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)  # of Markdown, where "@" imports nothing
_IMPORT = re.compile(r"(?<!\S)@(\S*[^\s.,;:!?)])")  # without the sentence's punctuation after the path


@dataclass(frozen=True, slots=True)
class Rules:
    """The instructions that the first message shows."""

    user: str = ""  # the user's own; "": there are none
    files: Mapping[str, str] = field(default_factory=dict)  # text by path, of the files in the root and of what they import
    skills: Sequence[str] = ()  # a line for each skill, of the repository first
    nested: Sequence[str] = ()  # paths of the files whose text is shown when a tool touches something in their folder


class RulesReader:
    """Reads the instructions for one attempt. Each file is read once, and the same text is shown once."""

    def __init__(self, sandbox: Sandbox, paths: Sequence[str], profile: Profile, say: Callable[[str], object]) -> None:
        """`paths` are the files of the repository. `say` is told what was read, and what could not be read."""
        self._sandbox, self._paths, self._say = sandbox, frozenset(paths), say
        self._nested = [path for path in paths if "/" in path and posixpath.basename(path) in RULES_FILES]
        self._told_skills = not profile.fill_tokens  # a small model is told of none: it does not read files by itself
        self._folders = {posixpath.dirname(path) for path in self._nested}
        self._left = min(MAX_RULES_BYTES, profile.context_tokens * BYTES_PER_TOKEN // 4)
        self._read: set[str] = set()  # paths
        self._texts: set[str] = set()
        self._names: dict[str, str] = {}  # of the repository's skills, with the paths of their files

    def read_first(self, own: UserInstructions = NOTHING_OWN) -> Rules:
        """Read what the first message shows. `own` is what the person has beside the repository."""
        user = self._fit("your own AGENTS.md", sanitize(own.rules).strip())
        files = self._read_folder("")
        self._report([*(["your own AGENTS.md"] if user else []), *files])
        skills = [*self._read_skills(), *self._describe_own(own.skills)] if self._told_skills else []
        return Rules(user, files, skills, self._nested)

    def _read_skills(self) -> Iterator[str]:
        """Yield a line for each skill of the repository."""
        for path in find_skills(self._paths):
            line = describe_skill(path, self._read_text(path, MAX_HEAD_BYTES))
            if line:
                self._names[name_skill(path)] = path
                yield from self._fit_line(path, line)
            else:
                self._say(f"{path} is no skill: its head lacks a description, or the name of its folder")

    def _describe_own(self, files: Iterable[SkillFile]) -> Iterator[str]:
        """Yield a line for each skill of the person. The repository's skill of the same name is nearer, so it is offered alone."""
        for file in files:
            name, path = name_skill(file.path), f"{USER_FOLDER}/{file.path}"
            if path != f"{USER_FOLDER}/{name}/{SKILL_FILE}":
                continue
            if name in self._names:
                self._say(f"your own skill {name} is not offered: the repository has another of this name, {self._names[name]}")
            else:
                yield from self._fit_line(path, sanitize(describe_skill(path, file.text)))

    def _fit_line(self, path: str, line: str) -> Iterator[str]:
        """Yield a line if there is room for all of it."""
        if line and self._fit(path, line) == line:
            yield line

    def extend_answer(self, answer: str, touched: Iterable[str]) -> str:
        """Append to a tool's answer the instructions that are nearest to the paths that it touched, if they were not shown before."""
        texts: dict[str, str] = {}
        for path in touched:
            if folder := self._find_folder(path):
                texts |= {path: text for path, text in self._read_folder(folder).items() if text not in answer}
        self._report(list(texts))
        return "\n\n".join([answer, describe_rules(texts)]) if texts else answer

    def _find_folder(self, path: str) -> str:
        """Return the nearest folder below the root that has instructions for a path. "": none has."""
        path = posixpath.normpath(path).removeprefix(f"{WORKSPACE}/").lstrip("/") + "/"
        return max((folder for folder in self._folders if path.startswith(f"{folder}/")), key=len, default="")

    def _read_folder(self, folder: str) -> dict[str, str]:
        """Read the instructions of a folder, "" for the root. Returns the texts by path, without those that were read before."""
        texts: dict[str, str] = {}
        for name in RULES_FILES:
            path = posixpath.join(folder, name)
            if path in self._paths:
                self._add(path, texts, depth=0)
        return texts

    def _add(self, path: str, texts: dict[str, str], *, depth: int) -> None:
        """Read a file and what it imports into `texts`. A file that only imports others, as `@AGENTS.md`, has no text of its own."""
        if path in self._read or len(self._read) == MAX_FILES:
            return
        self._read.add(path)
        text = self._read_text(path)
        imports = self._find_imports(path, text) if depth or posixpath.basename(path) == "CLAUDE.md" else []
        if text not in self._texts and len(imports) < len(text.split()) and (fitting := self._fit(path, text)):
            texts[path] = fitting
        self._texts.add(text)
        for imported in imports if depth < MAX_IMPORTS else []:
            self._add(imported, texts, depth=depth + 1)

    def _read_text(self, path: str, max_bytes: int = MAX_RULES_BYTES + 1) -> str:
        """Read the beginning of a file. "": it is empty or cannot be read."""
        inside = f'file=$(readlink -f -- {shlex.quote(path)}) && [[ -f $file && $file == "$(pwd -P)"/* ]]'
        result = self._sandbox.run(f'{inside} && head -c {max_bytes} -- "$file"', timeout=10)
        if result.exit_code or "\0" in result.output:
            self._say(f"{path} was not read: it is not a text file inside the repository")
            return ""
        return sanitize(result.output.removeprefix("\ufeff")).strip()

    def _find_imports(self, path: str, text: str) -> list[str]:
        """Return the files of the repository that `@name` imports in the text of the file `path`, relative to its folder."""
        names = _IMPORT.findall(_CODE.sub("", text))
        files = [posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) for name in names]
        return [file for file in files if file in self._paths]

    def _fit(self, name: str, text: str) -> str:
        """Return as much of a text as may still be shown. "": nothing of it."""
        data = encode_text(text)
        if len(data) > self._left:
            if self._left < _LEAST_BYTES:
                self._say(f"{name} was not read: there is no room for more instructions")
                return ""
            self._say(f"only the beginning of {name} was read: there is no room for more instructions")
            data = data[: self._left - len(_CUT.encode())]
            text = data.decode(errors="ignore") + _CUT
        self._left -= utf8_size(text)
        return text

    def _report(self, names: Sequence[str]) -> None:
        if names:
            self._say(f"instructions read: {', '.join(names)}")


def describe_rules(files: Mapping[str, str]) -> str:
    """Show instructions of the repository to a model, by their paths."""
    return "\n\n".join(f"The repository's own instructions ({path}):\n{text}" for path, text in files.items())
