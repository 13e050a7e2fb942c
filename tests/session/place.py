"""Sessions about a repository, in the local sandbox with a scripted model."""

import json
import subprocess

from codagent.cli.terminal.progress import ProgressLines
from codagent.runner.model import Access
from codagent.runner.spec import Person
from codagent.session.opening import SessionOptions, begin, resume
from codagent.settings.settings import Settings
from codagent.store import layout

SECRET = b"s" * 32


def call(name, *, text="", **arguments):
    return {"content": text, "calls": [{"name": name, "arguments": arguments}]}


def make_repository(root):
    root.mkdir()
    (root / "answer.txt").write_text("wrong\n")
    (root / "AGENTS.md").write_text("Be brief.\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=root, check=True)
    return root


class Place:
    """Opens sessions, and closes them at the end."""

    def __init__(self, root, tmp_path):
        self.root, self._tmp_path = root, tmp_path
        self.loops = layout.make_loops_dir(layout.home_dir(root))
        self.answers, self.said, self._opened = [], [], []

    def options(self, replies=None, display=None, **settings):
        file = self._tmp_path / f"script{len(list(self._tmp_path.glob('script*')))}.json"
        if replies is not None:
            file.write_text(json.dumps(replies))
        model = {"model": f"scripted:{file}"} if replies is not None else {}
        chosen = Settings(**{"sandbox": "local", **model, **settings}, asked=frozenset({**model, **settings}))
        if display is None:
            display = ProgressLines(live=False)
            display.say = self.said.append
        return SessionOptions(
            self.root, self.loops, chosen, Access(secret=SECRET), display, getattr(display, "on_answer", self.answers.append)
        )

    def begin(self, *replies, **settings):
        return self.keep(begin(self.options(replies, **settings)))

    def resume(self, wanted=None, *, replies=None, **settings):
        options = self.options(replies, **settings)
        return self.keep(resume(options, wanted, Person(options.settings, SECRET, self.said.append)))

    def keep(self, session):
        self._opened.append(session)
        return session

    def close(self):
        for session in self._opened:
            session.close()
            session.runner.close()
