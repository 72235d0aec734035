"""`detectorist simulate MODE`: raw exposures with a known truth, and the reference files that they need."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from detectorist.modes import mode_names

PACKAGE = "detectorist.simulate"


def simulated_modes() -> list[str]:
    """Return the modes that have a simulator."""
    return [name for name in mode_names() if importlib.util.find_spec(f"{PACKAGE}.{name}") is not None]


class SimulateGroup(TyperGroup):
    """A command per simulator, imported on request."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the modes that have a simulator."""
        return simulated_modes()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a simulator."""
        if cmd_name not in simulated_modes():
            return None
        made = typer.Typer(add_completion=False)
        made.command(cmd_name)(import_module(f"{PACKAGE}.{cmd_name}.command").simulate)
        return typer.main.get_command(made)


app = typer.Typer(
    help="Simulate raw exposures, with the truth and the reference files they need.\n\n"
    f"Example: detectorist simulate {mode_names()[0]} -o sim",
    no_args_is_help=True,
    cls=SimulateGroup,
)


@app.callback()
def _root() -> None:
    """Hold the commands."""
