import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import typer

import priorvae
from priorvae.cli import main as root
from priorvae.errors import ConfigError, RunError


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, standard output, standard error."""
    for name in ("JAX_ENABLE_X64", "JAX_NUM_CPU_DEVICES"):  # main sets them: restored afterwards
        monkeypatch.setenv(name, os.environ[name])
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv(root.DEBUG, raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # Typer sets its own

    def invoke(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["priorvae", *arguments])
        with pytest.raises(SystemExit) as stop:
            root.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return invoke


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make the command line's one command raise an exception."""

    def install(error: BaseException) -> None:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def fail() -> None:
            raise error

        monkeypatch.setattr(root, "build_app", lambda: app)

    return install


def test_help_lists_every_command(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(name in out for name in root.COMMANDS)


def test_version(run: Callable[..., tuple[int, str, str]]) -> None:
    assert run("--version")[:2] == (0, f"priorvae {priorvae.__version__}\n")


@pytest.mark.parametrize("arguments", [["unknown"], ["--unknown"], ["train"], []])
def test_bad_usage_exits_2(run: Callable[..., tuple[int, str, str]], arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("run.yaml: seed: required"), 2), (RunError("step 7: loss is NaN"), 1)],
)
def test_our_errors_are_one_message_and_a_code(
    run: Callable[..., tuple[int, str, str]],
    raising: Callable[[BaseException], None],
    error: Exception,
    code: int,
) -> None:
    raising(error)
    assert run() == (code, "", f"error: {error}\n")


def test_unexpected_errors_say_how_to_see_more(
    run: Callable[..., tuple[int, str, str]],
    raising: Callable[[BaseException], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raising(ZeroDivisionError("division by zero"))
    code, _, shown = run()
    assert code == 1
    assert shown.startswith("error: ZeroDivisionError: division by zero\n")
    assert "Traceback" not in shown
    monkeypatch.setenv(root.DEBUG, "1")
    code, _, shown = run()
    assert code == 1
    assert "Traceback" in shown


def test_interrupt_exits_130(
    run: Callable[..., tuple[int, str, str]], raising: Callable[[BaseException], None]
) -> None:
    raising(KeyboardInterrupt())
    assert run()[0] == 130


def test_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "priorvae", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"priorvae {priorvae.__version__}\n"
