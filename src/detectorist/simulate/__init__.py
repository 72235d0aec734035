"""Simulated scenes, detectors and reference files, with their truth."""
