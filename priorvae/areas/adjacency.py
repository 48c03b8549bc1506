"""Adjacency alone, without geometry: edge-list CSV, square matrix, GAL."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.io
import scipy.sparse as sp

from priorvae.areas.contiguity import sort_edges
from priorvae.areas.ids import require_unique
from priorvae.errors import AreasError, nearest, preview

__all__ = ["SUFFIXES", "Graph", "read_edges", "read_graph"]

SUFFIXES = (".csv", ".gal", ".npy", ".mtx")
EDGE_HEADERS = (
    ("from", "to"),
    ("source", "target"),
    ("focal", "neighbor"),
    ("focal", "neighbour"),
    ("node1", "node2"),
    ("area1", "area2"),
    ("i", "j"),
)


class Graph(NamedTuple):
    """Ids and neighbours.

    Attributes:
        ids: Unique ids, one per area.
        edges: Positions `(edge, 2)`, the smaller first, sorted.
        bridge: `(edge,)`, true where the file marks an edge as a bridge.
    """

    ids: tuple[str, ...]
    edges: np.ndarray
    bridge: np.ndarray


def read_graph(path: Path) -> Graph:
    """Read an adjacency file of any kind in `SUFFIXES`.

    A CSV is an edge list when its header names two ends (`from,to`) or when it has two
    columns, and a square matrix otherwise. Any non-zero entry of a matrix is a neighbour; areas
    of a matrix without ids are called 1, 2, ....

    Raises:
        AreasError: The file cannot be read, an area neighbours itself, or one area names
            another as neighbour that does not name it back.
    """
    suffix = path.suffix.lower()
    if suffix == ".gal":
        return _read_gal(path)
    if suffix == ".csv":
        rows = _read_rows(path)
        edges = _edge_columns(rows[0]) is not None or all(len(row) == 2 for row in rows)
        return read_edges(path) if edges else _read_matrix_csv(path, rows)
    return _from_matrix(_load_matrix(path), None, str(path))


def read_edges(path: Path, ids: Sequence[str] | None = None) -> Graph:
    """Read an edge list.

    Each pair may stand once, or every pair in both directions. A row whose second id is empty
    declares an area without neighbours. A column `kind` may mark bridges, as in a bundle.

    Args:
        path: CSV file with a header such as `from,to`, or with two columns.
        ids: The areas in their order; None takes them as they first appear.

    Raises:
        AreasError: Also for an id that is not among `ids`.
    """
    rows, source = _read_rows(path), str(path)
    header = _edge_columns(rows[0]) or _unnamed_header(rows)
    columns = header or (0, 1)
    body = list(enumerate(rows))[1 if header else 0 :]
    for row, cells in body:
        if len(cells) <= max(columns) or not cells[columns[0]]:
            raise AreasError(f"{source}: line {row + 1}: expected two area ids, got {cells}")
    ends = [(cells[columns[0]], cells[columns[1]]) for _, cells in body]
    known = tuple(dict.fromkeys(id for pair in ends for id in pair if id)) if ids is None else ids
    position = {id: place for place, id in enumerate(known)}
    _require_known((id for pair in ends for id in pair if id), position, source)
    linked = [place for place, pair in enumerate(ends) if pair[1]]
    pairs = _pairs([(position[ends[k][0]], position[ends[k][1]]) for k in linked])
    edges = _undirected(pairs, tuple(known), source, one_way=True)
    marked = _marked_bridges(rows[0], [body[k][1] for k in linked]) if header else None
    return Graph(tuple(known), edges, _is_bridge(edges, pairs, marked))


def _read_rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
        except (UnicodeDecodeError, csv.Error) as error:
            raise AreasError(f"{path}: not a CSV text file ({error})") from error
    rows = [row for row in rows if any(row)]
    if len(rows) < 2:
        raise AreasError(f"{path}: expected an edge list or a square matrix, got {len(rows)} rows")
    return rows


def _edge_columns(header: list[str]) -> tuple[int, int] | None:
    lower = [cell.lower() for cell in header]
    for first, second in EDGE_HEADERS:
        if first in lower and second in lower:
            return lower.index(first), lower.index(second)
    return None


def _unnamed_header(rows: list[list[str]]) -> tuple[int, int] | None:
    """Take a first row of words above nothing but numbers for a header."""
    words = not any(_is_number(cell) for cell in rows[0])
    numbers = all(_is_number(cell) for row in rows[1:] for cell in row[:2] if cell)
    return (0, 1) if words and numbers else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _marked_bridges(header: list[str], rows: list[list[str]]) -> np.ndarray | None:
    lower = [cell.lower() for cell in header]
    if "kind" not in lower:
        return None
    column = lower.index("kind")
    return np.array([len(row) > column and row[column].lower() == "bridge" for row in rows], bool)


def _is_bridge(edges: np.ndarray, pairs: np.ndarray, marked: np.ndarray | None) -> np.ndarray:
    if marked is None:
        return np.zeros(len(edges), bool)
    bridges = {(min(i, j), max(i, j)) for i, j in pairs[marked].tolist()}
    return np.array([(i, j) in bridges for i, j in edges.tolist()], bool)


def _read_gal(path: Path) -> Graph:
    """Read GAL: a line `n` or `0 n file id`, then `id k` and a line of k neighbours, n times."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise AreasError(f"{path}: not a GAL text file ({error})") from error
    header = next((line for line in lines if line), [])
    count = header[0] if len(header) == 1 else header[1] if len(header) > 1 else ""
    if not count.isdigit():
        raise AreasError(f"{path}: line 1: expected the number of areas, got {' '.join(header)!r}")
    tokens = iter([token for line in lines[lines.index(header) + 1 :] for token in line])
    neighbours: dict[str, list[str]] = {}
    for id, listed in _gal_records(tokens, path):
        if id in neighbours:
            raise AreasError(f"{path}: area {id!r} is listed twice")
        neighbours[id] = listed
    if len(neighbours) != int(count):
        raise AreasError(
            f"{path}: the first line says {count} areas, the file lists {len(neighbours)}"
        )
    ids = tuple(neighbours)
    position = {id: place for place, id in enumerate(ids)}
    _require_known((j for listed in neighbours.values() for j in listed), position, str(path))
    pairs = _pairs([(position[i], position[j]) for i in ids for j in neighbours[i]])
    edges = _undirected(pairs, ids, str(path))
    return Graph(ids, edges, np.zeros(len(edges), bool))


