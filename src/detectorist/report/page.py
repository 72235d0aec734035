"""The page: one HTML file of everything gathered."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import time
from collections.abc import Callable, Iterator
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from markupsafe import Markup

from detectorist import __version__
from detectorist.atomic_files import whole_file
from detectorist.campaign.memory import format_bytes
from detectorist.figures.stretch import SHOWN_PIX, coloured
from detectorist.modes.exposure import Exposure
from detectorist.modes.job import DONE
from detectorist.modes.section import Opening, Panel, Picture
from detectorist.report import compare as comparisons
from detectorist.report import image_view
from detectorist.report.environment import make_environment
from detectorist.report.failures import as_far_as_possible, attempt
from detectorist.report.gather import Run, gather
from detectorist.report.group import Group, make_group
from detectorist.report.media import Media
from detectorist.report.merits import merits_of, numbers_of
from detectorist.report.parameters import Parameter, find_changed

FILE, ASSETS = "report.html", "report_assets"
#: Beyond so many exposures, pictures go to a folder beside the page and only quick ones are made.
MOST_INLINE = 100
#: Pixels along the longer side of images among many exposures.
BRIEF_PIX = 256
#: Suspects shown without unfolding.
FIRST_SUSPECTS = 12
#: No table of exposures has more columns.
MOST_COLUMNS = 99
#: Lines of a log shown for an exposure.
MOST_WARNINGS = 30

Progress = Callable[[float, int, str], None]


def write_report(
    folder: Path, *, other: Path | None = None, progress: Progress = lambda done, total, what: None
) -> Path:
    """Write `report.html` for everything below a folder and return its path.

    other : Path, optional
        A second output folder to compare with.

    Raises
    ------
    NoSuchFile
        When there is no such folder, or no run in it.
    OutputError
        When the page cannot be written.
    """
    folder = Path(folder)
    run = gather(folder)
    compared = gather(Path(other)) if other is not None else None
    many = len(run.exposures) > MOST_INLINE
    assets = folder / ASSETS
    shutil.rmtree(assets, ignore_errors=True)
    groups = [make_group(mode, exposures) for mode, exposures in run.modes.items()]
    _Writer(run, groups, Media(assets if many else None), compared, progress, many).write(folder / FILE)
    return folder / FILE


class _Writer:
    def __init__(
        self, run: Run, groups: list[Group], media: Media, compared: Run | None, progress: Progress, many: bool
    ):
        self._run = run
        self._groups = groups
        self._media = media
        self._compared = compared
        self._others = {exposure.name: exposure for exposure in compared.exposures} if compared else {}
        self._progress = progress
        self._many = many
        self._done = 0
        self._interactive = False
        self._notes = {
            key: note for group in groups for key, note in attempt(group.sections.notes, lambda why: {}).items()
        }
        self._templates = make_environment()
        self._values = self._context()

    def write(self, target: Path) -> None:
        """Write the page piece by piece: the whole of it need not be in memory."""
        template = self._templates.get_template("report.html.j2")
        with whole_file(target) as partial, open(partial, "w", encoding="utf-8", errors="replace") as page:
            for piece in template.generate(**self._values):
                page.write(piece)

    def _part(self, name: str, *, row: bool = False, **values: Any) -> Markup:
        """Return a part of the page as markup, or the reason why it cannot be made, in a row of a table too."""

        def failed(why: str) -> Markup:
            told = Markup('<p class="alert">This part cannot be shown: {}</p>').format(why)
            return Markup('<td colspan="{}">{}</td>').format(MOST_COLUMNS, told) if row else told

        template = self._templates.get_template(f"{name}.html.j2")
        return attempt(lambda: Markup(template.render({**self._values, **values})), failed)

    def _context(self) -> dict[str, Any]:
        exposures = self._run.exposures
        suspects = sorted((one for group in self._groups for one in group.suspects), key=lambda one: -one.urgency)
        return {
            "version": __version__,
            "made": time.strftime("%Y-%m-%d %H:%M %Z"),
            "title": self._run.folder.resolve().name,
            "run": self._run,
            "groups": self._groups,
            "suspects": suspects,
            "first_suspects": FIRST_SUSPECTS,
            "totals": _totals(exposures, len(suspects) + len(self._run.troubles)),
            "configurations_of": lambda: _configurations(exposures),
            "anchors": {id(exposure): f"exposure-{number}" for number, exposure in enumerate(exposures, 1)},
            "ranks": {id(suspect.exposure): rank for rank, suspect in enumerate(suspects, 1)},
            "compared": self._compared,
            "compare": lambda: comparisons.compare(self._groups, self._compared) if self._compared else [],
            "part": self._part,
            "style": _text("style.css"),
            "script": _text("script.js"),
            "bokeh_element": self._bokeh,
            "openings": self._openings,
            "merits": merits_of,
            "numbers": numbers_of,
            "thumbnail": self._thumbnail,
            "panels": self._panels,
            "changed": self._changed,
            "warnings": _warnings,
            "single": len(exposures) == 1,
        }

    def _bokeh(self) -> Markup:
        """Return bokeh's script, packed, where an interactive figure is on the page; asked for at its end."""
        if not self._interactive:
            return Markup()
        return Markup('<script type="application/gzip" id="bokeh">{}</script>').format(packed(bokeh_script()))

    def _openings(self, group: Group) -> Iterator[dict[str, Any]]:
        """Yield what the report opens with, as markup: where there are several modes, one exposure of each."""
        most = 1 if len(self._groups) > 1 else None
        openings = as_far_as_possible(
            group.sections.opening(group.done), lambda why: Opening(group.done[0], _failed_panel(why))
        )
        for opening in islice(openings, most):
            made = self._panel(opening.panel, f"{opening.exposure.name}_opening", interactive=True, whole=True)
            yield {"exposure": opening.exposure, "panel": made}

    def _thumbnail(self, group: Group, exposure: Exposure) -> Markup:
        if exposure.state != DONE:
            return Markup()
        pixels = attempt(lambda: group.sections.thumbnail(exposure), lambda why: None)  # its figures tell why
        if pixels is None:
            return Markup()
        # The row names the exposure: an empty text alternative spares listeners a repetition.
        return self._media.image(pixels, name=f"{exposure.name}_thumbnail", label="", css="thumb")

    def _changed(self, group: Group, exposure: Exposure) -> list[Parameter]:
        return find_changed(exposure, group.defaults, group.varying)

    def _panels(self, group: Group, exposure: Exposure) -> Iterator[dict[str, Any]]:
        """Yield the panels of an exposure as markup, beside those of the other run where there is one."""
        self._done += 1
        self._progress(self._done, len(self._run.exposures), exposure.name)
        if exposure.state != DONE:
            return
        other = self._others.get(exposure.name)
        theirs = {panel.key: panel for panel in self._drawn(group, other)} if other else {}
        for panel in self._drawn(group, exposure):
            made = self._panel(panel, exposure.name, interactive=not other)
            made["other"] = self._panel(theirs[panel.key], f"{exposure.name}_other") if panel.key in theirs else None
            yield made

    def _drawn(self, group: Group, exposure: Exposure) -> Iterator[Panel]:
        """Yield the panels of an exposure; where one cannot be begun, the last one says why."""
        return as_far_as_possible(group.sections.panels(exposure, brief=self._many), _failed_panel)

    def _panel(self, panel: Panel, name: str, *, interactive: bool = False, whole: bool = False) -> dict[str, Any]:
        """Return a panel as markup; `whole`: images have axes, however many exposures there are."""
        made: dict[str, Any] = {
            "key": panel.key,
            "title": panel.title,
            "note": self._notes.get(panel.key, {}),
            "pictures": [],
            "beside": panel.beside,
            "wide": panel.wide,
            "start": "slider" if panel.slider else "first",
            "figure": "",
            "interactive": "",
            "failed": panel.failed,
        }

        def failed(why: str) -> dict[str, Any]:
            return {**made, "pictures": [], "figure": "", "failed": f"This figure cannot be drawn: {why}"}

        return attempt(lambda: {**made, **self._drawings(panel, name, interactive, whole)}, failed)

    def _drawings(self, panel: Panel, name: str, interactive: bool, whole: bool) -> dict[str, Any]:
        """Return figure, pictures and interactive figure of a panel, as far as it has them."""
        made: dict[str, Any] = {}
        label = f"{panel.title}. {self._notes.get(panel.key, {}).get('shows', '')}".strip()
        if panel.file:
            made["figure"] = self._media.copy(panel.file, name=f"{name}_{panel.key}", label=label)
        elif panel.draw:
            made["figure"] = self._media.figure(panel.draw(), name=f"{name}_{panel.key}", label=label)
        made["pictures"] = [
            {
                "image": self._picture(picture, f"{name}_{panel.key}_{number}", whole=whole or not self._many),
                "label": picture.label,
            }
            for number, picture in enumerate(panel.pictures)
        ]
        if interactive and panel.interactive and not self._many:
            made["interactive"] = _json(panel.interactive())
            self._interactive = True
        return made

    def _picture(self, picture: Picture, name: str, *, whole: bool) -> Markup:
        """Return an image with axes and colour bar; among many exposures the pixels alone, as a file."""
        if whole:
            return image_view.draw(picture, largest_pix=SHOWN_PIX)
        pixels = coloured(picture.image, picture.stretch, largest_pix=BRIEF_PIX)
        return self._media.image(pixels, name=name, label=picture.label)


