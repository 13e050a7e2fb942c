"""Tools of MCP servers (https://modelcontextprotocol.io). The servers run on this machine or elsewhere, never in the sandbox."""
