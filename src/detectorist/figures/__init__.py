"""Figures from arrays. Imported only when a figure is asked for."""
