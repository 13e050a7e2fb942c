"""PDE discovery: find the reaction term of a diffusion equation from a few samples."""
