import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from priorvae.areas import read_areas
from priorvae.errors import AreasError


def test_adjacency_is_symmetric_without_stored_zeros():
    areas = read_areas("builtin:10740", islands="keep")
    adjacency = areas.adjacency
    assert (adjacency != adjacency.T).nnz == 0
    assert (adjacency.data == 1).all()
    np.testing.assert_array_equal(adjacency.sum(axis=1), areas.degrees)
    assert sorted(np.bincount(areas.components)) == [1, 194]


def test_fingerprint_is_what_a_decoder_depends_on():
    areas = read_areas("grid:3x3")
    assert areas.fingerprint() == read_areas("grid:3x3").fingerprint()
    assert areas.fingerprint() != read_areas("grid:3x3", contiguity="rook").fingerprint()
    assert areas.fingerprint() == replace(areas, names=areas.names[::-1]).fingerprint()
    assert areas.fingerprint() != replace(areas, ids=areas.ids[::-1]).fingerprint()
    assert areas.fingerprint() != replace(areas, centroids=areas.centroids + 1).fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": ("a",) * 9}, "unique, repeated: a"),
        ({"ids": ("a", "b")}, "at least 3 areas"),
        ({"names": ("a",)}, "do not line up"),
        ({"edges": np.array([[1, 0]]), "bridge": np.zeros(1, bool)}, "pairs i < j below 9"),
        ({"edges": np.array([[0, 9]]), "bridge": np.zeros(1, bool)}, "pairs i < j below 9"),
        ({"centroids": np.full((9, 2), np.nan)}, "9 finite pairs"),
    ],
)
def test_contradictions(change, message):
    with pytest.raises(AreasError, match=message):
        replace(read_areas("grid:3x3"), **change)


def test_the_type_alone_imports_no_geospatial_stack():
    program = "import sys; from priorvae.areas import Areas; print('geopandas' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