def _failed_panel(why: str) -> Panel:
    return Panel("failed", "Figures", failed=f"They cannot be drawn: {why}")


def _totals(exposures: list[Exposure], suspects: int) -> dict[str, Any]:
    states: dict[str, int] = {}
    for exposure in exposures:
        states[exposure.state] = states.get(exposure.state, 0) + 1
    timed = (exposure.seconds > 0 for exposure in exposures if exposure.state == DONE)
    return {
        "states": states,
        "suspects": suspects,
        # A sum over some of them would be taken for that of all.
        "seconds": sum(exposure.seconds for exposure in exposures) if all(timed) else 0.0,
        "peak": format_bytes(peak) if (peak := max(exposure.peak_bytes for exposure in exposures)) else "",
    }


def _configurations(exposures: list[Exposure]) -> list[dict[str, Any]]:
    """Return what exposures were made with: recipe, versions, references, once for all that share them."""
    found: dict[str, dict[str, Any]] = {}
    for exposure in exposures:
        resolved = exposure.resolved
        if not resolved:
            continue
        one = {
            "pipeline": resolved.get("pipeline", exposure.mode),
            "recipe": resolved.get("recipe", ""),
            "title": resolved.get("title", ""),
            "versions": resolved.get("versions", {}),
            "source": resolved.get("references", {}),
            "references": _alike(exposure),
        }
        entry = found.setdefault(json.dumps(one, sort_keys=True, default=str), {**one, "names": []})
        entry["names"].append(exposure.name)
    return list(found.values())


def _alike(exposure: Exposure) -> dict[str, str]:
    """Return the references that are not made from the exposure itself."""
    stem = exposure.name.split("_")[0]
    return {kind: "made from the data" if stem in name else name for kind, name in exposure.references.items()}


def _warnings(exposure: Exposure) -> list[str]:
    """Return the warnings and errors of an exposure's log, each once."""
    try:
        lines = exposure.log.read_text(errors="replace").splitlines() if exposure.log else []
    except OSError:
        return []
    told = [line.split(" ", 2)[2] for line in lines if " WARNING " in line or " ERROR " in line]
    return list(dict.fromkeys(told))[:MOST_WARNINGS]


def _text(name: str) -> Markup:
    """Return a style sheet or script of ours."""
    text = (resources.files("detectorist.report") / "templates" / name).read_text(encoding="utf-8")
    return Markup(text)


def bokeh_script() -> str:
    """Return bokeh's script, to be included in the page."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)


def packed(text: str) -> str:
    """Return a text compressed and in base64, which reduces bokeh's script to a third of its size."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _json(value: Any) -> Markup:
    """Return JSON that can stand in a page: no character of it can end an element."""
    text = json.dumps(value, default=str)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
