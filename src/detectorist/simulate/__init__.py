"""Scenes, detectors and reference files that are made up, with their truth kept."""
