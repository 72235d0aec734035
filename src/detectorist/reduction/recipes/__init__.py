"""Recipes and settings: which steps run, with which parameters."""
