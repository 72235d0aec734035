"""Parts of the pages that are read from the code itself, so that they cannot go out of date.

step-parameters   the parameters of a step or pipeline, from its `spec`
validation        measured figures, from `docs/validation/*.json`
commands          every command with its arguments and options
architecture      the picture of the package's rooms
limits            what the report measures for a mode, and the limits it holds the numbers to
"""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module
from pathlib import Path

from docstrings import escape
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

VALIDATION = Path(__file__).parents[1] / "validation"
_MARKED = re.compile(r"`+([^`]+)`+")


def make_table(header: list[str], rows: list[list[str]]) -> nodes.table:
    """Return a table; text between backticks is set as code."""
    table = nodes.table()
    group = nodes.tgroup(cols=len(header))
    table += group
    for _ in header:
        group += nodes.colspec(colwidth=1)
    head, body = nodes.thead(), nodes.tbody()
    group += head
    group += body
    for part, lines in ((head, [header]), (body, rows)):
        for line in lines:
            row = nodes.row()
            for text in line:
                entry = nodes.entry()
                entry += nodes.paragraph("", "", *inline(text))
                row += entry
            part.append(row)
    return table


def inline(text: str) -> list[nodes.Node]:
    """Return text with what stands between backticks as code."""
    parts = _MARKED.split(text)
    return [nodes.literal(part, part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts) if part]


def load_class(path: str) -> type:
    """Return the class of a dotted name."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


#: Parameters that every step of stpipe has; documented there.
_OF_EVERY_STEP = {
    "pre_hooks", "post_hooks", "output_file", "output_dir", "output_ext", "output_use_model", "output_use_index",
    "save_results", "skip", "suffix", "search_output_file", "input_dir", "update_version", "figure_path",
}  # fmt: skip


def read_parameters(step: type) -> list[tuple[str, str, str, str]]:
    """Return (name, kind, default, what it does) of the parameters that a step has beyond those of every step."""
    spec = step.load_spec_file()
    rows = []
    for name in spec.scalars:
        if name in _OF_EVERY_STEP:
            continue
        kind, _, inside = spec[name].partition("(")
        inside = inside.rstrip().removesuffix(")")
        choices, _, default = inside.rpartition("default=")
        words = [word.strip(" ,\"'") for word in choices.split(",") if word.strip(" ,") and "=" not in word]
        kind = " | ".join(words) if kind == "option" else {"pass": "see right"}.get(kind, kind)
        default = default.strip().strip("\"'")
        rows.append((name, kind, default or '""', (spec.inline_comments[name] or "").lstrip("# ").strip()))
    return rows


class StepParameters(SphinxDirective):
    """The table of a step's parameters."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = [
            [f"`{name}`", f"`{kind}`" if "|" in kind else kind, f"`{default}`", what]
            for name, kind, default, what in read_parameters(load_class(self.arguments[0]))
        ]
        if not rows:
            return [nodes.paragraph(text="It has no parameters of its own.")]
        return [make_table(["parameter", "kind", "default", "what it does"], rows)]


class Validation(SphinxDirective):
    """Measured figures: `{validation} FILE [TOPIC]`."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True  # topics are named as people name them

    def run(self) -> list[nodes.Node]:
        """Return the table and a line that says when and on what."""
        path = VALIDATION / f"{self.arguments[0]}.json"
        self.env.note_dependency(str(path))
        stored = json.loads(path.read_text())
        wanted = self.arguments[1:] or list(stored["topics"])
        if wanted[0] not in stored["topics"]:
            raise self.error(f"{path.name} has no topic {wanted[0]}")
        out: list[nodes.Node] = []
        for topic in wanted:
            out += validation_table(stored["topics"][topic], stored)
        return out


def validation_table(topic: dict, stored: dict) -> list[nodes.Node]:
    """Return the table of one topic, and a line that says when and on what it was measured."""
    rows = topic["rows"]
    peers = any(row["peer"] is not None for row in rows)
    header = ["what", "measured", "wanted", *([stored["peer"]] if peers else [])]
    body = []
    for row in rows:
        cells = [row["what"], " / ".join(map(row["form"].format, row["values"].values())), row["wanted"]]
        if peers:
            cells.append("" if row["peer"] is None else row["form"].format(row["peer"]))
        body.append(cells)
    scenes = list(dict.fromkeys(scene for row in rows for scene in row["values"]))
    made = (
        f"Measured {topic['made']} by `{stored['script']}` with detectorist {topic['versions']['detectorist']} "
        f"and numpy {topic['versions']['numpy']} on simulated scenes ({', '.join(scenes)}; values in this order)."
    )
    return [make_table(header, body), nodes.paragraph("", "", *inline(made), classes=["made"])]


class Commands(SphinxDirective):
    """All commands, their arguments and options."""

    def run(self) -> list[nodes.Node]:
        """Return a section per command."""
        return [self.section(words, command) for words, command in all_commands()]

    def section(self, words: str, command) -> nodes.section:
        """Return the section of one command."""
        section = nodes.section(ids=[nodes.make_id(words)], names=[words])
        section += nodes.title("", "", nodes.literal(words, words))
        text, _, example = (command.help or "").partition("Example:")
        for paragraph in text.strip().split("\n\n"):
            section += nodes.paragraph("", "", *inline(" ".join(paragraph.split())))
        if example.strip():
            line = " ".join(example.split())
            section += nodes.literal_block(line, line, language="sh")
        rows = [parameter_row(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            section += make_table(["argument or option", "default", "meaning"], rows)
        return section


def parameter_row(parameter) -> list[str]:
    """Return the row of one argument or option."""
    if parameter.param_type_name == "argument":
        several = " …" if parameter.nargs == -1 else ""
        return [f"`{(parameter.metavar or parameter.name).upper()}{several}`", "", parameter.help or ""]
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    default = parameter.default if isinstance(parameter.default, str | int | float | Path) else ""
    default = "" if isinstance(default, bool) or str(default) == "" else f"`{default}`"
    return [names, "required" if parameter.required else default, parameter.help or ""]


def all_commands():
    """Return (words, click command) of every command that does something."""
    import click
    import typer

    from detectorist.cli.app import app

    def walk(words: str, command):
        context = click.Context(command)
        names = command.list_commands(context) if hasattr(command, "list_commands") else ()
        if not names:
            yield words, command
        for name in names:
            yield from walk(f"{words} {name}", command.get_command(context, name))

    return list(walk("detectorist", typer.main.get_command(app)))


class EngineSteps(SphinxDirective):
    """The steps that have an engine, in the words of their docstrings."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from detectorist.reduction.engine_steps.by_name import ENGINE_STEPS

        rows = [
            [f"`{name}`", " ".join(inspect.getdoc(step).split("\n\nParameters")[0].split())]
            for name, step in ENGINE_STEPS.items()
        ]
        return [make_table(["step", "what the engine does, and where the standard code runs"], rows)]


