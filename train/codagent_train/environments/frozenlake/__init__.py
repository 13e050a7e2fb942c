"""FrozenLake-Obscure (arXiv 2606.20002): its rules, its texts, and how well it can be played."""
