from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from priorvae.areas import read_areas
from priorvae.areas.builtin import builtin_data
from priorvae.errors import DataError, InputError
from priorvae.inference import join_by_id, read_table
from priorvae.inference.data import normalise_id

IDS = ("3", "1", "2")


def frame(ids: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"code": ids, "y": [10.0 * i for i in range(len(ids))]})


def test_rows_are_joined_by_id_in_the_order_of_the_areas() -> None:
    joined = join_by_id(frame(["1", "2", "3"]), "code", IDS)
    assert tuple(joined.index) == IDS
    assert list(joined["y"]) == [20.0, 0.0, 10.0]


def test_the_order_of_the_rows_does_not_matter() -> None:
    table = frame(["1", "2", "3"])
    for order in ([2, 0, 1], [1, 2, 0]):
        shuffled = join_by_id(table.iloc[order], "code", IDS)
        pd.testing.assert_frame_equal(shuffled, join_by_id(table, "code", IDS))


@pytest.mark.parametrize("ids", [[1, 2, 3], [1.0, 2.0, 3.0], ["1.0", " 2 ", "3"]])
def test_ids_are_compared_as_text(ids: list[object]) -> None:
    assert list(join_by_id(frame(ids), "code", IDS)["y"]) == [20.0, 0.0, 10.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(37009, "37009"), (37009.0, "37009"), ("37009.0", "37009"), ("01001", "01001"), ("1.5", "1.5"),
     (np.nan, ""), (None, ""), (pd.NA, "")],
)  # fmt: skip
def test_normalised_ids(value: object, text: str) -> None:
    assert normalise_id(value) == text


def test_every_disagreement_of_ids_is_listed_at_once() -> None:
    with pytest.raises(DataError) as caught:
        join_by_id(frame(["1", "1", "9", None]), "code", IDS, "t.csv")
    message = str(caught.value)
    assert message.startswith("t.csv, column 'code'")
    assert "1 rows without an id (row numbers from 1): 4" in message
    assert "1 ids that appear more than once: 1" in message
    assert "1 ids that are not areas of the prior: 9" in message
    assert "2 areas of the prior without a row: 2, 3" in message


def test_lost_leading_zeros_are_recognised() -> None:
    with pytest.raises(DataError, match="leading zeros"):
        join_by_id(frame([1001, 1003, 1005]), "code", ("01001", "01003", "01005"))


def test_a_csv_keeps_leading_zeros(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("code,y\n01001,5\n01003,6\n01005,7\n")
    table, column = read_table(path, id="code")
    assert list(join_by_id(table, column, ("01003", "01001", "01005"))["y"]) == [6, 5, 7]


def test_a_builtin_knows_its_id() -> None:
    table, column = read_table("builtin:sids2")
    assert column == "FIPSNO"
    areas = read_areas("builtin:sids2")
    assert join_by_id(table, column, areas.ids).loc["37009", "NAME"] == "Ashe"


def test_the_attributes_of_a_boundary_file(tmp_path: Path) -> None:
    path = tmp_path / "map.gpkg"
    attributes = builtin_data("sids2")[["FIPSNO", "SID79", "geometry"]]
    attributes.set_crs("EPSG:4267").to_file(path)
    table, column = read_table(path, id="FIPSNO")
    expected, _ = read_table("builtin:sids2")
    assert dict(zip(table[column], table["SID79"], strict=True)) == dict(
        zip(expected[column], expected["SID79"], strict=True)
    )


@pytest.mark.parametrize(
    ("name", "content", "id", "words"),
    [
        ("none.csv", None, "code", "no such file"),
        ("t.csv", "code,y\n1,2\n", None, "which column holds the area ids"),
        ("t.csv", "code,y\n1,2\n", "cod", "no id column 'cod' (did you mean 'code'?)"),
        ("t.csv", "code,y\n", "code", "no rows"),
        ("t.csv", "", "code", "cannot be read as a table"),
        ("t.csv", 'a,b\n1,2,3\n1\n"', "a", "cannot be read as a table"),
        ("t.xyz", "code,y\n1,2\n", "code", "unknown kind of table '.xyz'"),
        ("t.gpkg", "not a map", "code", "cannot be read as a table"),
        ("t.csv", b"\xff\xfe\x00code", "code", "cannot be read as a table"),
    ],
)
def test_an_unusable_table_is_refused(
    tmp_path: Path, name: str, content: str | bytes | None, id: str | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read_table(path, id=id)
    assert words in str(caught.value)


def test_an_unknown_builtin_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'sids2'"):
        read_table("builtin:sid2")
