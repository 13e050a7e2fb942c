"""The environment of a repository, on the local sandbox."""

import json
import subprocess
from dataclasses import replace

import pytest

from codagent.protocols import ignore_text
from codagent.repository import git
from codagent.repository.environment import RepositoryContext, RepositoryEnvironment
from codagent.repository.gate import Gates
from codagent.repository.messages.answers import FINISH_NOW, NUDGE, UNCHECKED
from codagent.repository.messages.own import NOTHING_OWN, UserInstructions
from codagent.sandbox.local import LocalSandbox
from codagent.store.ledger import Ledger
from codagent.types import Episode, Limits, Message, Observation, Profile, Task, ToolCall

CHECK = "grep -q right answer.txt"
SMALL = Profile(tools=("write", "finish"), fill_tokens=500, checks_after_write=True)


@pytest.fixture
def environment(tmp_path):
    """Makes one with a profile; everything is closed at the end."""
    root = tmp_path / "repository"
    root.mkdir()
    (root / "answer.txt").write_text("wrong\n")
    (root / "answer.py").write_text("def answer(): ...\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    made = []

    def make(profile=None, *, limits=None, start="best", earlier=(), files=None, links=None, say=ignore_text, own=NOTHING_OWN):
        for name, text in (files or {}).items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        for name, target in (links or {}).items():
            (root / name).symlink_to(target)
        taken = git.snapshot(root).commit
        gates = Gates(root, taken, LocalSandbox)
        ledger = Ledger(None, limits or Limits(), None)
        packed = git.pack(root, taken)
        place = RepositoryContext(root, taken, taken, packed, LocalSandbox, "loop-1", ledger, lambda: gates, start, limits, say, own)
        made.append(RepositoryEnvironment(place, profile or Profile(), earlier))
        return made[-1]

    yield make
    for one in made:
        one.close()


def calls(*wanted):
    return Message("assistant", "", tuple(ToolCall(f"c{n}", name, json.dumps(arguments)) for n, (name, arguments) in enumerate(wanted)))


def test_the_prompt_is_rules_then_task_checks_and_files(environment):
    system, first = environment().reset(Task("t", "put it right", (CHECK,)), "")
    assert system.content.startswith("You are codagent")
    assert first.content == f"Task: put it right\n\nThese checks decide: `{CHECK}`\n\nFiles:\nanswer.py\nanswer.txt"


def test_a_small_model_sees_the_files_what_the_checks_print_and_the_form_of_its_answer(environment):
    _, first = environment(SMALL).reset(Task("t", "answer is wrong", ("echo looked; false",)), "")
    parts = ["answer.py:\n```\ndef answer(): ...\n```", "looked", "Task: answer is wrong", "```write answer.py block"]
    assert [first.content.index(part) for part in parts] == sorted(first.content.index(part) for part in parts)


def test_a_model_that_may_define_is_asked_for_a_function(environment):
    _, first = environment(replace(SMALL, tools=("define", "write"))).reset(Task("t", "answer is wrong", ("false",)), "")
    assert first.content.endswith(
        "Then write the corrected function, all of it, in one ```python block. An answer without the block changes nothing."
    )


def test_of_several_files_the_likeliest_comes_last_and_the_form_of_the_answer_names_none(environment):
    place = environment(replace(SMALL, tools=("define", "write")), files={"other.py": "def mine(): ...\n"})
    _, first = place.reset(Task("t", "answer in answer.py is wrong, not in other.py", ("false",)), "")
    assert first.content.index("other.py:\n```") < first.content.index("answer.py:\n```")
    assert "in one ```python block." in first.content


def test_every_call_is_answered_in_order_and_finish_ends(environment):
    place = environment()
    place.reset(Task("t", "x"), "")
    observation = place.step(calls(("bash", {"command": "echo hi"}), ("dance", {}), ("finish", {"summary": "did it"})))
    assert [(m.tool_call_id, m.content.partition("\n")[0].partition(";")[0]) for m in observation.messages] == [
        ("c0", "exit 0"),
        ("c1", "error: there is no tool 'dance'"),
        ("c2", "ok"),
    ]
    assert observation.end == "finished"


def test_no_call_is_answered_with_what_is_wanted(environment):
    place = environment()
    place.reset(Task("t", "x", (CHECK,)), "")
    observation = place.step(Message("assistant", "I think it is fine"))
    assert (observation.messages, observation.end) == ((Message("user", NUDGE),), None)


def test_without_checks_a_text_is_the_answer(environment):
    place = environment()
    place.reset(Task("t", "what is it?"), "")
    assert place.step(Message("assistant", "A calculator.")) == Observation((), "finished")


def test_a_write_is_answered_with_the_checks_and_ends_when_they_pass(environment):
    place = environment(SMALL)
    place.reset(Task("t", "answer is wrong", (CHECK,)), "")
    still = place.step(calls(("write", {"path": "answer.txt", "content": "worse"})))
    assert still.end is None
    assert "exit 1" in still.messages[0].content
    assert "do not pass yet" in still.messages[0].content
    assert place.step(Message("assistant", "I see.")).messages[0].content.startswith("Then write the corrected file")
    assert place.step(calls(("write", {"path": "answer.txt", "content": "right"}))).end == "finished"


def test_without_checks_a_write_is_answered_with_what_is_true(environment):
    place = environment(SMALL)
    place.reset(Task("t", "answer is wrong"), "")
    wrote = place.step(calls(("write", {"path": "answer.txt", "content": "right"})))
    assert (wrote.messages[0].content.partition("\n\n")[2], wrote.end) == (f"{UNCHECKED} {FINISH_NOW}", None)
    assert place.step(Message("assistant", "It is right.")) == Observation((), "finished")


def test_without_checks_a_model_without_memory_is_asked_until_it_has_written_or_answered(environment):
    place = environment(replace(SMALL, memory=0))
    _, first = place.reset(Task("t", "say what the answer is"), "")
    assert "what has to change" in first.content
    assert "cases that fail" not in first.content
    for empty in ("", "```python\n```", "~~~\n\n~~~\n"):
        assert place.step(Message("assistant", empty)).end is None
    assert place.step(calls(("write", {"path": "answer.txt/x", "content": "x"}))).end is None
    assert place.step(calls(("write", {"path": "answer.txt", "content": "right"}))).end == "finished"
    assert place.step(Message("assistant", "It is wrong.")).end == "finished"


def test_with_checks_a_model_without_memory_is_asked_for_the_form_of_its_answer(environment):
    place = environment(replace(SMALL, memory=0))
    _, first = place.reset(Task("t", "answer is wrong", (CHECK,)), "")
    assert "cases that fail" in first.content
    observation = place.step(Message("assistant", "I see."))
    assert observation.end is None
    assert observation.messages[0].content.startswith("Then write the corrected file")


def test_each_try_of_a_model_without_memory_begins_with_the_files_that_it_is_shown(environment):
    def write(path, content):
        return calls(("write", {"path": path, "content": content}))

    place = environment(replace(SMALL, memory=0))
    place.reset(Task("t", "answer is wrong", (CHECK,)), "")
    for path in ("answer.txt", "-made by it", "sub/:(glob)*"):
        assert place.step(write(path, "worse")).end is None
    assert place.step(Message("assistant", "I see.")).end is None
    place.step(calls(("finish", {"summary": "the last try stays"})))
    files = git.list_files(place._context.root, place.tree())
    assert files == ("answer.py", "answer.txt", "sub/:(glob)*")
    assert git.read_file(place._context.root, place.tree(), "answer.txt") == b"wrong\n"


def test_a_model_that_remembers_goes_on_from_what_it_wrote(environment):
    place = environment(SMALL)
    place.reset(Task("t", "answer is wrong", (CHECK,)), "")
    for path in ("one.txt", "two.txt"):
        place.step(calls(("write", {"path": path, "content": "x"})))
    assert {"one.txt", "two.txt"} <= set(git.list_files(place._context.root, place.tree()))


def test_the_gates_judge_a_clean_checkout_of_the_commit(environment):
    place = environment()
    place.reset(Task("t", "x", (CHECK, "test ! -e ignored.pyc", "test $(git log --oneline | wc -l) -ge 2")), "")
    place.step(
        calls(("bash", {"command": "echo right > answer.txt; echo '*.pyc' > .gitignore; touch ignored.pyc"}), ("finish", {"summary": "s"}))
    )
    outcome = place.grade()
    assert (outcome.passed, outcome.reward) == (True, 1.0)


def test_a_share_of_the_checks_is_a_share_of_the_reward(environment):
    place = environment()
    place.reset(Task("t", "x", ("true", "false")), "")
    outcome = place.grade()
    assert (outcome.passed, outcome.reward) == (False, 0.5)
    assert "$ false\nexit 1" in outcome.feedback


def test_without_checks_nobody_judges_but_the_work_is_kept(environment, tmp_path):
    place = environment()
    place.reset(Task("t", "x"), "")
    place.step(calls(("write", {"path": "new", "content": "x"})))
    assert place.grade() is None
    assert place.save_work(None) != git.snapshot(tmp_path / "repository").commit


@pytest.mark.parametrize("published", [False, True])
def test_a_save_that_was_interrupted_is_made_again_at_the_same_position(environment, monkeypatch, tmp_path, published):
    publish = git.publish

    def interrupt(*given, **named):
        monkeypatch.setattr(git, "publish", publish)
        if published:
            publish(*given, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(git, "publish", interrupt)
    place = environment()
    for kept in (0, 1):
        place.reset(Task("t", "x"), "")
        place.step(calls(("write", {"path": f"new{kept}", "content": "x"})))
        if not kept:
            with pytest.raises(KeyboardInterrupt):
                place.save_work(None)
        commit = place.save_work(None)
        assert list(git.list_published(tmp_path / "repository", "loop-1")) == list(range(kept + 1))
        assert git.find_best(tmp_path / "repository", "loop-1") == commit


class TestLoop:
    """Attempts one after the other."""

    TASK = Task("t", "put it right", ("grep -q right answer.txt", "grep -q all answer.txt"))

    def attempt(self, place, text, notes="", summary="did it"):
        prompt = place.reset(self.TASK, notes)
        place.step(calls(("write", {"path": "answer.txt", "content": text}), ("finish", {"summary": summary})))
        outcome = place.grade()
        return prompt[1].content, outcome, place.save_work(outcome)

    def shown(self, place, commit):
        return git.read_file(place._context.root, commit, "answer.txt").decode().strip()

    def test_the_first_attempt_is_told_limits_and_what_the_gates_say_of_the_start(self, environment):
        first, _, _ = self.attempt(environment(limits=Limits(iterations=4)), "x")
        assert "This is attempt 1 of 4. Left in all: 1,000,000 tokens, 30 minutes, $5.00." in first
        assert "What the gates say of the files as they are now:\n$ grep -q right answer.txt\nexit 1" in first

    def test_a_later_attempt_starts_from_the_best_tree_and_of_equals_from_the_later(self, environment):
        place = environment(limits=Limits())
        _, good, best = self.attempt(place, "right")
        _, bad, _ = self.attempt(place, "wrong again")
        assert (good.reward, bad.reward) == (0.5, 0.0)
        self.attempt(place, "right two")
        told, _, last = self.attempt(place, "right three")
        assert self.shown(place, f"{last}^") == "right two"
        assert "1. failed, reward 0.50, 1 did not pass: did it\n2. failed, reward 0.00, 2 did not pass: did it" in told
        assert git.list_published(place._context.root, "loop-1")[0] == best

    @pytest.mark.parametrize(("start", "expected"), [("best", "right"), ("last", "worse"), ("start", "wrong")])
    def test_where_an_attempt_starts_is_a_choice(self, environment, start, expected):
        place = environment(limits=Limits(), start=start)
        self.attempt(place, "right")
        self.attempt(place, "worse")
        _, _, last = self.attempt(place, "anything")
        assert self.shown(place, f"{last}^") == expected

    def test_the_branch_points_to_the_best(self, environment):
        place = environment(limits=Limits())
        _, _, best = self.attempt(place, "right")
        self.attempt(place, "worse")
        branch = subprocess.run(
            ["git", "rev-parse", "codagent/loop-1"], cwd=place._context.root, capture_output=True, text=True, check=True
        )
        assert branch.stdout.strip() == best

    def test_the_first_request_grows_by_no_more_than_the_notes_may_hold(self, environment):
        profile = Profile(notes_tokens=100)
        place = environment(profile, limits=Limits())
        first, _, _ = self.attempt(place, "x", notes="")
        for k in range(6):
            later, _, _ = self.attempt(place, "long line\n" * 999, notes="n" * 300, summary=f"{k} " * 99)
            assert len(later.encode()) <= len(first.encode()) + 300

    def test_instructions_that_an_attempt_wrote_make_later_requests_no_longer(self, environment):
        place = environment(
            Profile(notes_tokens=100), files={"AGENTS.md": "be kind\n"}, limits=Limits(), start="last", own=UserInstructions("be quick")
        )
        first = place.reset(self.TASK, "")[1].content
        place.step(calls(("write", {"path": "AGENTS.md", "content": "be kind\n" * 3000}), ("finish", {"summary": "x"})))
        place.save_work(place.grade())
        later = place.reset(self.TASK, "n" * 300)[1].content
        assert len(later.encode()) <= len(first.encode()) + 300
        assert "be quick" in later

    def test_a_loop_that_is_taken_up_again_stands_where_it_stood(self, environment):
        place = environment(limits=Limits())
        episodes = []
        for position, text in enumerate(["right", "worse"]):
            _, outcome, commit = self.attempt(place, text)
            prompt = (Message("system", ""), Message("user", "p" * 900))
            episodes.append(Episode("solve", position, self.TASK, "", prompt, outcome=outcome, commit=commit))
        again = environment(limits=Limits(), earlier=episodes)
        told, _, last = self.attempt(again, "anything")
        assert "This is attempt 3 of" in told
        assert self.shown(again, f"{last}^") == "right"
        assert sorted(git.list_published(again._context.root, "loop-1")) == [0, 1, 2]

    def test_the_next_task_starts_from_the_best_of_the_one_before(self, environment):
        place = environment(limits=Limits())
        self.attempt(place, "right")
        self.attempt(place, "worse")
        place.reset(Task("u", "another", ("true",)), "")
        place.step(calls(("finish", {"summary": "x"})))
        assert self.shown(place, place.save_work(place.grade())) == "right"

    def test_the_account_is_what_the_attempt_changed(self, environment):
        place = environment(limits=Limits())
        self.attempt(place, "right")
        self.attempt(place, "right all")
        assert "-right\n+right all" in place.describe_state()
        assert "-wrong" not in place.describe_state()


@pytest.mark.parametrize("target", ["../dotfiles/AGENTS.md", "AGENTS.md", "."])
def test_rules_that_cannot_be_read_are_said_once_and_the_others_are_shown(environment, target):
    said = []
    made = environment(links={"AGENTS.md": target}, files={"CLAUDE.md": "be kind\n"}, say=said.append)
    for _ in range(2):
        _, first = made.reset(Task("t", "put it right"), "")
    assert "instructions (CLAUDE.md):\nbe kind" in first.content
    assert [line.partition(":")[0] for line in said] == ["AGENTS.md was not read", "instructions read"]


def test_instructions_come_before_the_files_and_the_users_own_before_those_of_the_repository(environment):
    made = environment(files={"AGENTS.md": "be kind\n", "pkg/AGENTS.md": "be brief\n"}, own=UserInstructions("be quick\n"))
    _, first = made.reset(Task("t", "put it right"), "")
    assert first.content == (
        "Task: put it right\n\n"
        "The user's own instructions:\nbe quick\n\n"
        "The repository's own instructions (AGENTS.md):\nbe kind\n\n"
        "More instructions; each is shown with the first tool call that touches its folder:\npkg/AGENTS.md\n\n"
        "Files:\nAGENTS.md\nanswer.py\nanswer.txt\npkg/AGENTS.md"
    )


def test_of_many_nested_instructions_some_are_named(environment):
    _, first = environment(files={f"{n:02}/AGENTS.md": "x" for n in range(25)}).reset(Task("t", "x"), "")
    assert "19/AGENTS.md\n… and 5 more\n\nFiles:" in first.content


@pytest.mark.parametrize(
    "wanted",
    [
        ("read", {"path": "pkg/x.py"}),
        ("write", {"path": "pkg/new.py", "content": "y = 2\n"}),
        ("edit", {"path": "/pkg/x.py", "old": "1", "new": "2"}),
        ("search", {"pattern": "x", "path": "pkg"}),
        ("bash", {"command": "cd pkg && cat x.py"}),
        ("bash", {"command": "sed -n 1,5p 'pkg/x.py'; false"}),
    ],
)
def test_the_first_tool_that_touches_a_folder_answers_with_its_instructions(environment, wanted):
    made = environment(files={"pkg/AGENTS.md": "be brief\n", "pkg/x.py": "x = 1\n"})
    for _ in range(2):  # each attempt is shown them
        made.reset(Task("t", "x"), "")
        answers = made.step(calls(("bash", {"command": "ls"}), wanted, ("read", {"path": "pkg/x.py"}))).messages
        shown = [message.content.endswith("\n\nThe repository's own instructions (pkg/AGENTS.md):\nbe brief") for message in answers]
        assert shown == [False, True, False]


def test_a_call_that_fails_touches_nothing(environment):
    made = environment(files={"pkg/AGENTS.md": "be brief\n"})
    made.reset(Task("t", "x"), "")
    answers = made.step(calls(("read", {"path": "pkg/none.py"}), ("read", {"wrong": "pkg"}))).messages
    assert "be brief" not in "".join(message.content for message in answers)


def test_what_was_written_is_known_by_its_path_also_where_instructions_follow(environment):
    said = []
    made = environment(files={".gitignore": "pkg/gen/\n", "pkg/AGENTS.md": "be brief\n"}, say=said.append)
    made.reset(Task("t", "x"), "")
    made.step(calls(("write", {"path": "pkg/gen/a.py", "content": "x"})))
    made.tree()
    assert said == ["instructions read: pkg/AGENTS.md", f"{IGNORED}pkg/gen/a.py (pkg/gen/ in .gitignore, line 1)"]


IGNORED = "not in the result, because git ignores it: "


def test_a_file_that_git_ignores_is_named_with_its_rule(environment):
    said = []
    made = environment(files={".gitignore": "lib/\n*.gen\n"}, say=said.append)
    made.reset(Task("t", "put it right", (CHECK,)), "")
    made.step(calls(("write", {"path": "lib/util.py", "content": "x = 1\n"}), ("bash", {"command": "echo 1 >a.gen; git add -fA"})))
    outcome = made.grade()
    named = f"{IGNORED}lib/util.py (lib/ in .gitignore, line 1); a.gen (*.gen in .gitignore, line 2)"
    assert said == [named]
    assert outcome.feedback.endswith(named)


def test_caches_of_a_run_are_not_named_unless_the_agent_wrote_them(environment):
    said = []
    ignored = ".venv/\n.cache/\nnode_modules/\n"
    made = environment(files={".gitignore": ignored}, say=said.append)
    made.reset(Task("t", "put it right"), "")
    made.step(calls(("bash", {"command": "for d in .venv .cache node_modules __pycache__; do mkdir $d; echo 1 >$d/file; done"})))
    made.step(calls(("write", {"path": "./.cache/mine.txt", "content": "1"}), ("write", {"path": "kept.txt", "content": "1"})))
    made.tree()
    assert said == [f"{IGNORED}.cache/mine.txt (.cache/ in .gitignore, line 2)"]


def test_many_ignored_files_are_counted(environment):
    said = []
    made = environment(files={".gitignore": "out/\n"}, say=said.append)
    made.reset(Task("t", "put it right"), "")
    made.step(calls(("bash", {"command": "mkdir out; for n in $(seq 25); do echo $n >out/$n; done"})))
    made.tree()
    assert said[0].count("out/ in .gitignore") == 10
    assert said[0].endswith("; and 15 more")


VALUE = "grep -q 42 vendor/value.h"


@pytest.fixture
def with_submodule(environment, tmp_path):
    """Makes an environment whose repository has the submodule `vendor`."""
    inner = tmp_path / "repository/vendor"
    inner.mkdir()
    (inner / "value.h").write_text("42\n")
    for folder, *command in ((inner, "init", "-q"), (inner, "add", "-A"), (inner, "commit", "-qm", "x"), (inner.parent, "add", "-A")):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=folder, check=True, capture_output=True)
    return environment


def test_a_submodule_is_there_for_the_agent_and_for_the_gates(with_submodule):
    made = with_submodule()
    _, first = made.reset(Task("t", "put it right", (VALUE, CHECK)), "")
    assert first.content.endswith("answer.py\nanswer.txt\nSubmodules, which are read only, because changes in them are not kept: vendor")
    observation = made.step(calls(("bash", {"command": "cat vendor/value.h; echo right >answer.txt"})))
    assert observation.messages[0].content == "exit 0\n42"
    assert made.grade().passed


CHEATS = ("echo 43 >vendor/value.h", "rm -r vendor; mkdir vendor; echo 43 >vendor/value.h", "rm -r vendor; echo 43 >vendor")


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_check_that_passes_by_a_changed_submodule_fails_and_it_is_said_why(with_submodule, cheat):
    said = []
    made = with_submodule(say=said.append)
    made.reset(Task("t", "put it right", ("grep -q 43 vendor/value.h || grep -q 43 vendor",)), "")
    made.step(calls(("bash", {"command": cheat}), ("write", {"path": "vendor/new.h", "content": "43"})))
    outcome = made.grade()
    assert not outcome.passed
    assert said[-1].endswith("; what is in a submodule does not come out")
    assert outcome.feedback.endswith(said[-1])


def test_the_submodule_is_there_in_the_next_attempt(with_submodule):
    made = with_submodule(limits=Limits(iterations=2))
    for _ in range(2):
        made.reset(Task("t", "put it right", (VALUE, CHECK)), "")
        made.step(calls(("bash", {"command": "rm -r vendor; echo >>answer.py"})))
        made.save_work(made.grade())
    assert "vendor" not in made.describe_state()


def test_an_ignored_file_is_named_beside_one_that_was_written_in_a_submodule(with_submodule):
    said = []
    made = with_submodule(files={".gitignore": "*.gen\n"}, say=said.append)
    made.reset(Task("t", "x"), "")
    made.step(calls(*(("write", {"path": path, "content": "x"}) for path in ("vendor/a.gen", "b.gen"))))
    made.tree()
    left = "left behind in the sandbox: vendor/a.gen; what is in a submodule does not come out"
    assert said == [f"{IGNORED}b.gen (*.gen in .gitignore, line 1)", left]
