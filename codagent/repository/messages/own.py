"""What a person has for agents in all repositories, beside the user file: rules, and skills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codagent.protocols import Sandbox
from codagent.repository.messages.skills import SkillFile
from codagent.text import encode_text

USER_FOLDER = ".git/codagent-skills"  # in a sandbox: git never takes what is there for work


@dataclass(frozen=True, slots=True)
class UserInstructions:
    """What a person has for agents in all repositories."""

    rules: str = ""  # "": there are none
    skills: Sequence[SkillFile] = ()  # all files of all skills

    def copy_skills(self, sandbox: Sandbox) -> None:
        """Copy the skills into a sandbox that has the files of the repository. The copies can be read and run, and not written."""
        for file in self.skills:
            sandbox.write(f"{USER_FOLDER}/{file.path}", encode_text(file.text))
        if self.skills:
            sandbox.run(f"find {USER_FOLDER} -type f -exec chmod 555 {{}} +", timeout=10)


NOTHING_OWN = UserInstructions()
