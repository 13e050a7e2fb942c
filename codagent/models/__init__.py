"""Models behind one Protocol: how each is reached, what is known of it, and how it calls tools."""
