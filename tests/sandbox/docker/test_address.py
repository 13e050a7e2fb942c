"""Which engine is spoken to: engines that answer on sockets of their own, where docker's configuration or a habit puts them."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from tempfile import TemporaryDirectory

import pytest

from codagent.errors import SandboxError
from codagent.sandbox.docker import address
from codagent.sandbox.docker.engine import connect, describe_engine, negotiate_version

INFO = {"OSType": "linux", "MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": True, "SecurityOptions": ["name=seccomp,profile=default"]}


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def engine(path, version="1.2.3", **info):
    """Answers at a socket as an engine does that is asked what it is."""
    told = {"version": {"Version": version, "ApiVersion": "1.41"}, "info": INFO | info}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = json.dumps(told[self.path.rpartition("/")[2]]).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self):
            return "socket"

        def log_message(self, *_):
            pass

    path.parent.mkdir(parents=True, exist_ok=True)
    server = Server(str(path), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"unix://{path}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine on which no engine runs: no sockets, no configuration."""
    with TemporaryDirectory(prefix="m-") as folder:  # the path of a socket has about a hundred bytes
        home = Path(folder)
        for name in (
            "DOCKER_HOST",
            "DOCKER_CONTEXT",
            "DOCKER_CONFIG",
            "DOCKER_TLS_VERIFY",
            "DOCKER_CERT_PATH",
            "XDG_CONFIG_HOME",
            "COLIMA_HOME",
        ):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
        monkeypatch.setattr(address, "DEFAULT_SOCKET", home / "default.sock")
        yield home


def configure(folder, current=None, **contexts):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"currentContext": current} if current else {}))
    for name, endpoint in contexts.items():
        meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        meta.mkdir(parents=True)
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))


def test_the_default_socket_is_used_when_nothing_else_is_chosen(machine):
    with engine(machine / "default.sock") as url, engine(machine / "run/docker.sock", "9.9"):
        assert describe_engine() == f"1.2.3 at {url} (the default socket)"


def test_a_context_in_use_is_the_only_engine_even_when_another_runs(machine):
    with engine(machine / "default.sock"):
        configure(machine / ".docker", "far", far={"Host": "unix:///nonexistent/far.sock", "SkipTLSVerify": False})
        with pytest.raises(SandboxError, match=r"at unix:///nonexistent/far.sock \(the docker context 'far': "):
            connect()


def test_a_context_in_use_is_where_the_engine_is_found(machine):
    with engine(machine / "other.sock") as url:
        configure(machine / ".docker", "near", near={"Host": url})
        assert describe_engine() == f"1.2.3 at {url} (the docker context 'near')"


def test_docker_host_is_before_docker_context_and_that_before_the_context_in_use(machine, monkeypatch):
    with engine(machine / "a.sock", "a") as a, engine(machine / "b.sock", "b") as b, engine(machine / "c.sock", "c") as c:
        configure(machine / "elsewhere", "used", used={"Host": c}, named={"Host": b})
        monkeypatch.setenv("DOCKER_CONFIG", str(machine / "elsewhere"))
        assert describe_engine().startswith("c at ")
        monkeypatch.setenv("DOCKER_CONTEXT", "named")
        assert describe_engine().startswith("b at ")
        monkeypatch.setenv("DOCKER_HOST", a)
        assert describe_engine() == f"a at {a} (DOCKER_HOST)"


def test_the_context_default_is_the_machine_s_own_engine(machine, monkeypatch):
    with engine(machine / "default.sock", "own"):
        configure(machine / ".docker", "far", far={"Host": "unix:///nonexistent/far.sock"})
        monkeypatch.setenv("DOCKER_CONTEXT", "default")
        assert describe_engine().startswith("own at ")


def test_a_context_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(SandboxError, match="docker context 'gone', chosen by DOCKER_CONTEXT, is not there"):
        connect()


@pytest.mark.parametrize("content", ["{", "[]", '"x"', "\ud800"])
def test_a_configuration_that_cannot_be_read_is_named(machine, content):
    (machine / ".docker").mkdir()
    (machine / ".docker/config.json").write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(SandboxError, match=r"config\.json .*set DOCKER_HOST"):
        connect()


@pytest.mark.parametrize("endpoints", [{}, {"docker": None}, {"docker": {}}, []])
def test_a_context_without_an_engine_is_named(machine, endpoints):
    configure(machine / ".docker", "k8s", k8s={})
    (file,) = machine.glob(".docker/contexts/meta/*/meta.json")
    file.write_text(json.dumps({"Name": "k8s", "Endpoints": endpoints}))
    with pytest.raises(SandboxError, match="docker context 'k8s' has no docker endpoint"):
        connect()


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("run/docker.sock", "rootless Docker"),
        (".docker/run/docker.sock", "Docker Desktop"),
        (".docker/desktop/docker.sock", "Docker Desktop"),
        (".orbstack/run/docker.sock", "OrbStack"),
        (".colima/default/docker.sock", "Colima"),
        (".config/colima/default/docker.sock", "Colima"),
        (".rd/docker.sock", "Rancher Desktop"),
        ("run/podman/podman.sock", "Podman"),
    ],
)
def test_engines_are_found_at_their_usual_sockets(machine, place, name):
    with engine(machine / place) as url:
        assert describe_engine() == f"1.2.3 at {url} ({name})"


def test_a_socket_that_an_engine_left_behind_is_passed_over(machine):
    with engine(machine / "default.sock"):
        pass
    with engine(machine / "run/docker.sock", "rootless"):
        assert describe_engine().startswith("rootless at ")
    negotiate_version.cache_clear()  # as in another process
    with pytest.raises(SandboxError, match=r"default\.sock .*run/docker\.sock .*start it"):
        connect()


def test_what_an_engine_lacks_is_told(machine):
    with engine(machine / "default.sock", MemoryLimit=False, PidsLimit=False, SecurityOptions=["name=rootless"]):
        assert describe_engine().endswith("; it lacks limits of memory, limits of processes, a filter of system calls (seccomp)")


def test_an_engine_of_windows_containers_is_refused(machine):
    with engine(machine / "default.sock", OSType="windows"), pytest.raises(SandboxError, match="switch it to Linux containers"):
        describe_engine()


def test_a_context_s_certificates_are_used(machine):
    configure(machine / ".docker", "tls", tls={"Host": "tcp://127.0.0.1:1", "SkipTLSVerify": True})
    folder = machine / ".docker/contexts/tls" / hashlib.sha256(b"tls").hexdigest() / "docker"
    folder.mkdir(parents=True)
    (found,) = address.find_addresses()
    assert (found.certificates, found.verify) == (folder, False)
