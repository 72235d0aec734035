"""Coronagraphic images: the halo of the star, its subtraction, and what companions could be seen."""
