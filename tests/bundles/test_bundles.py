"""Written, read back, and refused when anything in it was changed."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import priorvae
from priorvae.bundles import Bundle, load_bundle, write_bundle
from priorvae.config import BYM2Config, CARConfig, GPConfig, ProcessConfig, SARConfig
from priorvae.errors import BundleError, ConditionError
from priorvae.processes import Gaussian, build_process
from tests.bundles.numpy_reader import golden_error
from tests.maps import lattice
from tests.samples import reference_bundle

LENGTHSCALE = {"distribution": "loguniform", "low": 5, "high": 60, "unit": "km"}
CONFIGS: dict[str, ProcessConfig] = {
    "gp": GPConfig(kind="gp", kernel="matern32", lengthscale=LENGTHSCALE),  # type: ignore[arg-type]
    "car": CARConfig(kind="car", alpha={"distribution": "uniform", "low": 0, "high": 0.9}),  # type: ignore[arg-type]
    "bym2": BYM2Config(kind="bym2", rho={"distribution": "beta", "low": 0, "high": 1, "a": 0.5}),  # type: ignore[arg-type]
    "sar": SARConfig(kind="sar", rho={"distribution": "uniform", "low": 0, "high": 0.9}),  # type: ignore[arg-type]
}


def in_memory(kind: str) -> tuple[Bundle, Gaussian]:
    process = build_process(CONFIGS[kind], lattice(3, 4))
    return reference_bundle(process), process


@pytest.fixture(params=sorted(CONFIGS))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Gaussian]:
    bundle, process = in_memory(request.param)
    return write_bundle(bundle, tmp_path / "bundle", evaluation="{}"), process


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_bundle(in_memory("gp")[0], tmp_path / "bundle")


def test_round_trip(written: tuple[Path, Gaussian]) -> None:
    path, process = written
    bundle = load_bundle(path)
    assert bundle.area_ids == process.areas.ids
    assert bundle.areas.fingerprint() == process.areas.fingerprint()
    again = bundle.process()
    for value in process.conditions[0].grid(3):
        hyper = {process.conditions[0].name: float(value)}
        np.testing.assert_array_equal(again.covariance(hyper), process.covariance(hyper))
        root = bundle.matrix(hyper)
        np.testing.assert_allclose(root @ root.T, process.covariance(hyper), atol=1e-5)


def test_decode_and_sample(written: tuple[Path, Gaussian]) -> None:
    bundle = priorvae.load(written[0])
    hyper = {c.name: float(c.from_unit(0.1)) for c in bundle.conditions}
    z = np.random.default_rng(0).normal(size=12)
    exact = bundle.decode_numpy(z, hyper)
    np.testing.assert_allclose(bundle.decode(jnp.asarray(z), hyper), exact, rtol=1e-10)
    draws = bundle.sample(jax.random.key(0), hyper, num_draws=5)
    assert draws.shape == (5, 12)
    with pytest.raises(ConditionError, match="outside the trained range"):
        bundle.decode(jnp.asarray(z), {c.name: c.high * 2 for c in bundle.conditions})
    with pytest.raises(ConditionError, match="missing hyperparameter"):
        bundle.decode(jnp.asarray(z))


def test_forty_lines_of_numpy_read_it(written: tuple[Path, Gaussian]) -> None:
    assert golden_error(written[0]) < 1e-6


def test_the_card_says_which_engines_run_it_well(directory: Path) -> None:
    lines = (directory / "README.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith(("| `numpyro`", "| `pymc`", "| `stan`"))]
    assert len(rows) == 3
    # On 12 areas the analytic decoder, of several matrices, gains nothing on a factorisation.
    assert all("**slow**" in row and "exact inference is faster" in row for row in rows[:2])
    assert "| efficient |" in rows[2]


def test_the_same_bundle_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_bundle(in_memory("gp")[0], tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_sums_are_those_of_sha256sum(directory: Path) -> None:
    lines = (directory / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == len(list(directory.iterdir())) - 1
    for line in lines:
        expected, name = line.split("  ")
        assert hashlib.sha256((directory / name).read_bytes()).hexdigest() == expected


def test_nothing_is_overwritten(directory: Path) -> None:
    before = {f.name: f.read_bytes() for f in directory.iterdir()}
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(in_memory("car")[0], directory)
    assert before == {f.name: f.read_bytes() for f in directory.iterdir()}
    assert [p.name for p in directory.parent.iterdir()] == ["bundle"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "golden.npz":
            raise OSError(28, "No space left on device")
        return original(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_bundle(in_memory("gp")[0], tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


# -- what must be refused ------------------------------------------------------------------------


def reseal(directory: Path) -> None:
    """Recompute sizes and sums, as someone would who means to deceive."""
    info = json.loads((directory / "bundle.json").read_text())
    for name in info["files"]:
        data = (directory / name).read_bytes()
        info["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (directory / "bundle.json").write_text(json.dumps(info))
    names = [*info["files"], "bundle.json"]
    sums = [f"{hashlib.sha256((directory / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (directory / "SHA256SUMS").write_text("".join(sums))


def edit_info(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = directory / "bundle.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))
    reseal(directory)


def swap_rows(path: Path) -> None:
    header, first, second, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, second, first, *rest]))


def edit_weights(directory: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    path = directory / "decoder.safetensors"
    weights = safetensors.numpy.load_file(path)
    change(weights)
    path.write_bytes(safetensors.numpy.save(weights))


def refused(directory: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(directory)
    assert str(directory) in str(caught.value)


def test_missing_directory(tmp_path: Path) -> None:
    refused(tmp_path / "none", "not a bundle")


@pytest.mark.parametrize("name", ["decoder.safetensors", "areas.csv", "edges.csv", "golden.npz"])
def test_missing_file(directory: Path, name: str) -> None:
    (directory / name).unlink()
    refused(directory, f"{name} cannot be read")


@pytest.mark.parametrize(
    "name", ["decoder.safetensors", "areas.csv", "edges.csv", "golden.npz", "README.md"]
)
def test_truncated_file(directory: Path, name: str) -> None:
    path = directory / name
    path.write_bytes(path.read_bytes()[:-7])
    refused(directory, f"size: {name}")


def test_truncated_info(directory: Path) -> None:
    path = directory / "bundle.json"
    path.write_bytes(path.read_bytes()[:200])
    refused(directory, "truncated")


@pytest.mark.parametrize("name", ["decoder.safetensors", "areas.csv", "golden.npz", "bundle.json"])
def test_flipped_bit(directory: Path, name: str) -> None:
    path = directory / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    refused(directory, "checksum|valid JSON|decoder|layer|bundle.json: ")


def test_reordered_areas_even_with_new_sums(directory: Path) -> None:
    swap_rows(directory / "areas.csv")
    refused(directory, "checksum: areas.csv")
    reseal(directory)
    refused(directory, "do not have the fingerprint")


def test_changed_weights_even_with_new_sums(directory: Path) -> None:
    def shrink(weights: dict[str, np.ndarray]) -> None:
        for name in weights:
            weights[name] = 0.99 * weights[name]

    edit_weights(directory, shrink)
    reseal(directory)
    refused(directory, "golden cases: case 0")


def test_transposed_weights_even_with_new_sums(directory: Path) -> None:
    def transpose(weights: dict[str, np.ndarray]) -> None:
        kernels = weights["layers.0.kernels"]
        kernels[:] = np.roll(kernels, 1, axis=1)

    edit_weights(directory, transpose)
    reseal(directory)
    refused(directory, "golden cases")


def test_wrong_shape_even_with_new_sums(directory: Path) -> None:
    def cut(weights: dict[str, np.ndarray]) -> None:
        weights["layers.0.coefficients"] = weights["layers.0.coefficients"][:-1].copy()

    edit_weights(directory, cut)
    reseal(directory)
    refused(directory, "'layers.0.coefficients' has shape")


def test_unknown_format_version(directory: Path) -> None:
    edit_info(directory, lambda info: info.update(format_version=2))
    refused(directory, "format version: bundle.json has 2, this priorvae reads 1")


def test_unknown_layer_kind(directory: Path) -> None:
    edit_info(directory, lambda info: info["decoder"][0].update(kind="attention"))
    refused(directory, "unknown layer kind 'attention'")


def test_unknown_key(directory: Path) -> None:
    edit_info(directory, lambda info: info.update(colour="red"))
    refused(directory, "bundle.json: colour")


def test_listed_file_outside_the_directory(directory: Path) -> None:
    def point_outside(info: dict[str, Any]) -> None:
        info["files"]["../secret"] = info["files"]["areas.csv"]

    path = directory / "bundle.json"
    info = json.loads(path.read_text())
    point_outside(info)
    path.write_text(json.dumps(info))
    lines = [
        line for line in (directory / "SHA256SUMS").read_text().splitlines() if "bundle" not in line
    ]
    lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  bundle.json")
    (directory / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    refused(directory, "not a plain file name")
