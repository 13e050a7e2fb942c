"""What a person types in a session, without a terminal: commands, files, commands in the sandbox, and bare words."""

import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from codagent.cli.options import read_limits
from codagent.cli.session.chat import Chat
from codagent.cli.session.commands import table
from codagent.cli.session.input.screen import PlainInput
from codagent.cli.session.view.ink import Ink
from codagent.cli.session.view.meter import short_number
from codagent.cli.session.view.view import View
from codagent.runner.spec import Person
from codagent.session.opening import begin
from codagent.session.parts import quote_word
from codagent.settings.settings import McpServer
from codagent.store import layout
from codagent.store.record import load
from codagent.text import join_names
from tests.session.place import SECRET, call

MEND = call("edit", path="answer.txt", old="wrong", new="right")
DONE = [MEND, "Mended."]


class Lines(PlainInput):
    """Types nothing more when all lines are worked on."""

    def read(self):
        self._listener.leave()


@pytest.fixture
def talk(place, capsys):
    """Types lines into a session with these replies, and gives the chat and what was printed."""

    def run(replies, *lines, **settings):
        view = View(Ink(color=False))
        options = place.options(replies, display=view, **settings)
        chat = Chat(options, view, Person(options.settings, SECRET, view.say))
        listener = chat.listener()
        for line in lines:
            listener.line(line, line)
        chat.run(Lines(listener), lambda: None)
        printed = capsys.readouterr().out
        if chat._session:  # closed at the end
            place._opened.append(chat._session)
        return chat, printed

    return run


def test_a_ctrl_c_as_the_work_ends_stops_nothing_that_follows(place, monkeypatch):
    view = View(Ink(color=False))
    options = place.options([], display=view)
    chat = Chat(options, view, Person(options.settings, SECRET, view.say))
    kill, killing = signal.pthread_kill, threading.Event()

    def kill_late(thread, number):
        killing.set()
        time.sleep(0.1)
        kill(thread, number)

    monkeypatch.setattr(signal, "pthread_kill", kill_late)
    stopping = threading.Thread(target=chat.listener().stop)

    def work():
        stopping.start()
        killing.wait()

    try:
        chat.run(Lines(chat.listener()), work)
        stopping.join()
    except KeyboardInterrupt:
        pytest.fail("it came after the work")


def told_to_the_model(chat):
    if not chat.session.is_open:
        return []
    return [message.content for episode in chat.session.history.episodes for message in episode.prompt if message.role == "user"]


def test_what_begins_with_a_slash_or_a_mark_never_reaches_the_model(talk):
    lines = ["/help", "/foo", "/", "!echo hi", "!", "/model", "exit"]
    chat, _ = talk([], *lines)
    assert told_to_the_model(chat) == []
    assert chat.view.meter.replies == 0


@pytest.mark.parametrize("word", ["exit", "quit", "/quit", "/q", "Quit", ":q"])
def test_words_that_leave(talk, word):
    _chat, printed = talk([], word, "/help")
    assert "/diff" not in printed


@pytest.mark.parametrize("word", ["help", "/help", "?", "/?"])
def test_words_that_help_name_every_command(talk, word):
    _, printed = talk([], word)
    assert [name for name in table.commands() if f"/{name}" not in printed] == []


