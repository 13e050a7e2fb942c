"""FrozenLake-Obscure: its rules, how it is put into words, and how well it can be played."""
