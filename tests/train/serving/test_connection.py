"""What an endpoint holds for its clients, and what it answers to what is no request; by real connections to a server that echoes."""

import io
import json
import socket
import sys
import threading
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep

import pytest

from codagent_train.serving import connection as connections
from codagent_train.serving.bounds import MAX_ACTIVE, MAX_HELD_BYTES, MAX_IDLE, ConnectionLimits
from codagent_train.serving.connection import MAX_BODY_BYTES, BoundedRequestHandler, BoundedServer

HOLD = threading.Event()


class Echo(BoundedRequestHandler):
    def do_POST(self):
        self.dispatch({"/": lambda body: self.send(200, body), "/hold": self._hold, "/bug": lambda body: self.send(200, body["bug"] / 0)})

    def _hold(self, body):
        HOLD.wait(280)
        self.send(200, {})


@pytest.fixture
def server():
    HOLD.clear()
    with BoundedServer(("127.0.0.1", 0), Echo) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        HOLD.set()
        found.shutdown()
        thread.join()


def head(server, *lines, path="/", key=None):
    named = (f"POST {path} HTTP/1.1", "host: x", f"authorization: Bearer {key or server.key}", *lines)
    return "".join(f"{line}\r\n" for line in (*named, "")).encode()


def posted(server, body, path="/", key=None):
    return head(server, f"content-length: {len(body)}", path=path, key=key) + body


@contextmanager
def connected(server, said=b""):
    with socket.create_connection(server.server_address, timeout=120) as connection:
        connection.sendall(said)
        yield connection


def answer(connection):
    """The status and the body of one answer."""
    with connection.makefile("rb") as opened:
        status = int(opened.readline().split()[1])
        headers = {}
        while line := opened.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, json.loads(opened.read(int(headers["content-length"])))


def asked(server, said):
    with connected(server, said) as connection:
        return answer(connection)


def test_the_key_is_looked_for_before_the_body_comes(server):
    status, said = asked(server, head(server, f"content-length: {MAX_BODY_BYTES}", key="wrong"))
    assert (status, said["error"]["code"]) == (401, 401)


def test_a_body_without_a_key_is_not_held_and_its_sender_reads_why(server):
    assert asked(server, posted(server, b" " * MAX_BODY_BYTES, key="wrong"))[0] == 401


def test_a_client_that_waits_to_be_told_to_go_on_is_told_so_only_with_the_key(server):
    expects = ("content-length: 2", "expect: 100-continue")
    assert asked(server, head(server, *expects, key="wrong"))[0] == 401
    with connected(server, head(server, *expects)) as connection:
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert answer(connection) == (200, {})


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["content-length: -1"], 400),
        (["content-length: 2", "content-length: 2"], 400),
        (["content-length: 2", "content-length: 3"], 400),
        (["content-length: 2, 2"], 400),
        (["content-length: +2"], 400),
        (["content-length: 1_0"], 400),
        (["content-length: 0x2"], 400),
        (["content-length: \u00b2"], 400),
        (["content-length: " + "9" * 5001], 400),
        ([f"content-length: {MAX_BODY_BYTES + 1}"], 413),
        (["transfer-encoding: chunked"], 411),
        (["transfer-encoding: chunked", "content-length: 2"], 411),
        (["x: " + "x" * 70_000], 431),
        ([f"x{number}: {'x' * 600}" for number in range(200)], 431),
        ([f"x{number}: x" for number in range(200)], 431),
    ],
)
def test_what_is_no_head_is_refused(server, lines, status):
    found, said = asked(server, head(server, *lines) + b"{}")
    assert (found, said["error"]["code"]) == (status, status)
    assert len(said["error"]["message"].splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"POST /" + b"x" * 200_000, 431), (b"x\r\n\r\n", 400), (b"POST / HTTP/9.9\r\n\r\n", 505), (b"BREW / HTTP/1.1\r\n\r\n", 501)],
)
def test_a_line_that_never_ends_or_is_none_is_refused(server, line, status):
    found, said = asked(server, line)
    assert (found, said["error"]["code"]) == (status, status)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000 + b"]" * 50_000,
        b'{"x": ' + b"1" * 5001 + b"}",
        b'{"x": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'{"x": NaN}',
        b'{"x": [-Infinity]}',
        b'{"x": 1e999}',
        b'{"x": "\xff"}',
        b"{} {}",
        b"1",
        b"null",
        b'"x"',
    ],
)
def test_what_is_no_json_object_is_refused(server, body):
    status, said = asked(server, posted(server, body))
    assert (status, "the request is not" in said["error"]["message"]) == (400, True)


