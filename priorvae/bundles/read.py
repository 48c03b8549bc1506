"""Read a bundle: nothing in it is used before all of it is checked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydantic

from priorvae.areas.box import Box
from priorvae.areas.types import Areas
from priorvae.bundles import files
from priorvae.bundles.bundle import Bundle
from priorvae.bundles.info import FORMAT_VERSION, BundleInfo
from priorvae.decoders.features import PREFIX, FeatureMap
from priorvae.decoders.layers import Dense
from priorvae.errors import AreasError, BundleError, ConditionError

__all__ = ["load_bundle"]

_GOLDEN_TOLERANCE = 1e-9


def load_bundle(path: str | Path) -> Bundle:
    """Read and verify a bundle.

    In this order: format version, checksums of all files, the map against its fingerprint, the
    weights' shapes against the layer records, and the golden cases against the decoder.

    Args:
        path: Directory of the bundle.

    Raises:
        BundleError: Naming the check that failed and the file, and what to do.
    """
    directory = Path(path)
    if not (directory / files.INFO).is_file():
        raise BundleError(
            f"{directory}: not a bundle: no {files.INFO} in it; give the directory that "
            "`priorvae train` wrote as `bundle`"
        )
    try:
        info = _read_info(directory)
        contents = _read_files(directory, info)
        areas = files.read_areas_files(contents[files.AREAS], contents[files.EDGES], info.boundary)
        _check_areas(areas, info)
        weights, own = _split(files.read_weights(contents[files.WEIGHTS]))
        bundle = Bundle(info, areas, weights, directory, _read_arrays(contents))
        bundle.decoder.check_weights(bundle.weights)
        bundle = replace(bundle, features=_features(bundle, own))
        _check_golden(bundle, contents[files.GOLDEN])
    except (BundleError, AreasError, ConditionError) as error:
        raise BundleError(
            f"{directory}: {error}. The bundle cannot be trusted; get a fresh copy or train again"
        ) from None
    return bundle


def _read_info(directory: Path) -> BundleInfo:
    data = _read(directory, files.INFO)
    try:
        raw = json.loads(data)
    except ValueError as error:
        raise BundleError(f"{files.INFO} is not valid JSON (truncated?): {error}") from None
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"format version: {files.INFO} has {version!r}, this priorvae reads {FORMAT_VERSION}; "
            "a newer bundle needs a newer priorvae"
        )
    try:
        return BundleInfo.model_validate(raw)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"{files.INFO}: {where}: {first['msg']}") from None


def _read_files(directory: Path, info: BundleInfo) -> dict[str, bytes]:
    """Read every listed file, checking sizes and sums, and `bundle.json` against `SHA256SUMS`."""
    sums = dict(_parse_sums(_read(directory, files.CHECKSUMS)))
    if sums.get(files.INFO) != files.checksum(_read(directory, files.INFO)):
        raise BundleError(f"checksum: {files.INFO} does not match {files.CHECKSUMS}")
    required = {files.WEIGHTS, files.AREAS, files.EDGES, files.GOLDEN}
    if missing := sorted(required - set(info.files)):
        raise BundleError(f"{files.INFO} lists no {', '.join(missing)}")
    contents = {}
    for name, expected in info.files.items():
        if Path(name).name != name:
            raise BundleError(f"{files.INFO} lists {name!r}, which is not a plain file name")
        data = _read(directory, name)
        if len(data) != expected.bytes:
            raise BundleError(
                f"size: {name} has {len(data)} bytes, {files.INFO} says {expected.bytes}"
            )
        if not files.checksum(data) == expected.sha256 == sums.get(name):
            raise BundleError(f"checksum: {name} is not the file that was written")
        contents[name] = data
    return contents


def _read_arrays(contents: dict[str, bytes]) -> dict[str, np.ndarray]:
    """Read the arrays of the process, which most have none of."""
    data = contents.get(files.PROCESS)
    return {} if data is None else files.read_weights(data, files.PROCESS)


def _split(
    stored: dict[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Separate the decoder's weights from those of its features."""
    own = {name: value for name, value in stored.items() if name.startswith(PREFIX)}
    return {name: value for name, value in stored.items() if name not in own}, own


def _features(bundle: Bundle, weights: dict[str, np.ndarray]) -> FeatureMap | None:
    """Build the features of a place from their records, and check them at the areas."""
    info, decoder = bundle.info.features, bundle.decoder
    if info is None:
        if weights:
            raise BundleError(f"features: {files.WEIGHTS} has weights, and {files.INFO} no records")
        return None
    if decoder.layers[-1] != Dense(bundle.num_areas, bias=False):
        raise BundleError("features: the decoder's last layer is not dense without bias")
    if bundle.areas.centroids is None:
        raise BundleError(f"features: {files.AREAS} has no centroids")
    box = Box(info.low, info.high)
    features = FeatureMap.from_records(info.layers, decoder.widths[-2], box, weights)
    kernel = bundle.weights[f"layers.{len(decoder.layers) - 1}.kernel"]
    _check_at_areas(features.at(bundle.areas.centroids, bundle.area_ids), kernel.T)
    return features


def _check_at_areas(values: np.ndarray, expected: np.ndarray) -> None:
    """Refuse features that at the areas are not what the decoder's last layer holds."""
    error = np.linalg.norm(values - expected) / np.linalg.norm(expected)
    if not error <= _GOLDEN_TOLERANCE:
        raise BundleError(
            f"features: at the areas they differ from the decoder's last layer by {error:.2g} "
            f"relative, more than {_GOLDEN_TOLERANCE:g}"
        )


def _parse_sums(data: bytes) -> list[tuple[str, str]]:
    pairs = [line.split("  ", 1) for line in data.decode(errors="replace").splitlines()]
    return [(pair[1], pair[0]) for pair in pairs if len(pair) == 2]


def _check_areas(areas: Areas, info: BundleInfo) -> None:
    if len(areas) != info.num_areas:
        raise BundleError(f"{files.AREAS} has {len(areas)} rows, {files.INFO} {info.num_areas}")
    if areas.fingerprint() != info.areas_sha256:
        raise BundleError(
            f"areas: {files.AREAS} and {files.EDGES} do not have the fingerprint in {files.INFO}; "
            "rows re-ordered or edited?"
        )


def _check_golden(bundle: Bundle, data: bytes) -> None:
    z, theta, expected = files.read_golden(data)
    names = [c.name for c in bundle.conditions]
    if z.shape[1:] != (bundle.latent_dim,) or theta.shape[1:] != (len(names),):
        raise BundleError(f"golden cases: shapes {z.shape} and {theta.shape} do not fit")
    for case, (row, values) in enumerate(zip(z, theta, strict=True)):
        hyper = {name: float(v) for name, v in zip(names, values, strict=True)}
        f = bundle.decode_numpy(row, hyper)
        error = np.linalg.norm(f - expected[case]) / np.linalg.norm(expected[case])
        if not error <= _GOLDEN_TOLERANCE:
            raise BundleError(
                f"golden cases: case {case} decodes with relative error {error:.2g}, more than "
                f"{_GOLDEN_TOLERANCE:g}"
            )


def _read(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{name} cannot be read: {error.strerror}") from None
