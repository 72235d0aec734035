"""Reductions for people in a notebook: one call, and results that show what matters."""
