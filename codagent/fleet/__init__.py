"""Many loops at a time: task files, and the instances of a benchmark."""
