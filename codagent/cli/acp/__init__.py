"""Sessions for an editor, over the Agent Client Protocol (https://agentclientprotocol.com): JSON-RPC on standard input and output."""
