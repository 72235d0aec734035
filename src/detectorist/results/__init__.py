"""Reductions in a notebook: one call, and results that display themselves."""
