"""Connect the Dots on recorded loops; not built yet."""
