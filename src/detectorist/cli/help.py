"""How `--help` shows commands: in the order in which they are needed, paragraphs as wide as the terminal."""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperGroup

#: Headings of the first page of help, and the commands below each; those of modes follow under the last.
HEADINGS = {
    "Reduce": ("run", "simulate", "demo", "recipe"),
    "Look at a run": ("status", "retry", "report", "inspect", "export", "verify"),
}
OF_MODES = "Single steps, and what follows a reduction"


def heading_of(name: str) -> str:
    """Return the heading under which a command is listed."""
    return next((heading for heading, names in HEADINGS.items() if name in names), OF_MODES)


class OrderedGroup(TyperGroup):
    """Lists commands as HEADINGS does; typer lists groups of commands after all others."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        order = [name for names in HEADINGS.values() for name in names]
        return sorted(super().list_commands(ctx), key=lambda name: order.index(name) if name in order else len(order))


def flowing(text: str) -> str:
    """Return a text whose paragraphs are lines; empty lines are between them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def flow_paragraphs(app: typer.Typer) -> None:
    """Take the line breaks of the source out of the help of all commands, which typer does in first paragraphs only."""
    for command in app.registered_commands:
        command.help = flowing(command.help or inspect.getdoc(command.callback) or "")
    for group in app.registered_groups:
        if group.typer_instance:
            flow_paragraphs(group.typer_instance)
