"""A stand-in for the harbor framework: the names that the adapter imports, with the shapes of harbor 0.26. harbor needs Python 3.12."""
