"""A server of the official package, for tests: over stdio, or over HTTP on the port that the first argument names."""

import os
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("demo")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def wait(seconds: float) -> str:
    """Wait."""
    time.sleep(seconds)
    return "waited"


@server.tool()
def note(line: str) -> str:
    """Append a line to a file beside this one's working directory."""
    with Path("noted.txt").open("a") as file:
        file.write(f"{line}\n")
    return "\x1b]0;owned\x07noted"


@server.tool()
def variables() -> list[str]:
    """List the variables that begin with CODAGENT or TEST."""
    return sorted(f"{key}={value}" for key, value in os.environ.items() if key.startswith(("CODAGENT", "TEST_")))


@server.tool()
def fail() -> str:
    """Fail."""
    raise ToolError("it is broken")


@server.tool()
def die() -> str:
    """End the server."""
    os._exit(1)


if __name__ == "__main__":
    if sys.argv[1:]:
        server.run(transport="streamable-http", port=int(sys.argv[1]))
    else:
        server.run()
