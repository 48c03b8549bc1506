"""The `priorvae` command: its subcommands, its environment, its exit codes.

A command NAME lives in `priorvae/cli/NAME.py`, which holds either a function of that name or, for
a group of subcommands, a `typer.Typer` called `app`. These files are imported to print the help,
so they import anything heavier than Typer inside the function.
"""

import os
import sys
import traceback
from importlib import import_module
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup

from priorvae import __version__
from priorvae.errors import PriorVAEError

__all__ = ["COMMANDS", "build_app", "main"]

COMMANDS = ("areas", "simulate", "train", "evaluate", "export", "infer", "bench")
DEBUG = "PRIORVAE_DEBUG"


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed run, 2 bad usage or input, 130 interrupted.

    Ctrl-C is Typer's to handle, as are usage errors.
    """
    _set_up_jax()
    try:
        build_app()(prog_name="priorvae")
    except PriorVAEError as error:
        _fail(str(error), error, error.exit_code)
    except Exception as error:
        hint = f"{DEBUG}=1 shows where this came from"
        _fail(f"{type(error).__name__}: {error}\n{hint}", error, 1)


class _InOrder(TyperGroup):
    """Lists the commands in the order of the work, groups among them."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)


def build_app() -> typer.Typer:
    """Return the root command with every subcommand mounted."""
    app = typer.Typer(
        cls=_InOrder,
        help="Neural decoders of spatial priors, certified and ready for MCMC.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in COMMANDS:
        module = import_module(f"priorvae.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"priorvae {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def _set_up_jax() -> None:
    """Choose double precision, and a CPU device for each of four chains, unless told else.

    Both must be in the environment before JAX is imported. NumPyro runs chains side by side only
    where each has a device; devices share the cores, so a computation on one loses nothing.
    """
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    os.environ.setdefault("JAX_NUM_CPU_DEVICES", "4")


def _fail(message: str, error: Exception, code: int) -> NoReturn:
    """Print one error, with its traceback only where that was asked for, and exit."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    typer.secho("error: ", fg=typer.colors.RED, bold=True, err=True, nl=False)
    typer.echo(message, err=True)
    sys.exit(code)
