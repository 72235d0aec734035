"""One exposure and its result, as reports and results read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Exposure:
    """One exposure and its result.

    Attributes
    ----------
    products : tuple of str
        Paths of what was written.
    numbers : dict
        Of the exposure as a whole.
    steps : dict
        {part of the exposure: {step: numbers}}, as the steps recorded them.
    resolved : dict
        Every parameter in force; {} if the reduction failed before.
    missing, changed : tuple of str
        Products that no longer exist, or have changed.
    truth : dict
        The true values of some of the numbers, if the exposure was simulated.
    truth_lines : list of str
        Comparison of the products with the truth, in words.
    """

    name: str
    mode: str
    state: str
    folder: Path
    files: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    error: str = ""
    message: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    resolved: dict[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_bytes: int = 0
    header: dict[str, Any] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    log: Path | None = None
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    truth: dict[str, float] = field(default_factory=dict)
    truth_lines: list[str] = field(default_factory=list)

    @property
    def target(self) -> str:
        """Name of the target, as the proposer wrote it."""
        return str(self.header.get("target", ""))
