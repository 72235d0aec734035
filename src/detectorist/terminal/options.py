"""Options that commands share, and the headings under which `--help` shows them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

INPUTS, CHOICES = "Input and output", "Processing"
SIZE, SCENE = "Size of the exposure", "Scene"


def file_option(text: str, *names: str, **settings: Any) -> Any:
    """Return an option about files, with its help text."""
    return typer.Option(*names, help=text, rich_help_panel=INPUTS, **settings)


def choice_option(text: str, *names: str, **settings: Any) -> Any:
    """Return an option about the processing."""
    return typer.Option(*names, help=text, rich_help_panel=CHOICES, **settings)


def size_option(text: str, *names: str, **settings: Any) -> Any:
    """Return an option about the size of a simulated exposure."""
    return typer.Option(*names, help=text, rich_help_panel=SIZE, **settings)


def scene_option(text: str, *names: str, **settings: Any) -> Any:
    """Return an option about what is simulated."""
    return typer.Option(*names, help=text, rich_help_panel=SCENE, **settings)


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
