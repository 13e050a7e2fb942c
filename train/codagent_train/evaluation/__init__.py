"""How well a policy plays, and how well it could."""
