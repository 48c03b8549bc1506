"""The R package: its own check, and brms' decoder and posterior against ours."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from numpyro.diagnostics import effective_sample_size

import priorvae
from priorvae.bundles import Bundle
from priorvae.export.brms import write_brms
from priorvae.export.stan import FAMILIES, write_stan
from priorvae.inference import fit, load_data
from priorvae.inference.regression import coefficient_names, typical_response
from tests.decoders.every_type import TYPES, bundle_of
from tests.decoders.test_stan import DECODERS, program

HERE = Path(__file__).parent
PACKAGE = Path(__file__).parents[2] / "r"
FORMULA = "SID79 ~ I(NWBIR79 / BIR79) + offset(log(BIR79))"


def _has_brms() -> bool:
    if shutil.which("Rscript") is None:
        return False
    found = subprocess.run(["Rscript", "-e", "library(brms)"], capture_output=True, check=False)
    return found.returncode == 0


pytestmark = [
    pytest.mark.r,
    pytest.mark.slow,
    pytest.mark.skipif(not _has_brms(), reason="Rscript or brms is missing"),
]


def run(*command: str | Path, cwd: Path = HERE, **changes: str) -> str:
    """Run a command, fail with its words, and return what it prints."""
    environment = {**os.environ, **changes}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=cwd
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library with the package in it."""
    folder = tmp_path_factory.mktemp("library")
    run("R", "CMD", "INSTALL", "--no-docs", f"--library={folder}", PACKAGE)
    return str(folder)


@pytest.fixture(scope="module")
def carolina(repository: Path) -> Bundle:
    return priorvae.load(repository / "artifacts" / "nc-sids-matern32-priorcvae")


def exported(bundle: Bundle, folder: Path) -> Path:
    """A bundle as brms reads it."""
    folder.mkdir()
    write_brms(bundle, folder)
    return folder


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
    shown = run("Rscript", "golden.R", *paths, R_LIBS=library, R_MAKEVARS_USER=str(flags))
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
    run("Rscript", "syntax.R", *files)


def test_brms_has_the_posterior_of_numpyro(library: str, carolina: Bundle, tmp_path: Path) -> None:
    """Means and variances of all areas and hyperparameters, to 4 combined standard errors."""
    data = load_data(carolina.area_ids, "builtin:sids2", formula=FORMULA, family="poisson")
    settings = {
        "bundle": str(exported(carolina, tmp_path / "brms")),
        "intercept": f"student_t(3, {typical_response(data)!r}, 2.5)",
        "slope": f"normal(0, {float(2.5 / data.design[:, 0].std(ddof=1))!r})",
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    rows = zip(carolina.area_ids, data.y, data.design[:, 0], data.offset, strict=True)
    lines = [f"{i},{int(y)},{float(x)!r},{float(o)!r}" for i, y, x, o in rows]
    # Shuffled: areas join by id.
    lines = [lines[i] for i in np.random.default_rng(1).permutation(len(lines))]
    (tmp_path / "data.csv").write_text("\n".join(["id,y,x,exposure", *lines]) + "\n")
    run("Rscript", "posterior.R", tmp_path, R_LIBS=library)
    theirs = _draws(tmp_path)
    ours = fit(jax.random.key(3), data, carolina)
    order = [carolina.area_ids.index(line.split(",", 1)[0]) for line in lines]
    hypers = ["Intercept", *coefficient_names(data), "f_scale", "f_lengthscale"]
    mine = np.concatenate(
        [*(ours.draws(name)[..., None] for name in hypers), ours.draws("mu")[..., order]], axis=-1
    )
    for moment in (lambda x: x, lambda x: (x - x.mean((0, 1))) ** 2):
        (mean, error), (other, his) = _estimate(moment(mine)), _estimate(moment(theirs))
        apart = np.abs(mean - other) / np.hypot(error, his)
        assert apart.max() < 4, apart


def _draws(folder: Path) -> np.ndarray:
    """Return draws (chain, iteration, quantity)."""
    shape: Any = json.loads((folder / "draws.json").read_text())["shape"]
    return np.fromfile(folder / "draws.bin").reshape(shape, order="F").swapaxes(0, 1)


def _estimate(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means over chains and draws, and their Monte Carlo standard errors."""
    ess = effective_sample_size(draws)
    return draws.mean((0, 1)), draws.std((0, 1)) / np.sqrt(ess)
