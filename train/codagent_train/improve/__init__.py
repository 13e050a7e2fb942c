"""One command from a repository to an adapter: tasks, loops, training, evaluation before and after, and a page that shows them."""
