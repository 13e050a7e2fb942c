"""What a person asked for: settings files, environment variables, flags and task files, validated."""
