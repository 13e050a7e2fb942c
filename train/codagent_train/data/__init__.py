"""Turns loops into training samples. Does not import torch."""
