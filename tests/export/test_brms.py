"""A bundle for brms: itself, and its decoder as Stan functions, all of it under one sum file."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import priorvae
from priorvae.bundles import write_bundle
from priorvae.decoders.stan_backend import stan_functions
from priorvae.errors import BundleError
from priorvae.export import export_bundle
from priorvae.export.brms import FUNCTIONS, write_brms
from tests.decoders.every_type import bundle_of

ARTIFACT = "nc-sids-matern32-priorcvae"


def test_it_is_the_bundle_byte_for_byte_and_its_functions(repository: Path, tmp_path: Path) -> None:
    source = repository / "artifacts" / ARTIFACT
    files = export_bundle(bundle=source, to="brms", out=tmp_path / "out")
    found = {p.relative_to(tmp_path / "out").as_posix() for p in files}
    assert found == {p.name for p in source.iterdir()} | {FUNCTIONS}
    for path in source.iterdir():
        if path.name != "SHA256SUMS":
            assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    bundle = priorvae.load(tmp_path / "out")
    assert (tmp_path / "out" / FUNCTIONS).read_text() == stan_functions(bundle.decoder)


def test_sums_cover_every_file(repository: Path, tmp_path: Path) -> None:
    bundle = priorvae.load(repository / "artifacts" / ARTIFACT)
    files = write_brms(bundle, tmp_path)
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    assert set(sums) == {p.relative_to(tmp_path).as_posix() for p in files} - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


def test_an_export_of_an_export_is_the_same(repository: Path, tmp_path: Path) -> None:
    bundle = repository / "artifacts" / ARTIFACT
    for out in ("one", "two"):
        export_bundle(bundle=bundle, to="brms", out=tmp_path / out)
        bundle = tmp_path / out
    one, two = ((tmp_path / o / "SHA256SUMS").read_bytes() for o in ("one", "two"))
    assert one == two


def test_a_bundle_in_memory_is_written_first(tmp_path: Path) -> None:
    bundle = bundle_of("PriorVAE")
    write_brms(bundle, tmp_path)
    again = priorvae.load(tmp_path)
    np.testing.assert_array_equal(
        again.weights["layers.0.kernel"], bundle.weights["layers.0.kernel"]
    )


def test_an_uncertified_bundle_needs_consent(tmp_path: Path) -> None:
    source = write_bundle(bundle_of("PriorVAE"), tmp_path / "bundle")
    with pytest.raises(BundleError, match="not certified"):
        export_bundle(bundle=source, to="brms", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_bundle(bundle=source, to="brms", out=tmp_path / "out", allow_uncertified=True)


def test_the_bundle_of_the_r_package_is_what_an_export_writes_today(
    repository: Path, tmp_path: Path
) -> None:
    """`make r-bundle` rebuilds it."""
    theirs = repository / "r" / "inst" / "extdata" / "grid20"
    write_brms(priorvae.load(theirs), tmp_path)
    assert (tmp_path / FUNCTIONS).read_text() == (theirs / FUNCTIONS).read_text()


def test_the_r_package_has_the_version_of_this_one(repository: Path) -> None:
    lines = (repository / "r" / "DESCRIPTION").read_text().splitlines()
    assert f"Version: {priorvae.__version__}" in lines