@pytest.mark.parametrize("name", sorted(table.commands()))
def test_every_command_answers_before_anything_was_done(talk, name, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    _chat, printed = talk(["x"], f"/{name}")
    assert printed.strip() or name in ("apply", "diff")


def test_an_unknown_command_names_the_nearest(talk):
    _, printed = talk([], "/aply", "/xyzzy")
    assert "there is no command /aply; did you mean /apply?" in printed
    assert "there is no command /xyzzy; /help lists them" in printed


@pytest.mark.parametrize(("slip", "meant"), [("hlep", "help"), ("qiut", "quit"), ("modle", "model")])
def test_a_slip_is_answered_with_the_nearest_command_and_never_sent(talk, slip, meant):
    chat, printed = talk([], f"/{slip}")
    assert f"there is no command /{slip}; did you mean /{meant}?" in printed
    assert told_to_the_model(chat) == []


@pytest.mark.parametrize(
    ("flag", "shown", "content"),
    [
        ("--markers", "with conflict markers in answer.txt", "<<<<<<<"),
        ("--branch", "then `git merge codagent/", "mine"),
        ("--again", "Mended again.", "mine"),
    ],
)
def test_a_conflict_names_the_ways_out_and_each_works(talk, place, flag, shown, content):
    mine = call("bash", command=f"echo mine > {place.root}/answer.txt")
    _, printed = talk([MEND, mine, "Mended.", "Mended again."], "mend it", "/apply", f"/apply {flag}")
    assert "nothing was changed: you and the agent changed the same lines of answer.txt" in printed
    assert [way for way in ("/apply --markers", "/apply --branch", "/apply --again") if way not in printed] == []
    assert shown in printed.partition("/apply --again")[2]
    assert content in (place.root / "answer.txt").read_text()


def test_a_name_may_be_shortened_while_it_is_clear(talk):
    _, printed = talk([], "/cont", "/c")
    assert "of 128k tokens" in printed
    assert "there is no command /c" in printed


def test_a_change_is_shown_taken_over_and_taken_back(talk, place):
    file = place.root / "answer.txt"
    _, printed = talk(DONE, "mend it", "/diff", "/apply")
    assert "+right" in printed
    assert file.read_text() == "right\n"
    _chat, printed = talk(DONE, "mend it", "/apply", "/diff")
    assert "nothing was changed that is not accepted" in printed


def test_undo_takes_back_what_was_applied_and_the_work_is_to_be_accepted_again(talk, place):
    _, printed = talk(DONE, "mend it", "/apply", "/undo", "/diff")
    assert (place.root / "answer.txt").read_text() == "wrong\n"
    assert "taken back: answer.txt" in printed
    assert printed.endswith("+right\n")


def test_discarded_work_is_gone(talk):
    chat, printed = talk(DONE, "mend it", "/discard", "/diff")
    assert chat.session.history.change() is None
    assert "is dropped" in printed


def test_a_conflict_changes_nothing_and_names_the_file(talk, place, capsys):
    chat, _ = talk(DONE, "mend it")
    (place.root / "answer.txt").write_text("mine\n")
    chat.listener().line("/apply", "")
    chat.run(Lines(chat.listener()), lambda: None)
    assert "you and the agent changed the same lines of answer.txt" in capsys.readouterr().out
    assert (place.root / "answer.txt").read_text() == "mine\n"


def test_the_sandbox_runs_a_persons_command_and_the_model_sees_it(talk):
    chat, printed = talk(["I saw it."], "!cat answer.txt; exit 3", "did you see?")
    assert "wrong\nexit 3" in printed
    assert "`cat answer.txt; exit 3` in the sandbox: exit 3\nwrong" in told_to_the_model(chat)[-1]


def test_a_file_that_is_named_is_told(talk):
    chat, _ = talk(["Yes."], "look at @answer.txt, and @nothing.txt")
    assert told_to_the_model(chat)[-1].endswith("look at @answer.txt, and @nothing.txt\n\nanswer.txt:\n```\nwrong\n```")


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"spaces\n", '"two words.txt"', "two words.txt:\n```\nspaces\n```"),
        ("größe\n".encode("cp1252"), "size.txt", "size.txt:\n```\ngröße\n```"),
        ("größe\n".encode("utf-16"), "wide.txt", "wide.txt:\n```\ngröße\n```"),
        (b"\x7fELF\0\1\2\3", "tool.bin", "tool.bin is a binary file of 8 bytes."),
        (b"x", "folder/one.txt", "folder/one.txt:\n```\nx\n```"),
    ],
)
def test_a_file_of_any_kind_that_is_named_is_told_as_text(talk, place, content, name, told):
    file = place.root / name.strip('"')
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    chat, _ = talk(["Yes."], f"look at @{name}")
    assert told_to_the_model(chat)[-1].endswith(f"look at @{name}\n\n{told}")


