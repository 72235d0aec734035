"""From raw JWST exposures to science-ready products, where the standard pipeline leaves off."""

from importlib.metadata import version

__version__ = version("detectorist")
