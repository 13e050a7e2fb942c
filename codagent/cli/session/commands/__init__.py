"""The commands of a session that begin with a slash, in a module for each group."""