@pytest.mark.parametrize("name", ["folder", "folder/", "folder."])
def test_of_a_folder_that_is_named_its_list_is_told(talk, place, name):
    (place.root / "folder/inner").mkdir(parents=True)
    (place.root / "folder/inner/a").write_text("a")
    (place.root / "folder/b.txt").write_text("b")
    chat, _ = talk(["Yes."], f"what is in @{name}")
    assert told_to_the_model(chat)[-1].endswith(f"{name.rstrip('.')}, a folder:\n```\nb.txt\ninner/\n```")


@pytest.mark.parametrize(("name", "said"), [("nothing.txt", True), ("src/nothing", True), ('"no such file"', True), ("property", False)])
def test_a_person_hears_that_a_file_is_missing_and_the_turn_goes_on(talk, name, said):
    chat, printed = talk(["Yes."], f"use @{name}")
    assert told_to_the_model(chat)[-1].endswith(f"use @{name}")
    assert (f"{name.strip(chr(34))}: no such file in the sandbox" in printed) == said


@pytest.mark.parametrize("name", ["discard", "undo", "clear"])
def test_a_command_that_takes_nothing_refuses_what_follows_and_does_nothing(talk, name):
    chat, printed = talk([MEND, "Done."], "mend it", f"/{name} other.txt")
    assert f"/{name} takes nothing after it, so nothing was done" in printed
    assert chat.session.history.change()


@pytest.mark.parametrize("turn", ["x", "-1", "1.5", "one two"])
def test_a_fork_from_no_turn_is_refused(talk, turn):
    chat, printed = talk(["Yes."], "hello", f"/fork {turn}")
    assert f"{turn} is no turn; say the number" in printed
    assert len(list(chat.options.loops.glob(f"*/{layout.RECORD}"))) == 1


@pytest.mark.parametrize(
    ("text", "line", "told"), [("Review $ARGUMENTS.", "/review it", "Review it."), ("Review.", "/review it", "Review.\n\nit")]
)
def test_a_persons_own_command_is_a_text_for_the_model(talk, place, text, line, told):
    folder = layout.home_dir(place.root) / "commands"
    folder.mkdir()
    (folder / "review.md").write_text(text)
    chat, printed = talk(["Fine."], "/help", line)
    assert "/review" in printed
    assert told_to_the_model(chat)[-1].endswith(told)


@pytest.mark.parametrize("name", ["../../secret", "a/b", ".hidden"])
def test_a_command_outside_of_the_folder_is_none(talk, place, name):
    (place.root / "secret.md").write_text("secret")
    chat, _printed = talk(["Fine."], f"/{name}")
    assert told_to_the_model(chat) == []


def test_a_plan_reads_until_go(talk, place):
    chat, _printed = talk([MEND, "My plan.", MEND, "Done."], "/plan mend it", "go")
    first, second = chat.session.history.turns
    assert first.steps[0].observation.messages[0].content.startswith("error: this is a plan")
    assert second.steps[0].observation.messages[0].content.startswith("ok")
    assert chat.planning is False


def test_a_plan_ends_with_its_session(talk):
    chat, _ = talk(["Hello.", "My plan."], "hello", "/plan mend it", "/fork 1")
    assert (chat.planning, "plan: type go" in chat.status()) == (False, False)


def test_an_own_command_goes_before_a_shortened_one(talk, place):
    own = place.root / ".codagent" / "commands"
    own.mkdir(parents=True)
    (own / "re.md").write_text("Read it again.")
    chat, _ = talk(["Read."], "/re")
    assert told_to_the_model(chat)[-1].endswith("Read it again.")


class Interrupted(View):
    """A person who types Ctrl-C once, in the middle of the first reply."""

    def on_text(self, text):
        if self.meter.replies == 0 and not self.meter.broken_off().tokens:
            raise KeyboardInterrupt
        super().on_text(text)