def test_a_body_that_ends_too_early_is_refused(server):
    with connected(server, head(server, "content-length: 20") + b'{"x": ') as connection:
        connection.shutdown(socket.SHUT_WR)
        status, said = answer(connection)
    assert (status, said["error"]["message"]) == (400, "the body of the request ended after 6 of 20 bytes")


def test_a_body_that_comes_too_slowly_is_refused_though_some_of_it_always_comes(server, monkeypatch):
    monkeypatch.setattr(connections, "_READ_TIMEOUT_S", 0.5)
    began = monotonic()
    with connected(server, head(server, "content-length: 2000")) as connection:
        connection.settimeout(0.1)
        data = b""
        while not data and monotonic() < began + 120:
            connection.sendall(b" ")
            try:
                data = connection.recv(1000)
            except TimeoutError:
                continue
    assert b"408" in data
    assert monotonic() - began < 100  # without a limit it would wait for 2,000 bytes, one in a tenth of a second


def test_requests_follow_each_other_on_one_connection_until_one_is_not_read(server):
    with connected(server, posted(server, b'{"x": 1}') + posted(server, b'{"x": 2}')) as connection, connection.makefile("rb") as opened:
        connection.sendall(posted(server, b'{"x": 3}', key="wrong"))
        said = opened.read().decode()
    assert [said.count(part) for part in ('{"x": 1}', '{"x": 2}', "401")] == [1, 1, 2]  # as status and as code


def test_a_bug_is_told_to_the_client_and_the_next_one_is_answered(server, monkeypatch):
    written = io.StringIO()  # to read what pytest captures would drop what is written meanwhile
    monkeypatch.setattr(sys, "stderr", written)
    status, said = asked(server, posted(server, b'{"bug": 1}', path="/bug"))
    assert (status, "a bug" in said["error"]["message"]) == (500, True)
    assert asked(server, posted(server, b"{}")) == (200, {})
    deadline = monotonic() + 120
    while "ZeroDivisionError" not in written.getvalue() and monotonic() < deadline:  # the answer goes out before the traceback is whole
        sleep(0.01)
    assert "ZeroDivisionError" in written.getvalue()


def test_clients_that_say_nothing_or_little_neither_shut_others_out_nor_have_threads_without_number(server):
    before = threading.active_count()
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(server, b"POST / HT" if number % 2 else b"")) for number in range(3 * MAX_IDLE)]
        assert asked(server, posted(server, b"{}")) == (200, {})
        until = monotonic() + 120
        while threading.active_count() > before + MAX_IDLE and monotonic() < until:
            sleep(0.01)
        assert threading.active_count() <= before + MAX_IDLE
        assert silent[0].recv(1) == b""  # the oldest was closed


def test_what_is_answered_at_a_time_is_bounded_and_more_is_refused(server):
    with ExitStack() as stack:
        held = [stack.enter_context(connected(server, posted(server, b"{}", path="/hold"))) for _ in range(MAX_ACTIVE)]
        until = monotonic() + 120
        while server.limits._active < MAX_ACTIVE and monotonic() < until:
            sleep(0.01)
        status, said = asked(server, posted(server, b"{}"))
        assert (status, "ask again later" in said["error"]["message"]) == (503, True)
        HOLD.set()
        assert {answer(connection)[0] for connection in held} == {200}
    assert asked(server, posted(server, b"{}")) == (200, {})


def test_the_bytes_of_all_bodies_together_are_bounded(server):
    whole = MAX_HELD_BYTES // MAX_BODY_BYTES
    with ExitStack() as stack:
        for _ in range(whole):
            stack.enter_context(connected(server, head(server, f"content-length: {MAX_BODY_BYTES}")))
        until = monotonic() + 120
        while server.limits._held_bytes < MAX_HELD_BYTES and monotonic() < until:
            sleep(0.01)
        assert asked(server, head(server, "content-length: 2") + b"{}")[0] == 503
    until = monotonic() + 120
    while server.limits._held_bytes and monotonic() < until:
        sleep(0.01)
    assert asked(server, posted(server, b"{}")) == (200, {})


def test_bounds_are_counted_down_when_a_request_fails():
    limits = ConnectionLimits()
    here, there = socket.socketpair()
    with here, there:
        with pytest.raises(ZeroDivisionError), limits.reserve(here, 5):
            raise ZeroDivisionError
        assert (limits._active, limits._held_bytes, list(limits._idle)) == (0, 0, [here])
