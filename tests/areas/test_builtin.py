from collections import defaultdict

import numpy as np
import pytest
import shapely

from priorvae.areas import builtin_data, builtin_names, read_areas, read_map
from priorvae.areas.components import component_labels
from priorvae.errors import AreasError

# Areas, components before bridging, islands, kilometres from end to end as an atlas has them.
EXPECTED = {
    "10740": (195, 2, 1, 220),
    "chicago": (77, 1, 0, 42),
    "columbus": (49, 1, 0, 5.4),
    "georgia": (159, 1, 0, 512),
    "mexico": (32, 1, 0, 3000),
    "sids2": (100, 1, 0, 806),
    "stl": (78, 1, 0, 418),
    "tokyo": (262, 1, 0, 145),
    "us48": (48, 1, 0, 4600),
    "virginia": (136, 2, 0, 745),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_builtin(name):
    areas = read_areas(f"builtin:{name}")
    apart = areas.edges[~areas.bridge]
    num_areas, components, islands, extent = EXPECTED[name]
    assert len(areas) == num_areas
    assert component_labels(apart, num_areas).max() + 1 == components
    assert (np.bincount(apart.ravel(), minlength=num_areas) == 0).sum() == islands
    assert areas.bridge.sum() == components - 1
    assert areas.components.max() == 0
    assert areas.extent == pytest.approx(extent, rel=0.01)
    assert "BSD-3-Clause" in areas.provenance.licence
    assert len(areas.provenance.sha256) == 64
    assert not any("." in id for id in areas.ids)


def test_the_list_is_complete():
    assert set(builtin_names()) == set(EXPECTED)


def test_known_ids_and_names():
    areas = read_areas("builtin:sids2")
    assert areas.ids[:2] == ("37009", "37005")
    assert areas.names[:2] == ("Ashe", "Alleghany")
    assert areas.crs == "EPSG:26717"


def test_known_place():
    """Georgia's centroids agree with the latitudes and longitudes of its table."""
    data = builtin_data("georgia")
    areas = read_areas("builtin:georgia")
    degrees = areas.geometry.centroid.to_crs(4267).get_coordinates().to_numpy()
    off = np.median(degrees - data[["Longitud", "Latitude"]].to_numpy(), axis=0)
    np.testing.assert_allclose(off, 0, atol=1e-3)


def test_tokyo_has_no_islands_but_for_matching_vertices():
    """Neighbours there overlap slightly or meet mid-edge: shared vertices leave 23 components."""
    reading = read_map("builtin:tokyo")
    holders = defaultdict(list)
    for area, shape in enumerate(builtin_data("tokyo").geometry):
        for vertex in set(map(tuple, shapely.get_coordinates(shape).tolist())):
            holders[vertex].append(area)
    shared = {(a, b) for at in holders.values() for a in at for b in at if a < b}
    by_vertex = np.array(sorted(shared))
    assert component_labels(by_vertex, 262).max() + 1 == 23
    assert (np.bincount(by_vertex.ravel(), minlength=262) == 0).sum() == 10
    assert reading.areas.components.max() == 0
    assert not reading.areas.bridge.any()
    assert shared <= set(map(tuple, reading.areas.edges.tolist()))
    assert len(reading.mended) == 10


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("sids2", ["SID79", "BIR79", "NWBIR79"]),
        ("georgia", ["PctBach", "PctPov"]),
        ("tokyo", ["db2564", "eb2564", "OCC_TEC", "OWNH", "POP65", "UNEMP"]),
        ("us48", ["1929", "2009"]),
        ("stl", ["HC7984", "PO7984"]),
    ],
)
def test_data_come_in_the_order_of_the_areas(name, columns):
    data, reading = builtin_data(f"builtin:{name}"), read_map(f"builtin:{name}")
    assert tuple(data[reading.id_column]) == reading.areas.ids
    assert data[columns].notna().all().all()


def test_tables_are_joined_to_their_areas():
    tokyo = builtin_data("tokyo")
    centroids = tokyo.geometry.centroid.get_coordinates().to_numpy()
    np.testing.assert_allclose(centroids, tokyo[["X_CENTROID", "Y_CENTROID"]], atol=0.01)
    states = builtin_data("us48").set_index("STATE_NAME")
    assert (states["Name"] == states.index).all()


def test_unknown_builtin_lists_the_names():
    with pytest.raises(AreasError, match=r"did you mean 'sids2'\?\); there are: 10740, chicago"):
        read_areas("builtin:sid2")
    with pytest.raises(AreasError, match="no such built-in map"):
        builtin_data("nowhere")


def test_another_column_can_identify_a_builtin():
    assert read_areas("builtin:sids2", id="CNTY_ID").ids[0] == "1825"