def test_a_reply_that_was_stopped_is_told_apart_in_the_footer_also_after_the_session_goes_on(place):
    view = Interrupted(Ink(color=False))
    session = place.keep(begin(place.options(["A long answer.", "A short one."], display=view)))
    assert session.ask("hello").end == "interrupted"
    maybe = view.meter.broken_off().tokens
    assert (maybe > 1_000, view.meter.describe()) == (True, [f"maybe {short_number(maybe)} tokens more"])
    assert session.ask("").end == "finished"
    used = view.meter.describe()
    assert (used[0].endswith("out"), used[-1]) == (True, f"maybe {short_number(maybe)} tokens more")
    session.close()
    again = View(Ink(color=False))
    options = place.options(display=again)
    chat = Chat(options, again, Person(options.settings, SECRET, again.say))
    chat.switch(session.id)
    place.keep(chat.session)
    assert chat.status().count(f"maybe {short_number(maybe)} tokens more") == 1


def test_the_branch_in_the_footer_is_the_one_that_is_checked_out(talk, place):
    chat, _ = talk(["Hello."], "hello", "!true")
    assert chat.status().endswith("branch main")
    subprocess.run(["git", "switch", "-qc", "other"], cwd=place.root, check=True)
    chat._guard(lambda: True)
    assert chat.status().endswith("branch other")


@pytest.mark.parametrize("memory", [None, 0])
def test_what_is_typed_ahead_is_told_to_a_model_that_remembers(talk, memory):
    chat, _ = talk(["Hello."], "hello")
    chat._typed.asking = True
    chat.session._now.workspace.profile = replace(chat.session.profile, memory=memory)
    chat.listener().line("and more", "and more")
    assert (chat.session.take_untold(), chat._typed.lines.empty()) == (("and more", True) if memory is None else ("", False))


def test_checks_are_run_on_the_work(talk):
    _, printed = talk(DONE, "/check", "mend it", "/check", checks=("grep -q right answer.txt",))
    assert "the checks do not pass: grep -q right answer.txt" in printed
    assert printed.endswith("all checks pass\n")


def test_a_loop_is_handed_a_task_and_its_result_is_the_work(talk):
    replies = [call("bash", command="echo right > answer.txt"), call("finish", summary="put it right"), "It is right."]
    chat, printed = talk(replies, "/loop make it right", checks=("grep -q right answer.txt",))
    assert ", 1 attempt: every check passes;" in printed
    assert not layout.notes_path(chat.options.loops).exists()  # a loop that has passed needs no notes
    assert chat.session.history.change() is not None


def test_a_loop_without_checks_says_what_it_needs(talk):
    _, printed = talk([], "/loop make it right")
    assert "a loop needs checks" in printed


def test_the_model_is_changed_for_the_next_turn(talk, tmp_path):
    other = tmp_path / "other.json"
    other.write_text('["I am the other."]')
    chat, printed = talk(["I am the first."], "who are you?", f"/model scripted:{other}", "and you?", "/effort high", "/effort", "/cost")
    assert "I am the other." in printed
    assert "the effort is high" in printed
    assert [len(turn.prompt) for turn in chat.session.history.turns] == [2, 4]


def test_a_model_that_cannot_be_opened_leaves_the_one_before(talk):
    _, printed = talk(["Still here."], "/model embedded:nonsense", "are you there?")
    assert "Still here." in printed


def test_cleared_and_summed_up(talk):
    chat, printed = talk(["Blue.", "It was about colours.", "Hm?"], "what colour?", "/compact", "/clear", "what was it?", "/context")
    assert printed.count("It was about colours.") == 1
    assert "colour" not in told_to_the_model(chat)[-1]


def test_a_fork_and_the_way_back(talk):
    chat, printed = talk(["One.", "Two."], "one?", "two?", "/fork 1", "/resume")
    assert len(chat.session.history.turns) == 1
    assert "goes on after 1 turn" in printed
    chat, printed = talk(["One."], "one?", "/fork 7")
    assert "has 1 turn;" in printed


def test_a_transcript_is_written_and_never_over_another_file(talk, tmp_path):
    file = tmp_path / "talk.md"
    _, printed = talk(DONE, "mend it", f"/export {file}", f"/export {file}")
    assert "## mend it" in file.read_text()
    assert "Mended." in file.read_text()
    assert "is there already" in printed


def test_an_error_ends_the_turn_and_not_the_session(talk):
    _, printed = talk([], "one", "two")
    assert printed.count("has ended after 0 replies; Enter tries again") == 2


