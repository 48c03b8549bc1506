"""The R package: its own check, and brms' decoder against ours."""

import json
from pathlib import Path

import pytest

import priorvae
from priorvae.bundles import Bundle
from priorvae.export.stan import FAMILIES, write_stan
from tests.brms import PACKAGE, exported, install, run
from tests.decoders.every_type import TYPES, bundle_of
from tests.decoders.test_stan import DECODERS, program

HERE = Path(__file__).parent

pytestmark = [pytest.mark.r, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library with the package in it."""
    return install(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def carolina(repository: Path) -> Bundle:
    return priorvae.load(repository / "artifacts" / "nc-sids-matern32-priorcvae")


def test_the_check_of_r_ends_without_errors_or_warnings(tmp_path: Path) -> None:
    """With the tests that compile and sample."""
    run("R", "CMD", "build", PACKAGE, cwd=tmp_path)
    (built,) = tmp_path.glob("priorvae_*.tar.gz")
    shown = run(
        "R", "CMD", "check", "--no-manual", f"--output={tmp_path}", built,
        PRIORVAE_SLOW_TESTS="1", _R_CHECK_FORCE_SUGGESTS_="false",
    )  # fmt: skip
    assert "WARNING" not in shown
    assert "checking tests ... OK" in " ".join(shown.split())


def test_golden_cases_of_every_type_decode_alike(
    library: str, carolina: Bundle, tmp_path: Path
) -> None:
    """To 1e-10, in one program. Without optimisation it compiles in half the time."""
    bundles = [carolina, *(bundle_of(name) for name in TYPES)]
    paths = [exported(bundle, tmp_path / str(number)) for number, bundle in enumerate(bundles)]
    flags = tmp_path / "Makevars"
    flags.write_text("CXX14FLAGS = -O0\n")
    shown = run("Rscript", HERE / "golden.R", *paths, R_LIBS=library, R_MAKEVARS_USER=str(flags))
    errors = json.loads(shown.splitlines()[-1])
    assert len(errors) == len(bundles)
    assert max(errors) <= 1e-10, dict(zip(["carolina", *TYPES], errors, strict=True))


def test_programs_for_old_versions_are_valid_there(carolina: Bundle, tmp_path: Path) -> None:
    """The examples, and every layer kind: Stan 2.21 has reserved words that it since gave up."""
    files = [tmp_path / "layers.stan"]
    files[0].write_text(program(list(DECODERS)))
    for family in FAMILIES:
        folder = tmp_path / family
        folder.mkdir()
        write_stan(carolina, folder, family)
        files.append(folder / "example-2.21.stan")
    run("Rscript", HERE / "syntax.R", *files)
