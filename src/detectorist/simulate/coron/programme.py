"""The exposures of a coronagraphic programme: targets at several rolls, dithered reference stars, empty fields."""

from __future__ import annotations

from dataclasses import dataclass

#: Start of the first exposure: 2026-07-01, MJD UTC; each later one begins this much later, s.
START_MJD, BETWEEN_EXPOSURES_S = 61_222.0, 1_800.0
#: Target and reference star: name, right ascension and declination, degrees.
TARGET, REFERENCE = ("SIMULATED HOST", 80.0, -69.5), ("SIMULATED REFERENCE", 84.0, -66.0)
FIRST_ROLL_DEG, ROLL_STEP_DEG = 100.0, 10.0


@dataclass(frozen=True)
class Visit:
    """One exposure of the programme.

    Attributes
    ----------
    number : int
        From 0 in the programme.
    kind : str
        SCI, REF, SCI_BG or REF_BG.
    observation : int
        OBSERVTN.
    exposure : int
        From 1 in its observation.
    roll_deg : float
    dither : int
        Position in the small grid, from 0.
    """

    number: int
    kind: str
    observation: int
    exposure: int
    roll_deg: float
    dither: int = 0

    @property
    def is_reference(self) -> bool:
        """Whether it belongs to the reference star."""
        return self.kind.startswith("REF")

    @property
    def is_background(self) -> bool:
        """Whether it is of an empty field."""
        return self.kind.endswith("_BG")


def plan_visits(*, rolls: int, dithers: int, backgrounds: bool) -> tuple[Visit, ...]:
    """Return all exposures in the order in which they are taken."""
    angles = [FIRST_ROLL_DEG + ROLL_STEP_DEG * k for k in range(rolls)]
    plan = [("SCI", k + 1, 1, angle, 0) for k, angle in enumerate(angles)]
    plan += [("REF", rolls + 1, k + 1, angles[-1], k) for k in range(dithers)]
    if backgrounds:
        plan.append(("SCI_BG", rolls + 2, 1, angles[0], 0))
        plan += [("REF_BG", rolls + 3, 1, angles[-1], 0)] if dithers else []
    return tuple(Visit(number, *visit) for number, visit in enumerate(plan))
