"""Spectra moved by a fraction of a pixel, with what that does to their errors."""

from __future__ import annotations

import numpy as np



