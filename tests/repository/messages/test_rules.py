"""The instructions for agents, read from the local sandbox."""

import os

import pytest

from codagent.repository.messages.own import UserInstructions
from codagent.repository.messages.rules import MAX_FILES, MAX_IMPORTS, MAX_RULES_BYTES, RulesReader
from codagent.sandbox.local import LocalSandbox
from codagent.types import Profile


@pytest.fixture
def repository(tmp_path):
    """Makes a reader of a repository with some files. What it says is in the list `said`."""
    root = tmp_path / "workspace"
    root.mkdir()
    sandboxes = []

    def make(files, *, links=(), profile=None, said=None):
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
        for path, target in dict(links).items():
            (root / path).symlink_to(target)
        sandboxes.append(LocalSandbox(root))
        say = said.append if said is not None else lambda _: None
        return RulesReader(sandboxes[-1], sorted([*files, *dict(links)]), profile or Profile(), say)

    yield make
    for sandbox in sandboxes:
        sandbox.close()


def test_a_repository_without_instructions_shows_none(repository):
    said = []
    rules = repository({"main.py": "x = 1\n"}, said=said).read_first()
    assert (rules.user, rules.files, rules.nested, said) == ("", {}, [], [])


def test_what_was_read_is_said_in_one_line(repository):
    said = []
    rules = repository({"AGENTS.md": "be kind\n", "CLAUDE.md": "see @docs/style.md.\n", "docs/style.md": "be brief\n"}, said=said)
    first = rules.read_first(UserInstructions("be quick\n"))
    assert first.user == "be quick"
    assert first.files == {"AGENTS.md": "be kind", "CLAUDE.md": "see @docs/style.md.", "docs/style.md": "be brief"}
    assert said == ["instructions read: your own AGENTS.md, AGENTS.md, CLAUDE.md, docs/style.md"]


@pytest.mark.parametrize("text", ["be kind", "@AGENTS.md\n", "  @./AGENTS.md"])
def test_a_claude_file_that_says_the_same_is_not_shown(repository, text):
    said = []
    first = repository({"AGENTS.md": "be kind\n", "CLAUDE.md": text}, said=said).read_first()
    assert first.files == {"AGENTS.md": "be kind"}
    assert said == ["instructions read: AGENTS.md"]


def test_a_claude_file_that_is_a_link_to_the_other_is_not_shown(repository):
    assert repository({"AGENTS.md": "be kind"}, links={"CLAUDE.md": "AGENTS.md"}).read_first().files == {"AGENTS.md": "be kind"}


class TestImports:
    """`@path` in CLAUDE.md."""

    def test_they_are_relative_to_the_file_that_imports(self, repository):
        files = {"CLAUDE.md": "@docs/all.md", "docs/all.md": "@style.md and more", "docs/style.md": "be brief", "style.md": "no"}
        assert list(repository(files).read_first().files) == ["docs/all.md", "docs/style.md"]

    def test_an_agents_file_has_none(self, repository):
        assert list(repository({"AGENTS.md": "ask @owners", "owners": "me"}).read_first().files) == ["AGENTS.md"]

    def test_a_cycle_ends(self, repository):
        files = {"CLAUDE.md": "one @a.md @CLAUDE.md", "a.md": "two @b.md", "b.md": "three @a.md @CLAUDE.md"}
        assert list(repository(files).read_first().files) == ["CLAUDE.md", "a.md", "b.md"]

    def test_a_chain_is_followed_so_far_and_no_farther(self, repository):
        files = {"CLAUDE.md": "start @1.md"} | {f"{n}.md": f"step {n} @{n + 1}.md" for n in range(1, 9)}
        assert list(repository(files).read_first().files) == ["CLAUDE.md", *(f"{n}.md" for n in range(1, MAX_IMPORTS + 1))]

    def test_so_many_files_are_read_and_no_more(self, repository):
        files = {f"{n}.md": f"text {n}" for n in range(2 * MAX_FILES)}
        assert len(repository({"CLAUDE.md": " ".join(f"@{name}" for name in files), **files}).read_first().files) == MAX_FILES - 1

    @pytest.mark.parametrize(
        "word", ["@../secret.md", "@/etc/passwd", "@~/secret.md", "@link.md", "me@docs.md", "`@docs.md`", "@.git/config"]
    )
    def test_nothing_outside_the_repository_or_in_code_is_imported(self, repository, tmp_path, word):
        (tmp_path / "secret.md").write_text("a key")
        files = {"CLAUDE.md": f"see {word} and\n```\n@docs.md\n```\n", "docs.md": "x"}
        assert list(repository(files, links={"link.md": "../secret.md"}).read_first().files) == ["CLAUDE.md"]


@pytest.mark.parametrize("target", ["../secret.md", "/etc/passwd", "/dev/zero", ".", "AGENTS.md", "nothing", "pipe"])
def test_only_a_regular_file_inside_the_repository_is_read(repository, tmp_path, target):
    (tmp_path / "secret.md").write_text("a key")
    os.mkfifo(tmp_path / "workspace" / "pipe")
    said = []
    first = repository({"CLAUDE.md": "be kind"}, links={"AGENTS.md": target}, said=said).read_first()
    assert first.files == {"CLAUDE.md": "be kind"}
    assert said == ["AGENTS.md was not read: it is not a text file inside the repository", "instructions read: CLAUDE.md"]


def test_a_link_inside_the_repository_is_followed(repository):
    assert repository({"docs/rules": "be kind"}, links={"AGENTS.md": "docs/rules"}).read_first().files == {"AGENTS.md": "be kind"}


