"""What is learned from right answers, word for word: lessons, best play, and recorded attempts that passed."""
