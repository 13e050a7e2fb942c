"""Every slash command of a session in one real terminal, on a change of three hunks."""

import json
import re

from codagent.cli.session.commands import table
from tests.cli.session.terminal import Terminal
from tests.session.place import call, make_repository

ANSWERS = (  # what is typed, and a part of the answer, in this order
    ("/help", "show the latest output in full"),
    ("change three places", "1 file changed, 3 insertions(+), 3 deletions(-)"),
    ("/model", "/model NAME takes another"),
    ("/effort nonsense", "there is no effort 'nonsense'"),
    ("/cost", "tokens sent"),
    ("/context", "of 128k tokens"),
    ("/expand 1", "exit 0"),
    ("/diff long.txt:2", "+B"),
    ("/check", "all checks pass"),
    ("/apply long.txt:1,3", "these changes are in your files now"),
    ("/undo", "taken back: long.txt"),
    ("/apply long.txt:1,3", "1 file changed, 1 insertion(+), 1 deletion(-)"),
    ("/notes", "there are no notes"),
    ("/export", "written: "),
    ("/plan look around", "It would be easy."),
    ("/plan off", "all tools may be used again"),
    ("/loop", "say what the loop has to do"),
    ("/doctor", "sandbox"),
    ("/fork 1", "begins after turn 1"),
    ("/resume", "/resume ID goes on"),
    ("/compact", "the conversation goes on with this summary"),
    ("/discard", "is dropped"),
    ("/clear", "the conversation is forgotten"),
    ("/frobnicate", "there is no command /frobnicate"),
    ("quit", "is kept"),
)


def test_every_slash_command_answers_in_a_terminal(tmp_path):
    root = make_repository(tmp_path / "repository")
    lines = [f"line {number}\n" for number in range(60)]
    (root / "long.txt").write_text("".join(lines))
    script = tmp_path / "script.json"
    change = call("bash", command="sed -i '5s/.*/A/; 30s/.*/B/; 55s/.*/C/' long.txt")
    script.write_text(json.dumps([change, "Changed.", "It would be easy."]))
    command = ("session", "--sandbox", "local", "--check", "true", "--model", f"scripted:{script}")
    with Terminal(root, tmp_path, *command, columns=250) as terminal:  # the path of the script breaks no answer in two
        for typed, answer in ANSWERS:
            terminal.send(typed)
            terminal.wait_for(answer, seconds=60)
        assert terminal.read_to_the_end() == 0
    lines[4], lines[54] = "A\n", "C\n"  # two of three hunks
    assert (root / "long.txt").read_text() == "".join(lines)
    tried = {match[1] for typed, _ in ANSWERS if (match := re.match(r"/?(\w+)", typed))}
    assert {*table.commands(), "help", table.QUIT} <= tried
