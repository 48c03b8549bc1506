"""Imports flow one way, without loops, and a light start stays light."""

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

# A room imports only from rooms before it; within a room, modules may not form a loop.
ROOMS = (
    "errors",
    "config",
    "environment",
    "listener",
    "areas",
    "processes",
    "decoders",
    "objectives",
    "training",
    "bundles",
    "inference",
    "evaluation",
    "export",
    "pipeline",
    "numpyro",
    "pymc",
    "cli",
)
# Modules of these names only draw and write: nothing that computes imports them.
LEAVES = {"figures", "report"}
HEAVY = (
    "jax",
    "numpyro",
    "pymc",
    "flax",
    "arviz",
    "geopandas",
    "pandas",
    "matplotlib",
    "scipy",
    "numpy",
)
SECONDS_FOR_HELP = 0.7

PACKAGE = Path(__file__).parents[1] / "priorvae"
# The package's own __init__ and __main__ are its front door: lazy, and above every room.
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.parent != PACKAGE or path.name not in ("__init__.py", "__main__.py")
}


def imported(module: str, path: Path) -> Iterator[str]:
    """Yield the modules of this package that a module imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative import in line {node.lineno}"
            names = [_submodule(str(node.module), alias.name) for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "priorvae")


def _submodule(parent: str, name: str) -> str:
    return f"{parent}.{name}" if f"{parent}.{name}" in MODULES else parent


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


GRAPH = {module: set(imported(module, path)) for module, path in MODULES.items()}


def test_every_module_lives_in_a_known_room() -> None:
    assert not sorted({room(module) for module in MODULES} - set(ROOMS))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_only_from_earlier_rooms(module: str) -> None:
    allowed = ROOMS[: ROOMS.index(room(module)) + 1]
    upward = [name for name in GRAPH[module] if room(name) and room(name) not in allowed]
    assert not upward, f"{module} may import from {', '.join(allowed)} only"


def test_imports_form_no_loop() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_only_pipeline_and_cli_import_leaves() -> None:
    def is_leaf(module: str) -> bool:
        return module.split(".")[-1] in LEAVES

    offenders = [
        (module, name)
        for module, names in GRAPH.items()
        for name in names
        if is_leaf(name) and not is_leaf(module) and room(module) not in ("pipeline", "cli")
    ]
    assert not offenders


def loaded_by(statement: str) -> set[str]:
    """Return the heavy packages that a fresh interpreter holds after a statement."""
    code = f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\n"
    code += f"print('loaded', *[name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(result.stdout.splitlines()[-1].split()[1:])


def test_import_of_the_package_is_light() -> None:
    assert loaded_by("import priorvae; priorvae.__version__") == set()


def test_help_is_light() -> None:
    statement = "from priorvae.cli.main import main; sys.argv = ['priorvae', '--help']; main()"
    assert loaded_by(statement) == set()


def test_help_is_quick() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "priorvae", "--help"], capture_output=True, check=True
        )
        return time.perf_counter() - start

    # The best of several: other work on the machine is not the program's.
    assert min(seconds() for _ in range(5)) < SECONDS_FOR_HELP
