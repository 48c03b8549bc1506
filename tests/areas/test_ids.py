import pandas as pd
import pytest

from priorvae.areas import read_areas
from priorvae.areas.ids import as_text, id_column
from priorvae.errors import AreasError

ROW = [(0, 0), (1, 0), (2, 0), (3, 0)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(37009.0, "37009"), (37009, "37009"), (" 01 ", "01"), (1.07, "1.07"), (None, ""), (pd.NA, "")],
)
def test_ids_as_text(value, text):
    assert as_text(value) == text


def test_numeric_ids_lose_their_decimal_point(squares, saved):
    frame = squares(ROW).assign(id=[37009.0, 37011.0, 37013.0, 37015.0])
    assert read_areas(saved(frame)).ids == ("37009", "37011", "37013", "37015")


def test_missing_column_lists_the_columns(squares, saved):
    frame = squares(ROW).rename(columns={"id": "FIPSNO"})
    with pytest.raises(AreasError, match=r"no column 'FIPSN'.*did you mean 'FIPSNO'.*FIPSNO, name"):
        read_areas(saved(frame), id="FIPSN")
    with pytest.raises(
        AreasError, match=r"no column 'nome' to name the areas \(did you mean 'name'"
    ):
        read_areas(saved(frame), id="FIPSNO", name="nome")


def test_missing_ids_list_the_rows(squares, saved):
    frame = squares(ROW).assign(id=["x", None, "y", " "])
    with pytest.raises(AreasError, match=r"column 'id' has no id in row 2, 4 of 4"):
        read_areas(saved(frame), id="id")


def test_duplicate_ids_list_the_rows(squares, saved):
    frame = squares(ROW).assign(id=["x", "y", "x", "y"])
    with pytest.raises(
        AreasError, match=r"'x' in rows 1, 3, 'y' in rows 2, 4; area ids must be un"
    ):
        read_areas(saved(frame), id="id")


@pytest.mark.parametrize("usual", ["id", "GEOID", "shapeID", "area_id", "FIPS"])
def test_the_only_usual_name_is_taken(usual):
    frame = pd.DataFrame({"value": [1, 2, 3], usual: ["a", "b", "c"], "Code": ["a", "a", "b"]})
    assert id_column(frame, None, "map") == usual


def test_several_usual_names_are_an_error():
    frame = pd.DataFrame({"FIPS": ["a", "b"], "FIPSNO": [1, 2], "POP": [5, 6]})
    with pytest.raises(AreasError, match=r"several could be meant: FIPS, FIPSNO; name one.*--id"):
        id_column(frame, None, "map")


def test_no_usual_name_is_an_error_that_lists_candidates():
    frame = pd.DataFrame({"POP": [5, 6], "region": ["n", "n"]})
    with pytest.raises(AreasError, match=r"none has a usual name.*all different: POP$"):
        id_column(frame, None, "map")


def test_names_fall_back_to_ids(squares, saved):
    frame = squares(ROW).assign(name=["North", None, "South", ""])
    assert read_areas(saved(frame)).names == ("North", "a1", "South", "a3")
