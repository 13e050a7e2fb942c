"""Work in a plain folder, which is no git repository."""