def test_a_folder_of_that_name_is_no_instruction(repository):
    reader = repository({"AGENTS.md/readme": "x", "CLAUDE.md": "be kind"})
    assert reader.read_first().files == {"CLAUDE.md": "be kind"}


def test_a_file_that_the_sandbox_has_a_folder_for_is_said(repository, tmp_path):
    said = []
    reader = repository({"AGENTS.md": "x"}, said=said)
    (tmp_path / "workspace/AGENTS.md").unlink()
    (tmp_path / "workspace/AGENTS.md").mkdir()
    assert reader.read_first().files == {}
    assert said == ["AGENTS.md was not read: it is not a text file inside the repository"]


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"be k\xefnd\n", "be k\ufffdnd"),
        (b"\xef\xbb\xbfbe kind\r\n", "be kind"),
        (b"\x1b[31mbe\x1b[0m k\xe2\x80\xaeind", "be k\\u202eind"),
        (b" \n", None),
        (b"\xff\xfeb\0e\0", None),
    ],
)
def test_odd_bytes_do_no_harm(repository, content, shown):
    assert repository({"AGENTS.md": content}).read_first().files.get("AGENTS.md") == shown


@pytest.mark.parametrize("content", ["a line of text\n" * 70_000, "é" * 500_000])
def test_a_file_of_a_megabyte_is_cut(repository, content):
    said = []
    text = repository({"AGENTS.md": content}, said=said).read_first().files["AGENTS.md"]
    assert MAX_RULES_BYTES - 4 < len(text.encode()) <= MAX_RULES_BYTES
    assert text == content[: len(text) - 27] + "\n[… the rest is left out …]"
    assert said[0] == "only the beginning of AGENTS.md was read: there is no room for more instructions"


def test_all_instructions_share_the_room(repository):
    said = []
    files = {"AGENTS.md": "a" * 20_000, "CLAUDE.md": "c" * 20_000, "pkg/AGENTS.md": "p" * 300}
    reader = repository(files, said=said)
    first = reader.read_first(UserInstructions("u" * 10_000))
    assert [len(first.user), len(first.files["AGENTS.md"])] == [10_000, 20_000]
    assert sum(len(text.encode()) for text in (first.user, *first.files.values())) == MAX_RULES_BYTES
    assert reader.extend_answer("ok", ["pkg/x.py"]) == "ok"
    assert said[-1] == "pkg/AGENTS.md was not read: there is no room for more instructions"


def test_a_model_with_a_short_context_is_shown_less(repository):
    reader = repository({"AGENTS.md": "a" * 20_000}, profile=Profile(context_tokens=4_000))
    assert len(reader.read_first().files["AGENTS.md"].encode()) == 3_000


NESTED = {
    "AGENTS.md": "root",
    "pkg/AGENTS.md": "of the package",
    "pkg/deep/CLAUDE.md": "of the depth, @more.md",
    "pkg/deep/more.md": "and more",
}


class TestNested:
    """Instructions of folders below the root."""

    def test_they_are_named_at_first(self, repository):
        first = repository(NESTED).read_first()
        assert (first.files, first.nested) == ({"AGENTS.md": "root"}, ["pkg/AGENTS.md", "pkg/deep/CLAUDE.md"])

    def test_the_nearest_is_appended_once(self, repository):
        said = []
        reader = repository(NESTED, said=said)
        reader.read_first()
        assert reader.extend_answer("ok 1", ["main.py"]) == "ok 1"
        deep = "The repository's own instructions (pkg/deep/CLAUDE.md):\nof the depth, @more.md"
        more = "The repository's own instructions (pkg/deep/more.md):\nand more"
        assert reader.extend_answer("ok 2", ["pkg/deep/x.py"]) == f"ok 2\n\n{deep}\n\n{more}"
        assert reader.extend_answer("ok 3", ["pkg/deep/y.py"]) == "ok 3"
        assert reader.extend_answer("ok 4", ["pkg/x.py"]) == "ok 4\n\nThe repository's own instructions (pkg/AGENTS.md):\nof the package"
        assert said[1:] == ["instructions read: pkg/deep/CLAUDE.md, pkg/deep/more.md", "instructions read: pkg/AGENTS.md"]

    @pytest.mark.parametrize("path", ["pkg", "./pkg/x", "/pkg/x", "/workspace/pkg/x", "pkg/deep/../x", "pkg/new/x"])
    def test_a_path_may_be_written_in_many_ways(self, repository, path):
        assert "of the package" in repository(NESTED).extend_answer("ok", [path])

    @pytest.mark.parametrize("path", ["", ".", "..", "../pkg/x", "pkgs/x", "/etc/pkg/x", "x/pkg/y", "\0", "/" * 10_000, "a/" * 50_000])
    def test_other_paths_touch_nothing(self, repository, path):
        assert repository(NESTED).extend_answer("ok", [path]) == "ok"

    def test_an_answer_that_has_the_text_is_left_as_it_is(self, repository):
        answer = "ok pkg/AGENTS.md, lines 1-1 of 1\nof the package"
        assert repository(NESTED).extend_answer(answer, ["pkg/AGENTS.md"]) == answer

    def test_the_text_of_the_root_is_not_shown_again(self, repository):
        reader = repository({"AGENTS.md": "root", "pkg/x.py": ""}, links={"pkg/AGENTS.md": "../AGENTS.md"})
        reader.read_first()
        assert reader.extend_answer("ok", ["pkg/x.py"]) == "ok"
