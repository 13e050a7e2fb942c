"""HTTP to a model server: the client, the rules for repeating a request, and preparation in the background."""
