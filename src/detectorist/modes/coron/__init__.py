"""Coronagraphy with NIRCam and MIRI, stage 1: raw ramps to rates."""
