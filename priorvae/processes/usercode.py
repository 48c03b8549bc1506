"""A function in a user's own module: found, summed, and imported because the user named it."""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from priorvae.errors import ProcessError, nearest

__all__ = ["UserFunction", "file_checksum", "load_function", "local_modules", "where_raised"]

KEY = "process.function"


@dataclass(frozen=True, eq=False)
class UserFunction:
    """A user's function and the file it came from.

    Attributes:
        path: `module:name`, as the configuration says.
        call: The function.
        file: The module's file.
        sha256: Checksum of that file when it was imported.
    """

    path: str
    call: Callable[..., Any]
    file: Path
    sha256: str


@contextmanager
def local_modules() -> Iterator[None]:
    """Let modules in the current working directory be imported, as `python script.py` does."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):  # a module may have taken it off itself
            sys.path.remove(here)


def file_checksum(path: str) -> str:
    """Return the sha256 of the module's file in `module:name`, without importing anything.

    Raises:
        ProcessError: There is no such module, or it may not be one.
    """
    with local_modules():
        return _read(_locate(path.partition(":")[0]))[1]


def load_function(path: str) -> UserFunction:
    """Import the function `module:name` from the installed modules or the working directory.

    Raises:
        ProcessError: The module is missing, belongs to priorvae or to Python, raises when it is
            imported or has changed since; or it has no such function.
    """
    name, _, attribute = path.partition(":")
    with local_modules():
        file, sha256 = _read(_locate(name))
        module = _import(name, file)
    _check_same(module, file, sha256)
    return UserFunction(path, _attribute(module, attribute), file, sha256)


def where_raised(error: BaseException, file: Path) -> str:
    """Return ` (FILE, line N)` for the innermost frame of a file in a traceback, or nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == file]
    return f" ({file.name}, line {lines[-1]})" if lines else ""


def _locate(name: str) -> ModuleSpec:
    """Find a module; unlike `importlib.util.find_spec`, without importing its packages."""
    top = name.split(".")[0]
    if top in ("priorvae", "__main__") or top in sys.stdlib_module_names:
        owner = "Python's" if top != "priorvae" else "priorvae's own"
        raise ProcessError(
            f"{KEY}: {name} is {owner}, and a prior comes from a module of yours; give "
            "`module:function` of an installed module or of a file in this directory"
        )
    spec, folders = None, list(sys.path)
    for depth, part in enumerate(name.split("."), start=1):
        spec = _find(".".join(name.split(".")[:depth]), None if depth == 1 else folders)
        folders = _inside(spec, [Path(folder) / part for folder in folders])
        if spec is None and not folders:
            raise ProcessError(_missing(name))
    if spec is None or not spec.has_location:
        raise ProcessError(
            f"{KEY}: {name} is a folder without `__init__.py`; name a module in it, such as "
            f"`{name}.simulator:draw`"
        )
    return spec


def _find(name: str, inside: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        # A folder without `__init__.py` is looked up in its imported parent, which is missing here.
        with suppress(KeyError):
            spec: ModuleSpec | None = finder.find_spec(name, inside, None)
            if spec is not None:
                return spec
    return None


def _inside(spec: ModuleSpec | None, folders: list[Path]) -> list[str]:
    """Return the folders in which a package's modules are; none for a module."""
    if spec is not None and spec.has_location:
        return list(spec.submodule_search_locations or ())
    return [str(folder) for folder in folders if folder.is_dir()]


def _missing(name: str) -> str:
    here = Path.cwd()
    known = [path.stem for path in here.glob("*.py")]
    return (
        f"{KEY}: there is no module `{name}` among the installed ones or in {here}"
        f"{nearest(name, known)}; run this where its file is, or install it"
    )


def _read(spec: ModuleSpec) -> tuple[Path, str]:
    file = Path(str(spec.origin))
    try:
        return file, hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ProcessError(f"{KEY}: {file} cannot be read: {error.strerror}") from None


def _import(name: str, file: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    # A script that is not meant to be imported may well exit.
    except (Exception, SystemExit) as error:
        raise ProcessError(
            f"{KEY}: importing `{name}` raised {type(error).__name__}: {error}"
            f"{where_raised(error, file)}; see that `python -c 'import {name}'` works"
        ) from None


def _check_same(module: ModuleType, file: Path, sha256: str) -> None:
    """Refuse a module that was imported before, from another file or from an earlier text."""
    held = getattr(module, "__file__", None)
    if held is None or Path(held) != file:
        raise ProcessError(
            f"{KEY}: `{module.__name__}` was imported before, from {held}, and not from {file}; "
            "start Python anew, or give one of them another name"
        )
    # The specification is made anew when a module is reloaded, so this is the text that runs.
    if vars(module.__spec__).setdefault("priorvae_sha256", sha256) != sha256:
        raise ProcessError(
            f"{KEY}: {file} was edited after `{module.__name__}` was imported from it; start "
            "Python anew, or use importlib.reload"
        )


def _attribute(module: ModuleType, name: str) -> Callable[..., Any]:
    if not hasattr(module, name):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise ProcessError(
            f"{KEY}: `{module.__name__}` has no function `{name}`{nearest(name, known)}"
        )
    function = getattr(module, name)
    if not callable(function):
        raise ProcessError(
            f"{KEY}: `{module.__name__}:{name}` is a {type(function).__name__}, not a function "
            "of `key` and `hyper`"
        )
    return function
