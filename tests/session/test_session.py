"""Sessions without a terminal: turns, what a person does beside them, and records that go on."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from codagent.errors import RecordError, SandboxError, UsageError
from codagent.repository import git
from codagent.repository.messages.own import UserInstructions
from codagent.repository.messages.skills import SkillFile
from codagent.runner.model import Access, open_model
from codagent.session import keeping
from codagent.session.conversation import STOPPED
from codagent.session.history import copy
from codagent.session.opening import begin, fork, load_session
from codagent.session.turn_workspace import TurnWorkspace
from codagent.settings.hooks import Hook
from codagent.settings.settings import McpServer
from codagent.store import layout
from codagent.store.record import load
from codagent.types import Limits
from tests.session.place import SECRET, call

READ = call("read", path="answer.txt")
MEND = call("edit", path="answer.txt", old="wrong", new="right")


def roles(episode):
    return [message.role for message in episode.conversation]


def branches(root):
    return subprocess.run(
        ["git", "branch", "--format=%(refname:short)"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split()


def work_of(session):
    return git.read_file(session.runner.root, session.history.commit, "answer.txt").decode()


def test_a_question_is_answered_changes_nothing_and_wakes_no_gate(place):
    session = place.begin(READ, "It says `wrong`.", checks=("false",))
    turn = session.ask("what does it say?")
    assert (turn.end, turn.steps[-1].reply.message.content) == ("finished", "It says `wrong`.")
    assert (turn.outcome, session.history.change()) == (None, None)


def test_a_follow_up_knows_the_turn_before_and_its_files(place):
    session = place.begin(MEND, "Mended.", call("bash", command="cat answer.txt"), "It is right now.")
    first, second = session.ask("mend it"), session.ask("and now?")
    assert second.prompt[: len(first.conversation)] == first.conversation
    assert second.prompt[-1].content == "and now?"
    assert "right" in second.steps[0].observation.messages[0].content


def test_rules_and_files_are_told_once_with_the_first_message(place):
    session = place.begin("Hello.", "Hello again.")
    first, second = session.ask("hello"), session.ask("hello again")
    assert ["Be brief." in message.content for message in second.prompt] == [False, True, False, False]
    assert first.prompt[1].content.endswith("hello")


def test_gates_judge_a_turn_that_changed_files(place):
    session = place.begin("Let me see.", MEND, "Done.", "Nothing.", checks=("grep -q right answer.txt",))
    outcomes = [session.ask(text).outcome for text in ("look", "mend it", "and?")]
    assert [outcome and outcome.passed for outcome in outcomes] == [None, True, None]
    assert session.check().passed


def test_the_users_files_and_branches_stay_as_they_are(place, repository):
    session = place.begin(MEND, "Done.")
    session.ask("mend it")
    assert ((repository / "answer.txt").read_text(), branches(repository)) == ("wrong\n", ["main"])
    assert work_of(session) == "right\n"


def test_what_a_person_did_is_told_with_the_next_turn(place):
    session = place.begin("Yes.")
    assert session.run_command("echo seen > new.txt; echo done").output == "done\n"
    turn = session.ask("did you see?")
    told = turn.prompt[-1].content
    assert "`echo seen > new.txt; echo done`" in told
    assert told.endswith("did you see?")
    assert "new.txt" in git.list_files(session.runner.root, session.history.commit)


def test_discarded_work_is_gone_and_the_model_is_told(place):
    session = place.begin(MEND, "Done.", call("bash", command="cat answer.txt"), "It is wrong.")
    session.ask("mend it")
    session.discard()
    turn = session.ask("look again")
    assert "discarded" in turn.prompt[-1].content
    assert "wrong" in turn.steps[0].observation.messages[0].content
    assert session.history.change() is None


def test_a_cleared_conversation_begins_anew_and_the_work_stays(place):
    session = place.begin(MEND, "Done.", "I do not know.")
    session.ask("mend it")
    session.clear()
    turn = session.ask("what did you do?")
    assert ([message.role for message in turn.prompt], "mend it" in turn.prompt[1].content) == (["system", "user"], False)
    assert work_of(session) == "right\n"


def test_compaction_keeps_the_latest_steps_and_never_parts_a_call_from_its_answer(place):
    looks = [call("bash", command=f"echo {n}") for n in range(6)]
    session = place.begin(*looks, "Six looks.", "The person wants looks.", "More.")
    session.ask("look six times")
    assert session.compact() == "The person wants looks."
    turn = session.ask("again")
    assert [message.role for message in turn.prompt] == ["system", "user", *["assistant", "tool"] * 3, "assistant", "user"]
    assert "The person wants looks." in turn.prompt[1].content
    assert "Be brief." in turn.prompt[1].content
    asked = [call.id for message in turn.prompt for call in message.tool_calls]
    assert asked == [message.tool_call_id for message in turn.prompt if message.role == "tool"]


def test_a_conversation_that_grows_too_long_is_summed_up_by_itself(place):
    session = place.begin("x" * 300_000, "It was about x.", "Here I am.")  # 100,000 tokens of 128,000
    session.ask("write a lot")
    turn = session.ask("are you there?")
    assert "the conversation is long; it goes on with a summary of what was said so far" in place.said
    assert [episode.kind for episode in session.history.episodes] == ["solve", "notes", "solve"]
    first = turn.prompt[1].content
    assert ("It was about x." in first, "Be brief." in first) == (True, True)
    assert sum(len(message.content) for message in turn.prompt) < 250_000
    assert turn.steps[0].reply.message.content == "Here I am."


@pytest.mark.parametrize("anew", ["compact", "clear"])
def test_the_limits_are_read_and_told_anew_with_the_first_messages_and_hold_then(place, anew):
    summary = ["It was wrong."] if anew == "compact" else []
    session = place.begin(READ, "Wrong.", *summary, *[READ] * 3, "Never said.")
    session.read_limits = lambda: Limits(steps=9, tokens=300_000, seconds=90.0, usd=None)
    first = session.ask("what does it say?").prompt[1].content
    assert "Each turn has at most 50 steps, 1,000,000 tokens, 1,800 seconds" in first
    session.read_limits = lambda: Limits(steps=2, tokens=300_000, seconds=90.0, usd=None)
    getattr(session, anew)()
    turn = session.ask("and now?")
    assert "Each turn has at most 2 steps, 300,000 tokens, 90 seconds.\n" in turn.prompt[1].content
    assert (turn.end, len(turn.steps)) == ("steps", 2)


def test_limits_that_cannot_be_read_stay_as_they_are(place):
    session = place.begin("Hello.", "Greetings.", "Here.")

    def refuse():
        raise UsageError("codagent.toml: max_steps must be a whole number")

    session.ask("hello")
    session.read_limits = refuse
    session.compact()
    assert place.said[-1] == "the limits stay as they are: codagent.toml: max_steps must be a whole number"
    assert "Each turn has at most 50 steps" in session.ask("there?").prompt[1].content


def test_a_summary_that_does_not_come_is_replaced_by_the_turns_in_short(place):
    session = place.begin("Blue.", call("bash", command="ls"), call("bash", command="ls"), "Yes.")
    session.ask("what colour?")
    assert session.compact() == "The person: what colour?\nYou: Blue."
    assert "what colour?" in session.ask("sure?").prompt[1].content


@pytest.mark.parametrize("turns", [1, 2])
def test_a_resumed_session_goes_on_with_context_and_files(place, turns):
    session = place.begin(MEND, "Mended.", "Nothing else.", call("bash", command="cat answer.txt"), "Right.")
    for text in ["mend it", "else?"][:turns]:
        session.ask(text)
    before = session.history.loop
    session.close()
    again = place.resume(replies=[call("bash", command="cat answer.txt"), "Right."])
    turn = again.ask("go")
    assert (again.id, again.history.episodes[:turns]) == (before.id, before.episodes)
    assert turn.prompt[: len(before.episodes[-1].conversation)] == before.episodes[-1].conversation
    assert "right" in turn.steps[0].observation.messages[0].content


def test_a_session_killed_at_any_line_goes_on_with_its_work(place):
    session = place.begin(MEND, call("bash", command="echo more >> answer.txt"), "Done.", "Thanks.")
    session.ask("mend it")
    session.ask("thanks")
    session.close()
    path = place.loops / session.id / layout.RECORD
    whole = path.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    for number, end in enumerate(ends[1:-1], 2):
        path.write_bytes(whole[: end + (ends[number] - end) // 2 if number < len(ends) else end])
        again = place.resume(session.id, replies=[call("bash", command="cat answer.txt"), "So."])
        turn = again.ask("what is there?")
        text = turn.steps[0].observation.messages[0].content
        expected = "wrong" if number < 4 else "right" if number < 6 else "right\nmore"
        assert text.removeprefix("exit 0\n") == expected, number
        assert [message.tool_call_id for message in turn.prompt if message.role == "tool"] == [
            call.id for message in turn.prompt for call in message.tool_calls
        ]
        again.close()


def test_a_turn_that_is_stopped_keeps_its_steps_and_the_next_one_knows(place):
    session = place.begin(call("bash", command="kill -INT $PPID; sleep 5"), "Fine.")
    turn = session.ask("wait")
    assert (turn.end, turn.steps[0].observation.messages[0].content) == ("interrupted", "error: stopped by the person")
    after = session.ask("go on")
    assert after.prompt[-1].content == f"{STOPPED}\n\ngo on"
    assert after.end == "finished"


def test_a_stopped_turn_is_whole_in_the_record(place):
    session = place.begin(MEND, call("bash", command="kill -INT $PPID; sleep 5"))
    session.ask("mend it and wait")
    session.close()
    again = place.resume(replies=[call("bash", command="cat answer.txt"), "Right."])
    assert "right" in again.ask("what is there?").steps[0].observation.messages[0].content


def test_what_is_typed_meanwhile_is_told_between_two_steps(place):
    session = place.begin(READ, "As you like.")
    session.open()
    session.type_ahead("use tabs")
    turn = session.ask("work")
    assert [message.role for message in turn.steps[0].observation.messages] == ["tool", "user"]
    assert turn.steps[0].observation.messages[1].content == "use tabs"
    assert session.take_untold() == ""


def test_what_is_typed_too_late_is_taken_back(place):
    session = place.begin("Done.")
    session.open()
    session.type_ahead("and tests")
    session.ask("work")
    assert (session.take_untold(), session.take_untold()) == ("and tests", "")


def test_a_failed_turn_can_be_tried_again(place):
    session = place.begin()
    assert session.ask("hello").end == "model"
    session.close()
    again = place.resume(replies=["Hello."])
    turn = again.ask("")
    assert ([message.role for message in turn.prompt], turn.end) == (["system", "user"], "finished")
    assert turn.prompt[1].content.endswith("hello")


def test_a_plan_only_reads(place):
    session = place.begin(MEND, "A plan.", MEND, "Done.")
    session.plan(on=True)
    assert session.ask("plan it").steps[0].observation.messages[0].content.startswith("error: this is a plan")
    session.plan(on=False)
    session.ask("go")
    assert work_of(session) == "right\n"


def test_a_session_without_a_turn_leaves_nothing(place, repository):
    session = place.begin()
    session.open()
    session.close()
    assert list(place.loops.iterdir()) == []
    refs = subprocess.run(["git", "for-each-ref"], cwd=repository, capture_output=True, text=True, check=True).stdout
    assert "codagent" not in refs


def test_a_prompt_is_kept_once(place):
    session = place.begin(*(f"answer {n} " + "x" * 500 for n in range(20)))
    for number in range(20):
        session.ask(f"question {number} " + "y" * 500)
    episodes = session.history.episodes
    session.close()
    path = place.loops / session.id / layout.RECORD
    assert path.stat().st_size < 70_000
    assert load(path).episodes == episodes


def test_edits_are_shown_as_patches(place):
    session = place.begin(MEND, call("write", path="new.py", content="x = 1\n"), READ, "Done.")
    session.ask("go")
    assert [answered.patch.splitlines()[-1:] for answered in place.answers] == [["+right"], ["+x = 1"], []]


def test_a_model_that_remembers_no_step_begins_each_try_with_the_files_of_its_prompt(place):
    wrong = [call("replace", path="answer.txt", content="1|wrong\nworse\n"), call("write", path="new.txt", content="x\n")]
    both = {"content": "", "calls": [each["calls"][0] for each in wrong]}
    session = place.begin(both, call("replace", path="answer.txt", content="1|right\n"), checks=("grep -q right answer.txt",))
    session.open()
    workspace = session._now.workspace
    workspace.profile = replace(workspace.profile, tools=("replace", "write", "finish"), memory=0, checks_after_write=True, steps=5)
    assert session.ask("mend it").end == "finished"
    assert work_of(session) == "right\n"
    assert workspace.run("ls").output == "AGENTS.md\nanswer.txt\n"


def test_the_hooks_of_start_and_end_run_once_in_a_session(place, tmp_path):
    hooks = (Hook("SessionStart", f"cat >> {tmp_path}/start; echo >> {tmp_path}/start"), Hook("SessionEnd", f"cat > {tmp_path}/end"))
    session = place.begin("Hello.", "Again.", hooks=hooks)
    session.ask("hello")
    session.ask("again")
    assert not (tmp_path / "end").exists()
    session.close()
    (start,) = map(json.loads, (tmp_path / "start").read_text().splitlines())
    assert (start["source"], start["session_id"], start["transcript_path"]) == (
        "startup",
        session.id,
        str(place.loops / session.id / "record.jsonl"),
    )
    end = json.loads((tmp_path / "end").read_text())
    assert (end["hook_event_name"], end["reason"], end["tokens"] > 0) == ("SessionEnd", "closed", True)
    again = place.resume(replies=["Hello."], hooks=hooks)
    again.open()
    assert [json.loads(line)["source"] for line in (tmp_path / "start").read_text().splitlines()] == ["startup", "resume"]


def test_a_session_with_a_persons_commands_only_goes_on(place):
    session = place.begin()
    session.run_command("echo right > answer.txt")
    session.close()
    again = place.resume(replies=["Hello."])
    assert again.id == session.id
    again.ask("hello")
    assert work_of(again) == "right\n"


def test_a_hook_that_refuses_lets_no_session_begin(place):
    session = place.begin("Hello.", hooks=(Hook("SessionStart", "echo not today >&2; exit 2"),))
    with pytest.raises(UsageError, match="a hook refused to begin: not today"):
        session.ask("hello")
    assert not session.is_open
    assert list(place.loops.glob("*/record.jsonl")) == []


def test_a_hook_of_the_end_that_fails_is_told(place):
    session = place.begin("Hello.", hooks=(Hook("SessionEnd", "exit 1"),))
    session.ask("hello")
    session.close()
    assert place.said[-1] == "a hook at the end failed: `exit 1` failed with exit 1"


def test_each_turn_has_the_limits_of_a_run(place):
    session = place.begin(*["x" * 3000] * 6, limits=Limits(tokens=9_000))
    assert [session.ask("again").end for _ in range(6)] == ["finished"] * 6
    assert sum(turn.steps[0].reply.total_tokens for turn in session.history.turns) > 6_000


def test_a_fork_goes_on_from_the_end_of_a_turn_and_the_session_stays(place, repository):
    session = place.begin(MEND, "Mended.", call("bash", command="echo worse > answer.txt"), "Worse.")
    for text in ("mend it", "make it worse"):
        session.ask(text)
    whole = session.history.loop
    forked = fork(repository, place.loops, whole, 1, SECRET)
    again = place.resume(forked, replies=["Right."])
    assert again.ask("and now?").prompt[-2].content == "Mended."
    assert (work_of(again), work_of(session), again.id == session.id) == ("right\n", "worse\n", False)
    assert session.history.loop == whole
    with pytest.raises(UsageError, match="has 2 turns"):
        fork(repository, place.loops, whole, 3, SECRET)


def test_a_loop_is_no_session(place):
    session = place.begin("Hello.")
    session.ask("hello")
    session.close()
    assert load_session(place.loops, None).id == session.id
    path = place.loops / session.id / layout.RECORD
    loop = load(path)
    path.unlink()
    copy(replace(loop, settings={**loop.settings, "job": {**loop.settings["job"], "session": False}}), path)
    with pytest.raises(UsageError, match=r"is a \w+ and no session"):
        load_session(place.loops, session.id)
    with pytest.raises(RecordError, match="no session to go on with"):
        load_session(place.loops, None)


@pytest.mark.parametrize("tries", [1, 2])
def test_a_model_that_could_not_be_opened_is_tried_again(place, tmp_path, tries):
    options = place.options(["Hello."])
    (script,) = tmp_path.glob("script*.json")
    hidden = script.rename(tmp_path / "hidden")
    session = place.keep(begin(options))
    for _ in range(tries):
        with pytest.raises(UsageError):
            session.ask("hello")
    hidden.rename(script)
    assert session.ask("hello").end == "finished"


def test_a_model_that_was_chosen_is_asked_again_when_the_session_goes_on(place, tmp_path):
    other = tmp_path / "other.json"
    other.write_text('["From the other.", "The other still.", "And still."]')
    session = place.begin("From the first.")
    session.ask("who?")
    settings = replace(session.runner.settings, model=f"scripted:{other}", effort="high")
    session.set_model(settings, lambda: open_model(settings, Access(secret=SECRET)))
    assert session.ask("and now?").steps[0].reply.message.content == "From the other."
    session.close()
    again = place.resume(session.id)
    assert (again.runner.settings.model, again.runner.settings.effort) == (f"scripted:{other}", "high")
    assert len(again.ask("still?").steps[0].reply.message.content) > 0


def test_a_model_that_was_chosen_in_a_record_of_somebody_else_is_not_taken(place, tmp_path):
    session = place.begin("One.")
    session.ask("one?")
    first = session.runner.settings.model
    settings = replace(session.runner.settings, model=f"scripted:{tmp_path / 'script0.json'}x")
    session.history.choose(settings)
    session.close()
    record = place.loops / session.id / layout.RECORD
    loop = load(record)
    record.unlink()
    copy(replace(loop, settings={key: value for key, value in loop.settings.items() if key != "seal"}), record)
    assert place.resume(session.id, model=first).runner.settings.model == first


def test_a_model_that_cannot_be_opened_leaves_the_one_before(place):
    session = place.begin("One.", "Two.")
    session.ask("one?")
    settings = replace(session.runner.settings, model="scripted:nowhere.json")
    with pytest.raises(UsageError):
        session.set_model(settings, lambda: open_model(settings, Access(secret=SECRET)))
    assert session.ask("two?").steps[0].reply.message.content == "Two."


@pytest.mark.parametrize("command", ["sleep 60", "sleep 60 & wait", "trap '' TERM INT; sleep 60; sleep 60"])
def test_a_turn_is_stopped_from_another_thread_and_the_work_is_kept(place, tmp_path, command):
    begun = tmp_path / "begun"
    session = place.begin(MEND, call("bash", command=f"echo more > more.txt; touch {begun}; {command}"), "I go on.")
    session.open()
    with ThreadPoolExecutor() as pool:
        turn = pool.submit(session.ask, "mend it")
        while not turn.done():
            if begun.exists():
                session.interrupt()
    assert (turn.result().end, turn.result().steps[-1].observation.messages[0].content) == ("interrupted", "error: stopped by the person")
    assert work_of(session) == "right\n"
    assert "more.txt" in git.list_files(session.runner.root, session.history.commit)
    assert session.ask("go on").end == "finished"


def test_a_turn_is_stopped_while_the_gates_judge_and_the_work_is_kept(place, tmp_path):
    begun = tmp_path / "begun"
    session = place.begin(MEND, "Done.", "I go on.", checks=(f"touch {begun}; sleep 60",))
    session.open()
    with ThreadPoolExecutor() as pool:
        turn = pool.submit(session.ask, "mend it")
        while not turn.done():
            if begun.exists():
                session.interrupt()
    assert (turn.result().end, work_of(session)) == ("interrupted", "right\n")


def test_a_session_uses_servers_and_does_not_ask_them_again_when_it_is_resumed(place, repository):
    server = McpServer("demo", sys.executable, (str(Path(__file__).parents[1] / "mcp/server.py"),))
    calls = [call("mcp__demo__note", line="once"), MEND, call("bash", command="kill -INT $PPID; sleep 5")]
    session = place.begin(*calls, servers=(server,))
    turn = session.ask("note it")
    assert (turn.steps[0].observation.messages[0].content, turn.end) == ("ok\n\\x1b]0;owned\\x07noted", "interrupted")
    session.close()
    record = place.loops / session.id / layout.RECORD
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:6]))  # killed after the second call
    again = place.resume(session.id, replies=["Yes."], servers=(server,))
    assert again.ask("noted?").end == "finished"
    assert (repository / "noted.txt").read_text() == "once\n"
    assert work_of(again) == "right\n"


def test_deferred_tools_that_were_found_are_shown_also_when_the_session_goes_on(place):
    server = McpServer("demo", sys.executable, (str(Path(__file__).parents[1] / "mcp/server.py"),), defer=True)
    session = place.begin(call("mcp__find", query="add"), call("mcp__demo__add", a=2, b=3), "Five.", servers=(server,))
    turn = session.ask("add")
    assert turn.steps[1].observation.messages[0].content == "ok\n5"
    session.close()
    again = place.resume(session.id, replies=["Yes."], servers=(server,))
    again.open()
    assert [tool.name for tool in again._now.workspace.tools][-2:] == ["mcp__find", "mcp__demo__add"]


def test_a_plan_calls_no_tool_of_a_server(place, repository):
    server = McpServer("demo", sys.executable, (str(Path(__file__).parents[1] / "mcp/server.py"),))
    session = place.begin(call("mcp__demo__note", line="x"), "Planned.", servers=(server,))
    session.plan(on=True)
    assert "only tools that read" in session.ask("plan").steps[0].observation.messages[0].content
    assert not (repository / "noted.txt").exists()


@pytest.mark.parametrize(("answers", "end", "files"), [(1, "sandbox", ("answer.txt",)), (2, "finished", ("answer.txt", "new.txt"))])
def test_the_steps_of_a_turn_whose_sandbox_is_gone_are_repeated_in_another(place, answers, end, files):
    """Gone between two calls, and gone when the turn is over and its work is to be kept."""
    session = place.begin(
        call("bash", command="echo right > answer.txt"),
        call("bash", command="echo new > new.txt"),
        "Done.",
        call("bash", command="cat *"),
        "So.",
    )
    session.open()
    workspace = session._now.workspace

    def count(answered):
        place.answers.append(answered)
        if len(place.answers) == answers:
            workspace.sandbox.close()

    workspace._on_answer = count
    turn = session.ask("mend it")
    assert (turn.end, len(place.answers)) == (end, answers)
    assert git.list_files(place.root, turn.commit)[1:] == files
    assert git.read_file(place.root, turn.commit, "answer.txt") == b"right\n"
    assert "the steps of this turn are repeated" in "\n".join(place.said)


def test_a_person_who_stops_the_repetition_is_told_that_the_work_of_the_turn_is_gone(place, monkeypatch):
    session = place.begin(MEND, "Done.", call("bash", command="echo new > new.txt"), "Gone.")
    first = session.ask("mend it")
    workspace = session._now.workspace
    workspace._on_answer = lambda _: (workspace.sandbox.close(), monkeypatch.setattr(TurnWorkspace, "replay", stop))
    second = session.ask("more")
    assert (second.end, second.commit) == ("sandbox", first.commit)
    assert "were not repeated to their end" in second.cause


def stop(*_):
    raise KeyboardInterrupt


def test_a_turn_without_a_sandbox_keeps_what_was_kept_last(place, monkeypatch):
    session = place.begin(MEND, "Done.", call("bash", command="echo new > new.txt"), "Gone.")
    first = session.ask("mend it")
    workspace = session._now.workspace
    workspace._on_answer = lambda _: (workspace.sandbox.close(), monkeypatch.setattr(TurnWorkspace, "sandbox", property(refuse)))
    monkeypatch.setattr(keeping, "_ENGINE_S", 0.0)
    second = session.ask("more")
    assert (second.end, second.commit) == ("sandbox", first.commit)
    assert "the engine is gone" in second.cause
    assert "\n".join(place.said).count("the sandbox is gone") == 1  # it was waited for once


def refuse(_):
    raise SandboxError("the engine is gone")


@pytest.mark.parametrize("moment", ["opened", "its files come in", "between two steps", "collected"])
@pytest.mark.parametrize("error", [SandboxError("the engine is gone"), KeyboardInterrupt()], ids=["gone", "stopped"])
@pytest.mark.parametrize("failures", [1, 2])
def test_a_turn_that_cannot_be_taken_up_now_is_taken_up_another_time(place, monkeypatch, moment, error, failures):
    session = place.begin(MEND, call("bash", command="echo more >> answer.txt"), "Done.")
    session.ask("mend it")
    session.close()
    path = place.loops / session.id / layout.RECORD
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: 2 + 6]))  # killed before its end was written

    def fail(*_):
        raise error

    for _ in range(failures):
        with monkeypatch.context() as broken:
            broken.setattr(keeping, "_ENGINE_S", 0.0)
            if moment == "opened":
                broken.setattr(TurnWorkspace, "sandbox", property(fail))
            elif moment == "its files come in":
                broken.setattr(git, "copy_in", fail)
            else:
                broken.setattr(TurnWorkspace, "collect" if moment == "collected" else "_read_target", fail)
            again = place.resume(session.id, replies=[])
            with pytest.raises(type(error)):
                again.open()
            assert not again.is_open
            again.close()
    again = place.resume(session.id, replies=["So."])
    assert again.ask("what is there?").end == "finished"
    assert work_of(again) == "right\nmore\n"
    assert [turn.task.instruction for turn in again.history.turns] == ["mend it", "what is there?"]


def test_files_that_did_not_come_in_whole_are_no_work(place, monkeypatch):
    session = place.begin(MEND, "Done.", MEND, "Well.", "Yes.")
    first = session.ask("mend it")
    session.discard()
    copy_in = git.copy_in

    def stop(sandbox, packed):
        copy_in(sandbox, packed)
        sandbox.run("rm answer.txt", timeout=9)
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(git, "copy_in", stop)
        with pytest.raises(KeyboardInterrupt):
            session.run_command("cat answer.txt")
    assert git.list_files(place.root, session.ask("and now?").commit) == git.list_files(place.root, first.commit)


CHECKS = {"checks": ("grep -q right answer.txt",), "protect": ("*.txt",), "allow": ("calc.py",)}


@pytest.mark.parametrize("named", [{}, {"checks": ("true",)}, {"protect": (), "allow": ()}])
def test_a_session_goes_on_with_its_checks_unless_the_person_names_others(place, named):
    session = place.begin("Hello.", **CHECKS)
    session.ask("hello")
    session.close()
    settings = place.resume(session.id, **named).runner.settings
    assert {key: getattr(settings, key) for key in CHECKS} == CHECKS | named


def test_a_persons_own_skills_are_in_each_sandbox_of_a_session(place):
    own = UserInstructions("", (SkillFile("tidy/SKILL.md", "---\nname: tidy\ndescription: Tidies\n---\nFirst this."),))
    look = call("read", path=".git/codagent-skills/tidy/SKILL.md")
    session = place.keep(begin(replace(place.options([MEND, "Mended.", look, "Read.", "Summed up.", look, "Read."]), own=own)))
    session.ask("mend it")
    session.discard()  # a fresh sandbox
    assert "First this." in session.ask("read").steps[0].observation.messages[0].content
    session.compact()
    turn = session.ask("read")
    assert "tidy: Tidies (.git/codagent-skills/tidy/SKILL.md)" in turn.prompt[1].content
    assert "First this." in turn.steps[0].observation.messages[0].content
