"""A pytest plugin that reports every test, and proves with canaries that pytest reports what really happens."""

from __future__ import annotations

import json
import re
import secrets
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from _pytest.assertion import util
from _pytest.runner import runtestprotocol

from .audit import Workspace
from .sources import Sources, shift_doctests
from .watch import Watch

_PLACES = 5  # how many random tests have canaries before them
_SHOWN = 8  # failures that are shown whole; the others cost little time, also where twins make all tests fail


class Gate:
    """The plugin. It runs tests as pytest does. It runs canaries in the same way, but does not report them to pytest."""

    def __init__(self, judge: socket.socket, orders: Mapping[str, Any]) -> None:
        """Start watching, and tell `judge` what happens."""

        def tell(kind: str, **facts: Any) -> None:
            judge.sendall(json.dumps({"kind": kind, **facts}).encode() + b"\n")

        self._judge = judge
        self._journal, self._orders, self._workspace = tell, orders, Workspace(orders["workspace"], orders["tests"])
        self._watch = Watch(tell, self._workspace, Sources(self._workspace, orders["sources"]))
        self._watch.install()
        self._places: set[str] = set()
        self._failures = 0

    def finish(self, code: int) -> None:
        """Tell the judge that the session has ended, with pytest's exit code, and wait until it knows."""
        self._journal("opened", times=self._watch.reading.times)
        self._journal("finished", code=code)
        self._judge.recv(1)

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        self._watch.remember_runner()

    def pytest_configure(self, config: Any) -> None:
        config.option.maxfail = 0

    def pytest_plugin_registered(self, plugin: object) -> None:
        self._watch.check_plugin(plugin)

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome != "passed":
            self._journal("uncollected", id=report.nodeid, outcome=report.outcome)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: Any) -> None:
        self._watch.introspection.guard({module.obj for item in session.items if (module := item.getparent(pytest.Module))})
        self._watch.check_shadowed()
        fit = [item.nodeid for item, before in zip(session.items, [None, *session.items]) if _may_follow(before, item)]  # noqa: B905
        self._places = {*fit[:1], *fit[-1:], *secrets.SystemRandom().sample(fit, min(_PLACES, len(fit)))}
        files = {item.nodeid.partition("::")[0]: self._workspace.locate(item.path) for item in session.items}
        doctests = shift_doctests(session.items, self._orders["salt"], self._orders["half"])
        self._journal("collected", ids=[item.nodeid for item in session.items], canaries=bool(fit), files=files, doctests=doctests)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> bool:
        if item.nodeid in self._places:
            self._run_canaries(_make_canaries(item), item)
        last = _make_canaries(item) if nextitem is None else []
        self._run(item, last[0][1] if last else nextitem)
        self._run_canaries(last, None)
        if nextitem is None:
            self._watch.check_foreign()
        return True

    def _run(self, item: Any, nextitem: Any) -> None:
        self._journal("running", id=item.nodeid)
        if self._failures > _SHOWN:
            util._reprcompare = None  # pytest sets it for each test; to explain what differs is most of the work of a twin
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            self._journal("report", id=item.nodeid, when=report.when, outcome=report.outcome, xfail=hasattr(report, "wasxfail"))
            item.ihook.pytest_runtest_logreport(report=report)
            self._failures += report.outcome == "failed"
        if self._failures > _SHOWN:
            item.config.option.tbstyle = "line"
        last_of_file = nextitem is None or nextitem.path != item.path
        self._watch.check_replaced(all_of_pytest=last_of_file)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _run_canaries(self, canaries: list[tuple[str, Any]], then: Any) -> None:
        following = [canary for _, canary in canaries[1:]] + [then]
        for (want, canary), nextitem in zip(canaries, following):  # noqa: B905 - Python 3.9
            outcomes = {report.when: report.outcome for report in runtestprotocol(canary, log=False, nextitem=nextitem)}
            self._journal("canary", want=want, setup=outcomes.get("setup"), call=outcomes.get("call"))


def _may_follow(before: Any, item: Any) -> bool:
    """Whether a test of the module of `item` can be run between two tests: not when both are in a class, which then stays set up."""
    shared = set(before.listchain() if before else ()) & set(item.listchain())
    return bool(item.getparent(pytest.Module)) and not any(isinstance(node, pytest.Class) for node in shared)


def _make_canaries(near: Any) -> list[tuple[str, Any]]:
    """Return one test that must fail and one that must pass, in the module of the test `near` and with similar names."""
    module = near.getparent(pytest.Module)
    return [(want, _make_canary(module, near.name, want)) for want in ("failed", "passed")] if module else []


def _make_canary(module: Any, like: str, want: str) -> Any:
    name = f"test_{secrets.choice(re.findall(r'[a-z]{3,}', like) or ['case'])}_{secrets.token_hex(2)}"
    failure = f"raise AssertionError('assert {secrets.randbelow(100)} == {100 + secrets.randbelow(100)}')"
    made: dict[str, Any] = {}
    # A function without a source costs pytest little to show when it fails.
    exec(f"def {name}():\n    {failure if want == 'failed' else 'pass'}", made)  # noqa: S102
    return pytest.Function.from_parent(module, name=name, callobj=made[name])
