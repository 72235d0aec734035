"""Simulated coronagraphic exposures of NIRCam and MIRI: a target, its reference star, backgrounds."""
