"""Commands on recorded loops."""
