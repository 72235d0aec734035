"""Ramps before their slopes are fitted: groups, response, offsets, saturation, cosmic-ray events and persistence."""
