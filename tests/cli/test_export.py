"""`priorvae export`: what is written, and what is refused before anything is."""

from pathlib import Path

import pytest

from priorvae.bundles import write_bundle
from tests.cli.test_train import run
from tests.export.test_stan import grid_bundle

STAN = {"decoder.stanfunctions", "weights.json", "example.stan", "example-2.21.stan"}


@pytest.fixture
def artifact(repository: Path) -> Path:
    return repository / "artifacts" / "nc-sids-matern32-priorcvae"


@pytest.mark.parametrize(
    ("engine", "names"),
    [
        ("stan", STAN),
        ("brms", {"decoder.safetensors", "stan/decoder.stanfunctions", "SHA256SUMS"}),
    ],
)
def test_files_are_written_and_named(
    capsys: pytest.CaptureFixture[str], artifact: Path, tmp_path: Path, engine: str, names: set[str]
) -> None:
    out = tmp_path / "new" / "folder"
    code, text = run(capsys, "export", artifact, "--to", engine, "--out", out)
    assert code == 0, text
    written = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert names <= written
    assert {str(out / name) for name in written} == set(text.split())
    # Nothing else is left beside it.
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["folder"]


def test_numpyro_is_one_file(
    capsys: pytest.CaptureFixture[str], artifact: Path, tmp_path: Path
) -> None:
    code, text = run(capsys, "export", artifact, "--to", "numpyro", "--out", tmp_path / "out")
    assert code == 0, text
    (file,) = (tmp_path / "out").iterdir()
    assert file.suffix == ".py" and str(file) in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "stann"], "--to 'stann' (did you mean 'stan'?); expected one of stan, brms"),
        (["--to", "stan", "--family", "poison"], "--family 'poison' (did you mean 'poisson'?)"),
    ],
)
def test_bad_usage_writes_nothing(
    capsys: pytest.CaptureFixture[str],
    artifact: Path,
    tmp_path: Path,
    arguments: list[str],
    words: str,
) -> None:
    code, text = run(capsys, "export", artifact, *arguments, "--out", tmp_path / "out")
    assert code == 2 and words in text
    assert not (tmp_path / "out").exists()


def test_a_directory_in_use_is_left_alone(
    capsys: pytest.CaptureFixture[str], artifact: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    code, text = run(capsys, "export", artifact, "--to", "stan", "--out", tmp_path)
    assert code == 2 and "nothing was overwritten" in text
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_bundle_without_a_certificate_needs_consent(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_bundle(grid_bundle("grid:3x4"), tmp_path / "bundle")
    order = ("export", tmp_path / "bundle", "--to", "stan", "--out", tmp_path / "out")
    code, text = run(capsys, *order)
    assert code == 2 and "--allow-uncertified" in text
    assert not (tmp_path / "out").exists()
    code, text = run(capsys, *order, "--allow-uncertified")
    assert code == 0, text
    assert {p.name for p in (tmp_path / "out").iterdir()} == STAN