def test_an_empty_line_lets_the_model_try_again_after_a_failure_only(talk, tmp_path):
    chat, _ = talk(["Hello."], "", "hello", "")
    assert len(chat.session.history.turns) == 1
    chat, _ = talk([], "hello", "")
    assert len(chat.session.history.turns) == 2


def test_output_is_cut_and_expanded(talk):
    _, printed = talk([call("bash", command="seq 30"), "Thirty."], "count", "/expand 1", "/expand 9")
    assert "… 25 lines before; /expand 1 shows all" in printed
    assert "exit 0\n1\n2\n" in printed
    assert "there is no output 9" in printed


def test_a_long_edit_is_expanded_to_all_its_lines(talk):
    text = "".join(f"line {number}\n" for number in range(40))
    _, printed = talk([call("write", path="new.txt", content=text), "Written."], "write it", "/expand 1")
    assert "more lines; /expand 1 shows all" in printed
    assert printed.count("+line 39\n") == 1
    assert printed.count("+line 0\n") == 2


def test_output_that_was_cut_for_the_model_is_expanded_to_all_its_lines(talk):
    _, printed = talk([call("bash", command="seq 10001 13000"), "Many."], "count", "/expand")
    assert (printed.count("11500"), printed.count("12000"), "lines left out" in printed) == (1, 1, False)


HOSTILE = "\x1b]52;c;aGk=\x07\x1b]0;title\x07\x1b[2Jred\u202e \x9b31m"


@pytest.mark.parametrize(
    "replies",
    [
        [HOSTILE, "end"],
        [call("bash", command=f"printf '%b' {HOSTILE!r}"), "end"],
        [call("write", path="x.txt", content=HOSTILE), "end"],
        [{"content": "", "calls": [{"name": HOSTILE, "arguments": {"x": HOSTILE}}]}, "end"],
    ],
)
def test_hostile_output_is_harmless(talk, replies):
    _, printed = talk(replies, "go", "/diff", "/expand 1")
    assert [char for char in printed if char in "\x1b\x07\x9b\u202e\r"] == []


def test_no_branch_is_made(talk, place):
    talk(DONE, "mend it", "/apply")
    listing = subprocess.run(["git", "branch", "--format=%(refname:short)"], cwd=place.root, capture_output=True, text=True, check=True)
    assert listing.stdout == "main\n"


def test_the_record_of_a_session_is_loaded_like_any_other(talk, place):
    chat, _ = talk(DONE, "mend it", "!true")
    loop_id = chat.session.id
    chat.close()
    loop = load(place.loops / loop_id / layout.RECORD)
    assert [episode.task.instruction.partition(" ")[0] for episode in loop.attempts] == ["mend", "(The"]


def test_files_and_hunks_are_taken_over_by_name(talk, place):
    replies = [
        call("bash", command="seq 30 > many.txt"),
        "Written.",
        call("bash", command="sed -i 's/^[159]$/x/; s/^30$/y/' many.txt"),
        "Changed.",
    ]
    _chat, printed = talk(replies, "write", "/apply", "change", "/apply many.txt:9", "/apply many.txt:2", "/apply nothing.txt")
    lines = (place.root / "many.txt").read_text().splitlines()
    assert (lines[0], lines[29]) == ("1", "y")
    assert "many.txt:9 is not in the change" in printed
    assert "nothing.txt is not in the change; it has many.txt" in printed


@pytest.mark.parametrize("name", ["two words.txt", "it's.txt", 'a "b" c.txt', "tab\there.txt", "größe.txt"])
def test_a_file_is_taken_over_by_the_name_that_is_shown(talk, place, name):
    command = f"echo x > {shlex.quote(name)}; echo y > other.txt"
    _chat, printed = talk([call("bash", command=command), "Written."], "write", "/apply nothing.txt", f"/apply {quote_word(name)}")
    assert f"it has {join_names([quote_word(path) for path in sorted([name, 'other.txt'])])}" in printed
    assert ((place.root / name).read_text(), (place.root / "other.txt").exists()) == ("x\n", False)


