"""Skills of a repository: which are found, and what the model is told of them."""

from contextlib import closing

import pytest

from codagent.repository.messages.first_message import MessageFacts, write_first_message
from codagent.repository.messages.own import UserInstructions
from codagent.repository.messages.rules import RulesReader
from codagent.repository.messages.skills import MAX_SKILLS, SkillFile, describe_skill, find_skills
from codagent.sandbox.local import LocalSandbox
from codagent.types import Profile, Task

PATH = ".agents/skills/release/SKILL.md"


def test_skills_are_folders_in_two_places_and_the_weightier_wins():
    paths = [PATH, ".claude/skills/release/SKILL.md", ".claude/skills/a-1/SKILL.md", ".agents/skills/Bad/SKILL.md"]
    paths += ["lib/.agents/skills/x/SKILL.md", ".agents/skills/x/y/SKILL.md", ".agents/skills/x/other.md"]
    assert find_skills(paths) == [".claude/skills/a-1/SKILL.md", PATH]
    assert len(find_skills([f".agents/skills/s{number}/SKILL.md" for number in range(99)])) == MAX_SKILLS


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("---\nname: release\ndescription: Makes a release\n---\nbody", f"release: Makes a release ({PATH})"),
        ("---\nlicense: MIT\nname: \"release\"\ndescription: 'a: b'\n---", f"release: a: b ({PATH})"),
        ("---\nname: release\ndescription: >\n  in two\n  lines\n---\n", f"release: in two lines ({PATH})"),
        ("---\nname: release\ndescription: in\n  two lines\nmetadata:\n  a: b\n---\n", f"release: in two lines ({PATH})"),
        ("---\nname: other\ndescription: x\n---\n", ""),
        ("---\nname: release\n---\n", ""),
        ("---\nname: release\ndescription: x\n", ""),
        ("# release\n", ""),
        ("", ""),
    ],
)
def test_the_head_says_what_a_skill_is_for(text, line):
    assert describe_skill(PATH, text) == line


@pytest.fixture
def reader(tmp_path):
    sandboxes = []

    def make(profile):
        for name, text in (("release", "---\nname: release\ndescription: Makes a \x1b[31mrelease\n---\n"), ("odd", "text")):
            folder = tmp_path / ".agents/skills" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "SKILL.md").write_text(text)
        sandboxes.append(LocalSandbox(tmp_path))
        said = []
        return RulesReader(sandboxes[-1], [PATH, ".agents/skills/odd/SKILL.md"], profile, said.append), said

    yield make
    for sandbox in sandboxes:
        sandbox.close()


def test_the_first_message_names_the_skills(reader):
    made, said = reader(Profile())
    facts = MessageFacts(Task("t", "do it"), [PATH], made.read_first())
    assert f"Skills; read the file of one that fits the task before you begin:\nrelease: Makes a release ({PATH})\n" in write_first_message(
        facts, Profile(), None
    )
    assert said == [".agents/skills/odd/SKILL.md is no skill: its head lacks a description, or the name of its folder"]


def test_a_small_model_is_told_of_none(reader):
    made, said = reader(Profile(fill_tokens=1000))
    assert (made.read_first().skills, said) == ([], [])


def skill(name, what):
    return SkillFile(f"{name}/SKILL.md", f"---\nname: {name}\ndescription: {what}\n---\n")


def test_a_persons_own_skills_are_named_after_those_of_the_repository_which_are_nearer(reader):
    made, said = reader(Profile())
    own = UserInstructions("", (skill("release", "Mine"), SkillFile("tidy/scripts/SKILL.md", "x"), skill("tidy", "Tidies \x1b[31mup")))
    assert made.read_first(own).skills == [
        f"release: Makes a release ({PATH})",
        "tidy: Tidies up (.git/codagent-skills/tidy/SKILL.md)",
    ]
    assert said[-1] == f"your own skill release is not offered: the repository has another of this name, {PATH}"


def test_a_persons_own_skills_are_copied_beside_the_work_and_cannot_be_written():
    own = UserInstructions("", (skill("tidy", "Tidies"), SkillFile("tidy/scripts/run.sh", "echo tidied")))
    with closing(LocalSandbox()) as sandbox:
        sandbox.run("git init -q", timeout=9)
        own.copy_skills(sandbox)
        assert sandbox.read(".git/codagent-skills/tidy/SKILL.md").startswith(b"---\nname: tidy\n")
        assert sandbox.run("bash .git/codagent-skills/tidy/scripts/run.sh; git status --short", timeout=9).output == "tidied\n"
        assert sandbox.run("find .git/codagent-skills -type f -perm /222", timeout=9).output == ""


@pytest.mark.parametrize("path", ["SKILL.md", "/etc/SKILL.md", "../x/SKILL.md", "x/../../y", "x/..", "X/SKILL.md", "x//y", "x/", "x/a\0b"])
def test_a_path_that_leads_out_of_a_skills_folder_is_refused(path):
    with pytest.raises(ValueError, match="is no path of a skill's file"):
        SkillFile(path, "text")
