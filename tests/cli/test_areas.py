import subprocess
import sys

import pytest
from typer.testing import CliRunner

import priorvae.areas.drawing
import priorvae.areas.summary  # noqa: F401  pyogrio sets environment variables when first imported
from priorvae.cli.areas import app, default_picture
from priorvae.errors import AreasError

RUNNER = CliRunner()
PROGRAM = "from priorvae.cli import main; main.COMMANDS = ('areas',); main.main()"


def check(*arguments: str) -> str:
    done = RUNNER.invoke(app, ["check", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_prints_what_an_analyst_wants_and_draws(tmp_path):
    picture = tmp_path / "picture.png"
    text = check("builtin:virginia", "--out", str(picture))
    for expected in (
        "136 (polygons)",
        "FIPS (51069, 51107, 51043, ...)",
        "NAME (Frederick, Loudoun, Clarke, ...)",
        "WGS 84 (EPSG:4326), projected to WGS 84 / UTM zone 17N",
        "744.8 km, the longest side",
        "shortest that makes sense 18.5 km",
        "293 pairs of neighbours and 1 bridge",
        "2 before bridging, of 134, 2 areas",
        "Northampton (51131)",
        "22.6",
        "1 bridge added to join 2 components",
        "BSD-3-Clause",
        "Map drawn in",
    ):
        assert expected in text
    assert picture.exists()


def test_a_clean_map(tmp_path):
    text = check("builtin:sids2", "--no-draw", "--contiguity", "rook")
    assert "Nothing to worry about." in text
    assert "231 pairs of neighbours" in text
    assert "Map drawn" not in text


def test_an_adjacency_alone(tmp_path):
    path = tmp_path / "graph.csv"
    path.write_text("from,to\na,b\nb,c\nd,\n")
    text = check(str(path), "--no-draw", "--islands", "keep")
    assert "4 (adjacency)" in text
    assert "2, of 3, 1 areas" in text
    assert "islands      1: d" in text


def test_names_are_printed_as_they_are(tmp_path):
    path = tmp_path / "graph.csv"
    path.write_text("from,to\n[red]a,[/b]\n[/b],c\n[bold],\n")
    text = check(str(path), "--no-draw", "--islands", "keep")
    assert "islands      1: [bold]" in text


def test_the_picture_has_the_name_of_the_map(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check("grid:6x4")
    assert [path.name for path in tmp_path.iterdir()] == ["grid-6x4-areas.png"]
    assert default_picture("builtin:sids2").name == "sids2-areas.png"
    (tmp_path / "nc.v2.gpkg").touch()
    assert default_picture(str(tmp_path / "nc.v2.gpkg")).name == "nc.v2-areas.png"


def test_nothing_is_written_for_a_bad_map(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AreasError, match="islands='error' refuses that"):
        check("builtin:virginia", "--islands", "error")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.gpkg"], "missing.gpkg: no such file"),
        (["builtin:sids3"], "did you mean 'sids2'?"),
        (["builtin:sids2", "--id", "FIPSN"], "did you mean 'FIPSNO'?"),
        (["builtin:sids2", "--islands", "brigde"], "--islands"),
    ],
)
def test_bad_input_exits_with_2_and_no_traceback(tmp_path, arguments, message):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "areas", "check", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"COLUMNS": "200", "PATH": "", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
