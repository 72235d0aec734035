"""The documentation keeps up with the code: commands parse, pages are linked, public names are described."""

import ast
import re
import shlex
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from detectorist import __version__, entry_points, modes

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Made at build time.
GENERATED = ("_build", "_ext", "_static", "packages")
PAGES = sorted(p for p in DOCS.rglob("*.md") if not set(GENERATED) & set(p.relative_to(DOCS).parts))
TEXTS = [ROOT / "README.md", *PAGES]
STEPS = [name for name, _, is_pipeline in entry_points.get_steps() if not is_pipeline]
PIPELINES = [f"detectorist.pipelines.{name}" for name in modes.PIPELINES]

#: What numpydoc may not find: no docstring, unknown or misplaced sections, summaries that are none, parameters that
#: are not there or have no description.
FORBIDDEN = {
    *("GL05", "GL06", "GL07", "GL08", "GL09", "SS01", "SS02", "SS03", "SS04", "SS06"),
    *("PR02", "PR03", "PR05", "PR07"),
}


def identify(path):
    return str(path.relative_to(ROOT))


def commands_in(path):
    """Return the words of every `detectorist ...` command of a page."""
    text = path.read_text().replace("\\\n", " ")
    blocks = re.findall(r"```(?:sh|\{code-cell\})\n(.*?)```", text, flags=re.S)
    lines = [line.lstrip("! ") for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(detectorist [^`<…]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    words = [shlex.split(line.split(" > ")[0], comments=True) for line in lines if line.startswith("detectorist ")]
    return [line[1:] for line in words if "|" not in line]


def parse(words):
    """Parse a command as the program would, without running it; raises click's errors."""
    import typer

    from detectorist.cli.app import app

    command, name, parent = typer.main.get_command(app), "detectorist", None
    while True:
        context = command.make_context(name, list(words), parent=parent)
        if not hasattr(command, "resolve_command"):
            return
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, command, words = command.resolve_command(context, rest)
        parent = context


def is_named_only(words):
    """Return whether a text names a command without its arguments, as in "see `detectorist run`"."""
    return all(re.fullmatch(r"[a-z]+", word) for word in words) and len(words) <= 2


@pytest.mark.parametrize("page", [p for p in TEXTS if commands_in(p)], ids=identify)
def test_commands_parse(page):
    for words in commands_in(page):
        if words in (["--help"], ["--version"]):
            continue
        refused = refusal([*words, "--help"] if is_named_only(words) else words)
        assert refused is None, f"{page.name}: detectorist {shlex.join(words)}: {refused}"


def refusal(words):
    """Return why a command is refused, or None."""
    try:
        parse(words)
    except Exception as error:  # click's errors have no base in common with its exit after --help
        return None if getattr(error, "exit_code", 1) == 0 else error
    return None


def test_a_command_that_does_not_exist_is_found():
    assert "No such option" in str(refusal(["run", "lrs", "x_uncal.fits", "-o", "out", "--no-such-option", "1"]))
    assert "No such command" in str(refusal(["walk", "lrs"]))


def entries_of(page):
    """Return the pages that the tables of contents of a page name."""
    for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), flags=re.S):
        for line in block.splitlines():
            if line.strip() and not line.startswith(":") and "*" not in line:
                yield (page.parent / line.strip()).resolve().with_suffix(".md")


def test_every_page_is_linked():
    seen, todo = set(), [(DOCS / "index.md").resolve()]
    while todo:
        page = todo.pop()
        assert page.is_file(), f"{page} is in a table of contents and does not exist"
        seen.add(page)
        todo += [entry for entry in entries_of(page) if entry not in seen]
    assert {page.resolve() for page in PAGES} == seen


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`<>]+)>?`", text):
        assert "packages/" in target or (page.parent / target).with_suffix(".md").is_file(), f"{page.name}: {target}"
    for target in re.findall(r"!?\[[^\]]*\]\((?!https?:|#)([^)]+)\)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def imports_in(page):
    """Yield (module, name or None) of what the code on a page imports from this package."""
    for block in re.findall(r"```(?:\{code-cell\}|python)\n(.*?)```", page.read_text(), flags=re.S):
        code = "\n".join(line for line in block.splitlines() if not line.startswith(("!", "%", ":")))
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "detectorist":
                yield from ((node.module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
                yield from ((name, None) for name in names if name.partition(".")[0] == "detectorist")


def is_importable(module, name):
    """Return whether an import would succeed."""
    try:
        return name is None or hasattr(import_module(module), name) or bool(import_module(f"{module}.{name}"))
    except ImportError:
        return False


@pytest.mark.parametrize("page", [p for p in TEXTS if any(imports_in(p))], ids=identify)
def test_imports_on_pages_succeed(page):
    """Quick, where the pages themselves run only when the documentation is built."""
    assert [f"{module}.{name}" for module, name in imports_in(page) if not is_importable(module, name)] == []


@pytest.mark.parametrize("page", [p for p in PAGES if "$" in p.read_text()], ids=identify)
def test_formulae_can_be_set(page):
    from docutils.utils.math.latex2mathml import tex2mathml

    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.S)
    blocks = re.findall(r"\$\$(.+?)\$\$", text, flags=re.S)
    inline = re.findall(r"\$([^$\n]+)\$", re.sub(r"\$\$.+?\$\$", "", text, flags=re.S))
    for formula in (*blocks, *inline):
        assert "<math" in tex2mathml(formula.strip())


def test_pictures_of_the_readme_exist():
    for target in re.findall(r"!\[[^\]]*\]\((?!https?:)([^)]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).is_file(), target


def public_names():
    """Return the dotted names that scripts use: all steps, the pipelines, and the functions of the package itself."""
    import detectorist

    lazily = [name for name in ("Database", "run_obs") if name in dir(detectorist)]
    assert len(lazily) == 2
    return [*STEPS, *PIPELINES, *(f"detectorist.{name}" for name in lazily), "detectorist.campaign.api.reduce"]


@pytest.mark.parametrize("name", public_names())
def test_public_names_have_valid_docstrings(name):
    from numpydoc.validate import validate

    module, _, attribute = name.rpartition(".")
    found = getattr(import_module(module), attribute)
    for path in (f"{found.__module__}.{attribute}", f"{found.__module__}.{attribute}.process"):
        if path.endswith(".process") and "process" not in getattr(found, "__dict__", {}):
            continue
        wrong = [f"{code}: {text}" for code, text in validate(path)["errors"] if code in FORBIDDEN]
        assert not wrong, f"{path}: {wrong}"


def public_modules():
    """Return the modules whose names are public: no underscore, no `__init__`."""
    folder = ROOT / "src" / "detectorist"
    return [
        path
        for path in sorted(folder.rglob("*.py"))
        if not any(part.startswith("_") for part in path.relative_to(folder).parts)
    ]


def public_definitions(path):
    """Yield (dotted name, node) of public functions, classes and their public methods."""
    module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield f"{module}.{node.name}", node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    yield f"{module}.{node.name}.{inner.name}", inner


def test_every_public_name_is_described():
    missing = [
        name
        for path in public_modules()
        for name, node in public_definitions(path)
        if not ast.get_docstring(node, clean=False)
    ]
    assert missing == []


@pytest.mark.long
def test_every_public_docstring_is_valid():
    """As for steps; arrays that are told by their shape need no second sentence, nor the order of the signature."""
    from numpydoc.validate import validate

    wrong = {}
    for path in public_modules():
        for name, _ in public_definitions(path):
            found = [
                f"{code}: {text}" for code, text in validate(name)["errors"] if code in FORBIDDEN - {"PR03", "PR07"}
            ]
            if found:
                wrong[name] = found
    assert wrong == {}


def test_every_step_has_a_page():
    """A page shows its parameters, or lists it among those of a mode."""
    text = "\n".join(page.read_text() for page in PAGES if page.parent.name == "steps")
    missing = [name for name in STEPS if name.rpartition(".")[2] not in text]
    text = "\n".join(page.read_text() for page in PAGES)
    missing += [name for name in PIPELINES if name.rpartition(".")[2] not in text]
    assert not missing


@pytest.fixture
def extensions(monkeypatch):
    """Make what the pages are built with importable."""
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))


def test_parameters_of_every_step_can_be_tabled(extensions):
    pytest.importorskip("sphinx")
    from from_code import load_class, read_parameters

    for name in STEPS:
        for parameter, kind, default, what in read_parameters(load_class(name)):
            assert kind, f"{name}: {parameter}"
            assert default, f"{name}: {parameter}"
            assert what, f"{name}: {parameter} has no comment in the spec"


def test_the_rooms_are_drawn(extensions):
    """Every room of the package is in the picture, which is made from the tests' own table."""
    import architecture

    picture = architecture.draw()
    rooms = {path.stem for path in (ROOT / "src" / "detectorist").iterdir() if not path.name.startswith(("_", "py."))}
    shown = set(re.findall(r'font-weight="600">([^<]+)<', picture))
    assert rooms - set(architecture.BASE) | {"wings", "small modules"} == shown
    assert shown - {"small modules"} <= set(architecture.WHAT)
    assert picture.count("marker-end") > len(shown)


def test_help_of_every_command_is_complete(extensions):
    """One sentence, an example, and a word on every argument and option."""
    from from_code import all_commands

    shown = [words for words, _ in all_commands()]
    for mode in modes.mode_names():
        assert f"detectorist run {mode}" in shown
    for words, command in all_commands():
        assert "Example: detectorist" in (command.help or ""), f"{words} shows no example"
        example = " ".join(command.help.partition("Example: detectorist")[2].split())
        assert refusal(shlex.split(example.split(" > ")[0])) is None, f"the example of {words} is refused"
        assert not [parameter.name for parameter in command.params if not getattr(parameter, "help", None)], words


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), flags=re.M)[1]
    assert project == citation == __version__


def test_docstrings_are_rewritten_as_meant(extensions):
    from docstrings import rewrite

    before = ["Return it.", "", "data : ndarray, (n*m)", "    DN of `a_*`.", "err : same", "Returns a |x|.", ""]
    after = [
        "Return it.",
        "",
        "* ``data`` : ndarray, (n\\*m)",
        "  DN of `a_*`.",
        "* ``err`` : same",
        "  Returns a \\|x\\|.",
    ]
    assert rewrite(before)[: len(after)] == after


@pytest.mark.long
def test_all_pages_build():
    done = subprocess.run(["make", "docs"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