def _gal_records(tokens: Iterator[str], path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each area's id and its neighbours."""
    for id in tokens:
        count = next(tokens, "")
        if not count.isdigit():
            raise AreasError(f"{path}: area {id!r}: expected its number of neighbours: {count!r}")
        listed = [token for _, token in zip(range(int(count)), tokens, strict=False)]
        if len(listed) != int(count):
            raise AreasError(
                f"{path}: area {id!r}: {count} neighbours promised, {len(listed)} given"
            )
        yield id, listed


def _read_matrix_csv(path: Path, rows: list[list[str]]) -> Graph:
    """Read a matrix with no ids, a header of ids, or a header and a first column of ids."""
    widths = {len(row) for row in rows}
    shape = f"{len(rows)} rows of {preview(sorted(widths))} columns"
    if len(widths) != 1:
        raise AreasError(f"{path}: expected a square matrix or an edge list from,to; got {shape}")
    width = widths.pop()
    ids: list[str] | None = None
    if len(rows) == width + 1:
        ids, rows = rows[0], rows[1:]
    elif len(rows) == width and not _is_number(rows[0][0]):
        ids, labels = rows[0][1:], [row[0] for row in rows[1:]]
        rows = [row[1:] for row in rows[1:]]
        if ids != labels:
            raise AreasError(f"{path}: the header and the first column must hold the same ids")
    elif len(rows) != width:
        raise AreasError(f"{path}: expected a square matrix or an edge list from,to; got {shape}")
    try:
        matrix = np.array(rows, dtype=float)
    except ValueError as error:
        raise AreasError(f"{path}: the matrix holds something not a number ({error})") from error
    return _from_matrix(sp.csr_array(matrix), ids, str(path))


def _load_matrix(path: Path) -> sp.csr_array:
    try:
        if path.suffix.lower() == ".npy":
            matrix = np.load(path, allow_pickle=False)
        else:
            matrix = scipy.io.mmread(path)
        return sp.csr_array(matrix, dtype=float)
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise AreasError(f"{path}: cannot be read as a matrix of numbers ({error})") from error


def _from_matrix(matrix: sp.csr_array, ids: Sequence[str] | None, source: str) -> Graph:
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise AreasError(f"{source}: an adjacency matrix must be square, got shape {matrix.shape}")
    if not (np.isfinite(matrix.data).all() and (matrix.data >= 0).all()):
        raise AreasError(
            f"{source}: an adjacency matrix holds 0 and 1 (or weights above 0), "
            "not negative or missing values"
        )
    names = tuple(ids) if ids else tuple(str(i + 1) for i in range(matrix.shape[0]))
    require_unique(names, source)
    edges = _undirected(_pairs(np.argwhere(matrix.toarray())), names, source)
    return Graph(names, edges, np.zeros(len(edges), bool))


def _pairs(listed: Sequence[tuple[int, int]] | np.ndarray) -> np.ndarray:
    return np.array(listed, dtype=np.int64).reshape(-1, 2)


def _require_known(listed: Iterable[str], position: dict[str, int], source: str) -> None:
    unknown = list(dict.fromkeys(id for id in listed if id not in position))
    if unknown:
        raise AreasError(
            f"{source}: neighbours that are not areas of the map: {preview(unknown)}"
            f"{nearest(unknown[0], position)}"
        )


def _undirected(
    pairs: np.ndarray, ids: tuple[str, ...], source: str, *, one_way: bool = False
) -> np.ndarray:
    """Return the edges of a symmetric adjacency.

    Args:
        pairs: Directed pairs `(pair, 2)`.
        ids: Ids of the areas, for messages.
        source: Where the pairs came from, for messages.
        one_way: Whether listing every pair just once is also meant to be symmetric.
    """
    loops = pairs[pairs[:, 0] == pairs[:, 1], 0]
    if len(loops):
        raise AreasError(
            f"{source}: an area cannot be its own neighbour: {preview(ids[i] for i in loops)}"
        )
    directed = {(i, j) for i, j in pairs.tolist()}
    unanswered = sorted((i, j) for i, j in directed if (j, i) not in directed)
    if unanswered and not (one_way and len(unanswered) == len(directed)):
        raise AreasError(
            f"{source}: the adjacency is not symmetric: "
            f"{preview(f'{ids[i]} names {ids[j]} but not the reverse' for i, j in unanswered)}; "
            "being neighbours is mutual: add the reverse pairs"
            + (", or list every pair once" if one_way else "")
        )
    return sort_edges(pairs)
