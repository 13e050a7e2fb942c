"""Grid navigation: hidden cost maps, moves, texts, and how well it can be played."""
