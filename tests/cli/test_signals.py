"""A signal ends a command, whatever Python does at that moment."""

import signal
import subprocess
import sys

import pytest

BEGIN = """
import os, signal, sys, time, weakref
from codagent.cli import signals
signal.signal(signal.SIGINT, signal.default_int_handler)
signals.listen()

def interrupt(*_):
    os.kill(os.getpid(), {number})
    for _ in range(1000): pass

class Thing:
    def __del__(self): self.end()
"""
DROPPING = {
    "a destructor": "Thing.end = interrupt; thing = Thing(); del thing",
    "a callback of a weak reference": "Thing.end = print; thing = Thing(); weak = weakref.ref(thing, interrupt); del thing",
    "the end of a generator": """
def generate():
    try: yield
    finally: interrupt()
generator = generate(); next(generator); del generator""",
}
END = """
try:
    time.sleep(100)
except KeyboardInterrupt:
    sys.exit(signals.exit_code(signals.INTERRUPTED))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
@pytest.mark.parametrize("moment", DROPPING)
def test_a_signal_that_python_would_drop_ends_the_command(number, code, moment):
    program = BEGIN.format(number=int(number)) + DROPPING[moment] + END
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")


IMPORTING = """
import importlib, signal, sys, threading, time
from codagent.cli import signals
signals.listen()
main, ready, over, interrupts = threading.main_thread().ident, threading.Event(), threading.Event(), 0

def load(*names):
    for name in names:
        sys.modules.pop(name, None)
        importlib.import_module(name)

def load_until_over():
    while not over.is_set(): load("colorsys", "sched")

def interrupt_until_over():
    while ready.wait() and not over.is_set():
        ready.clear()
        time.sleep(0.001)
        signal.pthread_kill(main, signal.SIGINT)

threads = [threading.Thread(target=act, daemon=True) for act in (load_until_over, interrupt_until_over)]
for thread in threads: thread.start()
while interrupts < 300:
    try:
        ready.set()
        while True: load("bisect", "keyword")
    except KeyboardInterrupt:
        interrupts += 1
over.set()
ready.set()
for thread in threads: thread.join(20)
print([thread.is_alive() for thread in threads])
"""


def test_interrupts_keep_no_other_thread_from_importing():
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[False, False]\n", "")


def test_another_error_that_python_drops_is_told_as_ever():
    program = BEGIN.format(number=0) + "Thing.end = lambda self: 1 / 0; thing = Thing(); del thing; print('on')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, "ZeroDivisionError" in done.stderr) == (0, "on\n", True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_error_that_follows_a_signal_does_not_hide_it(number, code):
    program = f"""
import sys, typer
import codagent.cli.app
from codagent.cli import main, signals
from codagent.errors import UsageError

def refuse(**_):
    signals._received.append({int(number)})  # and the KeyboardInterrupt was dropped
    raise UsageError("a session needs a terminal")

codagent.cli.app.app = refuse
sys.argv = ["codagent", "session"]
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "codagent: interrupted\n")
