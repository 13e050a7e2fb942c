"""Imitations of model providers, as strict as their documentation and their public error reports say. No real provider is asked."""
