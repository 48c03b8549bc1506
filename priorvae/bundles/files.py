"""The files of a bundle, each written and read by one pair of functions."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from priorvae.areas.types import Areas, Provenance
from priorvae.bundles.info import BoundaryInfo
from priorvae.errors import BundleError

__all__ = [
    "AREAS",
    "CARD",
    "CHECKSUMS",
    "EDGES",
    "EVALUATION",
    "GOLDEN",
    "INFO",
    "PROCESS",
    "WEIGHTS",
    "areas_csv",
    "checksum",
    "edges_csv",
    "golden_npz",
    "read_areas_files",
    "read_golden",
    "read_weights",
    "weights_bytes",
]

INFO = "bundle.json"
WEIGHTS = "decoder.safetensors"
AREAS = "areas.csv"
EDGES = "edges.csv"
GOLDEN = "golden.npz"
PROCESS = "process.safetensors"
EVALUATION = "evaluation.json"
CARD = "README.md"
CHECKSUMS = "SHA256SUMS"


def checksum(data: bytes) -> str:
    """Return the sha256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def weights_bytes(weights: Mapping[str, np.ndarray]) -> bytes:
    """Serialise weights as safetensors: names in order, bit-exact, the same bytes every time."""
    return safetensors.numpy.save(
        {name: np.ascontiguousarray(weights[name]) for name in sorted(weights)}
    )


def read_weights(data: bytes, name: str = WEIGHTS) -> dict[str, np.ndarray]:
    """Read weights, or the arrays of a process, from safetensors bytes.

    Raises:
        BundleError: The bytes are not safetensors.
    """
    try:
        return safetensors.numpy.load(data)
    except SafetensorError as error:
        raise BundleError(f"{name} is not a safetensors file: {error}") from None


def areas_csv(areas: Areas) -> bytes:
    """Write `id, name, x_km, y_km`, floats with all their digits, blank without centroids."""
    places = areas.centroids.tolist() if areas.centroids is not None else [["", ""]] * len(areas)
    rows = [[i, name, *xy] for i, name, xy in zip(areas.ids, areas.names, places, strict=True)]
    return _csv([["id", "name", "x_km", "y_km"], *rows])


def edges_csv(areas: Areas) -> bytes:
    """Write `from, to, kind`, with ids and the kind `contiguity` or `bridge`."""
    rows = [
        [areas.ids[i], areas.ids[j], "bridge" if bridge else "contiguity"]
        for (i, j), bridge in zip(areas.edges, areas.bridge, strict=True)
    ]
    return _csv([["from", "to", "kind"], *rows])


def read_areas_files(areas: bytes, edges: bytes, boundary: BoundaryInfo) -> Areas:
    """Read a map back from its two tables.

    Raises:
        BundleError: A table does not have its columns, or names an unknown area.
    """
    rows = _rows(areas, AREAS, ["id", "name", "x_km", "y_km"])
    links = _rows(edges, EDGES, ["from", "to", "kind"])
    position = {row[0]: index for index, row in enumerate(rows)}
    try:
        pairs = [sorted((position[row[0]], position[row[1]])) for row in links]
        places = [[float(row[2]), float(row[3])] for row in rows if row[2]]
    except (KeyError, ValueError) as error:
        raise BundleError(f"{AREAS} and {EDGES} do not fit together: {error}") from None
    return Areas(
        ids=tuple(row[0] for row in rows),
        names=tuple(row[1] for row in rows),
        edges=np.array(pairs, dtype=np.int64).reshape(-1, 2),
        bridge=np.array([row[2] == "bridge" for row in links], dtype=bool),
        centroids=np.array(places) if places else None,
        extent=boundary.extent_km,
        crs=boundary.crs,
        provenance=Provenance(boundary.source, boundary.licence, boundary.year, boundary.sha256),
    )


def golden_npz(z: np.ndarray, theta: np.ndarray, f: np.ndarray) -> bytes:
    """Write golden cases: `z (case, latent)`, `theta (case, cond)`, `f (case, area)`, float64."""
    buffer = io.BytesIO()
    np.savez(buffer, z=z, theta=theta, f=f)
    return buffer.getvalue()


def read_golden(data: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read golden cases.

    Raises:
        BundleError: The bytes are not such an archive.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return archive["z"], archive["theta"], archive["f"]
    except Exception as error:  # NumPy and zipfile raise many kinds for a damaged archive
        raise BundleError(f"{GOLDEN} cannot be read: {error}") from None


def _csv(rows: list[list[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _rows(data: bytes, name: str, header: list[str]) -> list[list[str]]:
    try:
        rows = list(csv.reader(io.StringIO(data.decode()), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BundleError(f"{name} is not a CSV file: {error}") from None
    if not rows or rows[0] != header or any(len(row) != len(header) for row in rows):
        raise BundleError(f"{name}: every row must have the columns {', '.join(header)}")
    return rows[1:]
