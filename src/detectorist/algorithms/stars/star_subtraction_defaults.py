"""Defaults of `star_subtraction`, apart from the algorithm, whose import takes a second."""

#: Width of the rings (pixel), and the most modes that are fitted on each.
RING_PIX, MOST_MODES = 12.0, 10