@pytest.mark.parametrize(("named", "applied"), [("./new/", ["new/a.txt", "new/b.txt"]), (".", ["new/a.txt", "new/b.txt", "top.txt"])])
def test_a_folder_is_taken_over_as_the_command_takes_it(talk, place, named, applied):
    command = "mkdir new; echo x | tee new/a.txt new/b.txt > top.txt"
    talk([call("bash", command=command), "Written."], "write", f"/apply {named}")
    assert [path for path in ("new/a.txt", "new/b.txt", "top.txt") if (place.root / path).exists()] == applied


def test_the_way_out_of_a_conflict_of_a_chosen_file_takes_only_this_file(talk, place, capsys):
    chat, _ = talk([MEND, call("bash", command="echo x > other.txt"), "Done."], "mend it")
    (place.root / "answer.txt").write_text("mine\n")
    printed = say(chat, capsys, "/apply ./answer.txt")
    assert "\n/apply --markers ./answer.txt write both versions into the files" in printed
    printed = say(chat, capsys, "/apply --markers ./answer.txt")
    assert "these changes are in your files now, with conflict markers in answer.txt" in printed
    assert ("<<<<<<<" in (place.root / "answer.txt").read_text(), (place.root / "other.txt").exists()) == (True, False)


def say(chat, capsys, line):
    """Type a line into a session that is open, and return what is printed."""
    chat.listener().line(line, "")
    chat.run(Lines(chat.listener()), lambda: None)
    return capsys.readouterr().out


def test_an_edit_meanwhile_is_seen_by_the_next_turn(talk, place):
    chat, _ = talk(["Hello.", call("bash", command="cat mine.txt"), "Seen."], "hello")
    (place.root / "mine.txt").write_text("by hand\n")
    chat.listener().line("look", "")
    chat.run(Lines(chat.listener()), lambda: None)
    assert "by hand" in chat.session.history.turns[-1].steps[0].observation.messages[0].content


class Answering(Lines):
    """Types an answer when a line is read in the middle of a turn."""

    def __init__(self, listener, *answers):
        super().__init__(listener)
        self.answers = list(answers)

    def read(self):
        if self.answers:
            answer = self.answers.pop(0)
            self._listener.line(answer, answer)
        else:
            super().read()


@pytest.mark.parametrize(
    ("answers", "made", "told"),
    [
        (["y", "n"], [True, False], False),
        (["a"], [True, True], False),
        (["", "/diff", "y"], [False, True], False),
        (["use 7", "y"], [False, True], True),
    ],
)
def test_a_person_is_asked_about_the_calls_of_a_server(place, capsys, answers, made, told):
    server = McpServer("demo", sys.executable, (str(Path(__file__).parents[2] / "mcp/server.py"),), approval="ask")
    view = View(Ink(color=False))
    options = place.options([call("mcp__demo__add", a=2, b=3), call("mcp__demo__add", a=2, b=4), "Done."], display=view, servers=(server,))
    chat = Chat(options, view, Person(options.settings, SECRET, view.say))
    listener = chat.listener()
    listener.line("add", "add")
    chat.run(Answering(listener, *answers), lambda: None)
    place.keep(chat.session)
    (turn,) = chat.session.history.turns
    assert [step.observation.messages[0].content.startswith("ok") for step in turn.steps[:2]] == made
    assert any(message.content == "use 7" for step in turn.steps for message in step.observation.messages) == told
    assert 'the model wants to call mcp__demo__add {"a": 2, "b": 3}\nmay this call be made?' in capsys.readouterr().out


def test_the_limits_are_those_of_the_files_as_they_are_now_and_nobody_is_asked(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    config, theirs = tmp_path / "config/codagent/config.toml", place.root / "codagent.toml"
    config.parent.mkdir(parents=True)
    config.write_text("max_steps = 20\nmax_tokens = 1000\n")
    theirs.write_text("max_steps = 30\n[[hooks]]\nevent = 'SessionStart'\ncommand = 'true'\n")
    limits = read_limits(place.root, {"max_tokens": 500}, wait_s=7.0)
    assert (limits.steps, limits.tokens, limits.wait, capsys.readouterr()) == (20, 500, 7.0, ("", ""))
    theirs.write_text("max_steps = 10\n")
    assert read_limits(place.root, {}, wait_s=7.0).steps == 10
