"""The user's own skills, through the installed command."""

import json

import pytest

from tests.cli.conftest import CHECK, FIX, IDLE

LOCAL = ("--sandbox", "local")
HEAD = "---\nname: tidy\ndescription: Tidies up\n---\n"
OFFERED = "tidy: Tidies up (.git/codagent-skills/tidy/SKILL.md)\n"
READ = [{"calls": [{"name": "bash", "arguments": {"command": "cat .git/codagent-skills/tidy/steps.txt; git status --short"}}]}, *IDLE]


@pytest.fixture
def skill(tmp_path):
    folder = tmp_path / "config/codagent/skills/tidy"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(HEAD)
    (folder / "steps.txt").write_text("first this\n")
    return folder


def test_they_are_offered_and_can_be_read_in_the_sandbox(codagent, script, skill):
    done = codagent("run", "x", "--model", script(READ), *LOCAL)
    assert done.returncode == 0, done.stderr
    shown = codagent("show", "--full").stdout
    assert (OFFERED in shown, "first this\n" in shown, "?? " in shown) == (True, True, False)


def test_a_skill_of_the_repository_is_nearer_and_both_are_named(codagent, script, skill, repository):
    theirs = repository / ".claude/skills/tidy/SKILL.md"
    theirs.parent.mkdir(parents=True)
    theirs.write_text(HEAD.replace("Tidies", "Cleans"))
    done = codagent("run", "x", "--model", script(IDLE), *LOCAL)
    assert "your own skill tidy is not offered: the repository has another of this name, .claude/skills/tidy/SKILL.md\n" in done.stderr
    shown = codagent("show", "--full").stdout
    assert ("Cleans up (.claude/skills/tidy/SKILL.md)" in shown, "Tidies up" in shown) == (True, False)


def test_a_loop_that_goes_on_and_a_replay_keep_those_that_it_began_with(codagent, script, skill):
    arguments = ("--model", script([*READ, *FIX]), "--check", CHECK, "--rewrite", "never", "--iterations", "1", "--json", *LOCAL)
    loop_id = json.loads(codagent("loop", "x", *arguments).stdout)["id"]
    (skill / "steps.txt").write_text("other\n")
    done = codagent("replay", *LOCAL)
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "the same"), done.stdout + done.stderr
    assert codagent("loop", "--resume", loop_id, "--iterations", "2", *LOCAL).returncode == 0
    shown = codagent("show", "--full").stdout
    assert (shown.count(OFFERED), "other\n" in shown) == (2, False)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("SKILL.md", b"# tidy\n", "its head lacks a description, or the name of its folder"),
        ("picture.png", b"\0", "picture.png is no text"),
        ("latin.txt", b"\xe9", "latin.txt is no text in UTF-8"),
        ("long.txt", b"x" * 300_000, "your skills have more than 256 KiB with long.txt"),
    ],
)
def test_a_skill_that_cannot_be_used_is_left_out_with_a_warning(codagent, script, skill, name, content, why):
    (skill / name).write_bytes(content)
    done = codagent("run", "x", "--model", script(IDLE), *LOCAL)
    assert f"your own skill tidy is left out: {why}\n" in done.stderr
    assert "codagent-skills" not in codagent("show", "--full").stdout


def test_a_link_to_a_skill_elsewhere_is_followed_and_links_in_it_are_not(codagent, script, skill, tmp_path):
    elsewhere = skill.rename(tmp_path / "elsewhere")
    (elsewhere / "link.txt").symlink_to("/etc/passwd")
    skill.symlink_to(elsewhere)
    listing = [{"calls": [{"name": "bash", "arguments": {"command": "ls .git/codagent-skills/tidy"}}]}, *IDLE]
    codagent("run", "x", "--model", script(listing), *LOCAL)
    shown = codagent("show", "--full").stdout
    assert (OFFERED in shown, "SKILL.md\nsteps.txt\n" in shown, "link.txt" in shown) == (True, True, False)