class Architecture(SphinxDirective):
    """The picture of the rooms."""

    def run(self) -> list[nodes.Node]:
        """Return it as SVG."""
        import architecture

        self.env.note_dependency(str(architecture.TABLE))
        return [nodes.raw("", architecture.draw(), format="html")]


def add_parameters(app, what, name, obj, options, lines) -> None:
    """Append the parameters of a step to its entry in the reference."""
    if what != "class" or not hasattr(obj, "load_spec_file"):
        return
    rows = read_parameters(obj)
    if rows:
        lines += ["", ".. rubric:: Parameters", ""]
        for parameter, kind, default, comment in rows:
            lines += [
                f"``{parameter}`` ({kind.replace('|', 'or')}, default ``{default}``)",
                f"    {escape(comment)}",
                "",
            ]


def make_example(app) -> None:
    """Simulate and reduce the exposure that the pages show."""
    if app.builder.name in ("html", "dirhtml"):
        import example

        logger.info("making the example exposure ...")
        example.make()


PACKAGES = {
    "steps": ("Steps", ["detectorist.reference", "detectorist.stage_1", "detectorist.stage_2"]),
    "pipelines": ("Pipelines", ["detectorist.pipelines", "detectorist.crds_source"]),
    "reduction": ("Reduction", ["detectorist.reduction", "detectorist.reduction.engine_steps"]),
    "modes": (
        "Modes",
        ["detectorist.modes", *(f"detectorist.modes.{name}" for name in ("lrs", "imaging", "coron"))],
    ),
    "algorithms": ("Algorithms", ["detectorist.algorithms"]),
    "engine": ("Engine", ["detectorist.engine"]),
    "figures": ("Figures", ["detectorist.figures"]),
    "simulate": (
        "Simulator",
        ["detectorist.simulate", *(f"detectorist.simulate.{name}" for name in ("core", "lrs", "imaging", "coron"))],
    ),
    "campaign": ("Campaigns", ["detectorist.campaign"]),
    "base": (
        "Base",
        [
            f"detectorist.{name}"
            for name in ("step", "models", "times", "parameters", "errors", "detectors", "product_names")
        ],
    ),
}
#: Packages whose `__init__` hands on all that is public.
_COMPLETE = (
    "detectorist.reference",
    "detectorist.stage_1",
    "detectorist.stage_2",
    "detectorist.reduction.engine_steps",
)


class Limits(SphinxDirective):
    """The numbers of a mode's exposures in the report, with what is good: `{limits} MODE`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from detectorist.modes import load_mode
        from detectorist.modes.quality import good_in_words

        section = load_mode(self.arguments[0]).section()
        rows = [
            [f"`{column.key}`", column.meaning, column.unit, good_in_words(column, section.checks)]
            for column in section.columns
        ]
        return [make_table(["number", "what it is", "unit", "limit"], rows)]


def write_reference(app) -> None:
    """Write a page of the API reference for each package: all its public modules, as they are at this moment."""
    folder = Path(app.srcdir) / "api" / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (title, packages) in PACKAGES.items():
        blocks = "\n\n".join(f".. automodule:: {module}\n   :members:" for module in public_modules(packages))
        text = f"# {title}\n\n```{{eval-rst}}\n{blocks}\n```\n"
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def public_modules(packages: list[str]):
    """Yield packages and the public modules in them."""
    for package in packages:
        yield package
        folder = getattr(import_module(package), "__path__", None)
        if folder is not None and package not in _COMPLETE:
            names = sorted(path.stem for path in Path(folder[0]).glob("*.py"))
            yield from (f"{package}.{name}" for name in names if not name.startswith("_"))


def setup(app):
    """Register directives and events."""
    app.add_directive("step-parameters", StepParameters)
    app.add_directive("validation", Validation)
    app.add_directive("commands", Commands)
    app.add_directive("engine-steps", EngineSteps)
    app.add_directive("architecture", Architecture)
    app.add_directive("limits", Limits)
    app.connect("builder-inited", write_reference)
    app.connect("builder-inited", make_example)
    # After numpydoc (priority 500), which would take the rubric for text of the class.
    app.connect("autodoc-process-docstring", add_parameters, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
