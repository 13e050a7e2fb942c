"""Changes to the user's files: a change is applied, as a whole or in part, and taken back."""
