"""Ramps before their slopes are fitted: groups, response, offsets, saturation, and what strikes or glows in them."""
