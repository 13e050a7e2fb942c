"""HTTP to a model server: the client, when a request is made again, and what is prepared in the background."""
