"""Runs of many exposures, on several processes or machines."""
