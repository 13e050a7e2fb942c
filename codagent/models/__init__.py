"""Models behind the one Protocol, and what is known of each."""
