"""A user's own simulator: draws of the right law, and every way in which it can be wrong."""

import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pydantic
import pytest

from priorvae.config import FunctionConfig
from priorvae.errors import ProcessError
from priorvae.processes import build_process
from priorvae.processes.function import FunctionProcess
from priorvae.processes.samplers import SAMPLERS, build_sampler
from priorvae.processes.simulate import LARGEST_BLOCK, simulate
from tests.maps import lattice
from tests.simulators import (
    BETA_BINOMIAL,
    LOGNORMAL,
    SIGMA,
    A,
    W,
    beta_binomial_moments,
    build,
    build_named,
    lognormal_moments,
    user_module,
)

Moments = tuple[np.ndarray, np.ndarray]
ANGLE = {"distribution": "normal", "low": -1.0, "high": 1.0}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> FunctionProcess:
    return build(tmp_path_factory.mktemp("jax"), LOGNORMAL, lattice(4, 5), w=W, sigma=SIGMA)


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> FunctionProcess:
    return build(tmp_path_factory.mktemp("numpy"), BETA_BINOMIAL, lattice(4, 5), a=A)


# -- what it draws -------------------------------------------------------------------------------


def check_moments(fields: np.ndarray, exact: Moments) -> None:
    """Means and covariances within 5.5 of their own standard errors (230 entries, 1e-5)."""
    mean, covariance = exact
    num = len(fields)
    assert (np.abs(fields.mean(0) - mean) < 5.5 * np.sqrt(np.diag(covariance) / num)).all()
    centred = fields - mean
    second = centred.T @ centred / num
    spread = np.sqrt((centred**2).T @ centred**2 / num - second**2)
    assert (np.abs(second - covariance) < 5.5 * spread / np.sqrt(num)).all()


def test_a_jax_function_is_compiled_and_has_its_law(compiled: FunctionProcess) -> None:
    assert compiled.traceable and compiled.record["compiled"]
    sampler, num = build_sampler(compiled), 200_000
    assert (sampler.name, sampler.error) == ("direct", 0.0)
    fields = sampler.sample(jax.random.key(0), {"w": np.full(num, 0.7)}, num)
    assert fields.shape == (num, 20) and fields.dtype == np.float64
    check_moments(fields, lognormal_moments(0.7))


def test_a_numpy_function_is_called_and_has_its_law(called: FunctionProcess) -> None:
    assert not called.traceable and not called.record["compiled"]
    sampler, num = build_sampler(called), 10_000
    fields = sampler.sample(jax.random.key(0), {"a": np.full(num, 2.0)}, num)
    check_moments(fields, beta_binomial_moments(2.0))


@pytest.mark.parametrize("kind", ["compiled", "called"])
def test_every_way_to_draw_agrees(kind: str, request: pytest.FixtureRequest) -> None:
    process: FunctionProcess = request.getfixturevalue(kind)
    name = process.conditions[0].name
    key, values = jax.random.key(5), np.array([0.2, 0.9, 0.4]) + (kind == "called")
    fields = build_sampler(process).sample(key, {name: values}, 3)
    for each, value, field in zip(jax.random.split(key, 3), values, fields, strict=True):
        np.testing.assert_allclose(process.sample(each, {name: value}), field, rtol=1e-12)
    batch = process.sample_batch(key, {name: values[1]}, 3)
    np.testing.assert_allclose(batch[1], fields[1], rtol=1e-12)
    assert batch.shape == (3, 20)


def test_draws_follow_their_own_hyperparameters(tmp_path: Path) -> None:
    """The first value of a field says which hyperparameters it was made with."""
    text = """
        import jax
        def draw(key, hyper):
            assert sorted(hyper) == ["c", "w"]
            return jax.random.normal(key, (12,)).at[0].set(hyper["w"] + 10 * hyper["c"])
    """
    process = build(tmp_path, text, lattice(3, 4), w=W, c={"distribution": "constant", "value": 2})
    long = list(simulate(jax.random.key(1), process, build_sampler(process), LARGEST_BLOCK + 9))
    for block in long:
        np.testing.assert_allclose(block.fields[:, 0], block.hyper["w"] + 20, rtol=1e-12)
    (short,) = simulate(jax.random.key(1), process, build_sampler(process), 7)
    np.testing.assert_array_equal(short.fields, long[0].fields[:7])


def test_conditions_are_the_free_hyperparameters(tmp_path: Path) -> None:
    text = """
        import jax
        def draw(key, hyper):
            return hyper["a"] * hyper["b"] + hyper["c"] + jax.random.normal(key, (12,))
    """
    beta = {"distribution": "beta", "low": 0.0, "high": 1.0}
    process = build(tmp_path, text, lattice(3, 4), a=A, b=beta, c=SIGMA, d=ANGLE)
    assert [(c.name, c.transform) for c in process.conditions] == [
        ("a", "log"), ("b", "identity"), ("d", "identity"),
    ]  # fmt: skip
    assert process.fixed == {"c": 0.5}


def test_only_its_own_sampler_serves_it(compiled: FunctionProcess) -> None:
    for name in sorted(set(SAMPLERS) - {"direct"}):
        with pytest.raises(ProcessError, match=f"sampler `{name}`.*function"):
            build_sampler(compiled, name)


def test_a_numpy_function_is_never_traced(called: FunctionProcess) -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    with pytest.raises(ProcessError, match=r"draw is no JAX function.*sampler `direct`"):
        jax.vmap(lambda key: called.sample(key, {"a": 2.0}))(keys)


def test_a_function_that_jax_compiles_to_something_else_is_called(tmp_path: Path) -> None:
    """A Python `if` on what is traced is not an error for `hyper`: it is not traced when called."""
    text = """
        import jax
        import jax.numpy as jnp
        def draw(key, hyper):
            shift = 1.0 if isinstance(hyper["w"], float) else 5.0
            return shift + jax.random.normal(key, (12,))
    """
    process = build(tmp_path, text, lattice(3, 4), w=W)
    assert not process.traceable
    fields = build_sampler(process).sample(jax.random.key(0), {"w": np.full(50, 0.5)}, 50)
    # 600 normals about 1: five standard errors.
    assert abs(fields.mean() - 1) < 5 / np.sqrt(600)


# -- what it must not do -------------------------------------------------------------------------

HEAD = """
    import jax
    import jax.numpy as jnp
    import numpy as np
    CALLS = []
    rng = np.random.default_rng(0)
    normal = lambda key, shape=(12,): jax.random.normal(key, shape)
    def draw(key, hyper):
"""
BAD = {
    "of another length": ("return normal(key, (11,))", r"each of the 12 areas, \(12,\).*\(11,\)"),
    "two-dimensional": ("return normal(key, (12, 1))", r"returned \(12, 1\)"),
    "a scalar": ("return normal(key, ())", r"returned \(\)"),
    "nothing": ("normal(key)", "returned NoneType"),
    "ragged": ("return [[1.0], [1.0, 2.0]]", "returned list"),
    "text": ("return np.array(['a'] * 12)", "returned <U1"),
    "complex": ("return normal(key) * 1j", "returned complex128"),
    "whole numbers": (
        "return jax.random.poisson(key, 3.0, (12,))", r"returned int64; convert.*astype\(float\)",
    ),
    "NaN": ("return normal(key).at[3].set(jnp.nan)", r"gave nan for a003, with w = 0.5"),
    "infinite at an end": (
        "return normal(key) + jnp.where(hyper['w'] == 1.0, jnp.inf, 0)", "inf for a000, with w = 1",
    ),
    "raises": ("return 1 / 0", r"ZeroDivisionError: division by zero \(simulator_\d+.py, line 9\)"),
    "raises at an end": ("return normal(key) * (1 // hyper['w'])", "with w = 0"),
    "without hyperparameters": ("return normal(key) * hyper['v']", "KeyError: 'v'"),
    "global generator": ("return rng.normal(size=12)", r"all its randomness from `key`"),
    "keeps between calls": (
        "CALLS.append(key); return normal(key) + len(CALLS)", "keep nothing between calls",
    ),
    "uses the key of the call before": (
        "CALLS.append(key); return normal(CALLS[-2:][0])", "two fields for one key",
    ),
    "ignores its key": ("return jnp.arange(12.0) * hyper['w']", "ignores its key: 16 keys"),
    "changes hyper": (
        "hyper['w'] = 2.0; return normal(key)", r"changes the `hyper`.*hyper = dict\(hyper\)",
    ),
    "adds to hyper": ("hyper['v'] = np.zeros(2); return normal(key)", "changes the `hyper`"),
    "empties hyper": ("return normal(key) * hyper.pop('w')", "changes the `hyper`"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_function_that_is_no_prior_is_refused(case: str, tmp_path: Path) -> None:
    body, message = BAD[case]
    with pytest.raises(ProcessError, match=message):
        build(tmp_path, f"{HEAD}        {body}\n", lattice(3, 4), w=W)


@pytest.mark.parametrize("head", ["def draw(key):", "def draw():", "def draw(key, hyper, more):"])
def test_a_function_of_other_arguments_is_refused(head: str, tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=r"raised TypeError: draw\(\)"):
        build(tmp_path, f"    {head}\n        return None\n", lattice(3, 4), w=W)


@pytest.mark.parametrize("called", [False, True])
def test_nan_inside_the_range_is_found_when_it_is_drawn(called: bool, tmp_path: Path) -> None:
    host = "hyper = {'w': float(hyper['w'])}" if called else ""
    body = f"{host}; " if called else ""
    body += "return normal(key) + jnp.where((hyper['w'] > 0.7) & (hyper['w'] < 0.8), jnp.nan, 0)"
    process = build(tmp_path, f"{HEAD}        {body}\n", lattice(3, 4), w=W)
    assert process.traceable is not called
    values = np.array([0.2, 0.6, 0.75, 0.9])
    with pytest.raises(ProcessError, match=r"nan for a000, with w = 0.75.*over the whole range"):
        build_sampler(process).sample(jax.random.key(0), {"w": values}, 4)


# -- where it comes from -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["os:system", "subprocess:run", "json.tool:main", "__main__:f"])
def test_python_itself_is_no_prior(name: str) -> None:
    with pytest.raises(ProcessError, match="is Python's, and a prior comes from a module of yours"):
        build_named(name, lattice(3, 4))


def test_this_package_is_no_prior() -> None:
    with pytest.raises(ProcessError, match="is priorvae's own"):
        build_named("priorvae.errors:nearest", lattice(3, 4))


def test_a_missing_module_is_named_with_its_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with user_module(tmp_path, LOGNORMAL) as name:
        with pytest.raises(ProcessError, match=f"no module `{name}x`.*did you mean '{name}'"):
            build_named(f"{name}x:draw", lattice(4, 5))
        with pytest.raises(ProcessError, match=f"no module `{name}.inner`"):
            build_named(f"{name}.inner:draw", lattice(4, 5))
        with pytest.raises(ProcessError, match=rf"`{name}` has no function `drew`.*'draw'"):
            build_named(f"{name}:drew", lattice(4, 5))
        with pytest.raises(ProcessError, match=f"`{name}:AREAS` is a int, not a function"):
            build_named(f"{name}:AREAS", lattice(4, 5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_to_be_found", r"ModuleNotFoundError: No module named 'nowhere_to_be"),
        ("x = 1\nraise ValueError('too early')", r"ValueError: too early \(\w+.py, line 2\)"),
        ("def draw(key, hyper)\n    pass", "SyntaxError: expected ':'"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=message):
        build(tmp_path, text, lattice(3, 4))
    assert str(tmp_path) not in sys.path


def test_local_modules_and_packages_are_found_and_the_path_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package, with a neighbour that the function imports only when it is called."""
    package = tmp_path / "epidemics_of_mine"
    (package / "deep").mkdir(parents=True)
    (tmp_path / "neighbour_of_mine.py").write_text("LEVEL = 3.0\n")
    (package / "__init__.py").write_text("")
    (package / "deep" / "seir.py").write_text(
        "import jax\n"
        "def draw(key, hyper):\n"
        "    import neighbour_of_mine\n"
        "    return neighbour_of_mine.LEVEL + jax.random.normal(key, (12,))\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    process = build_named("epidemics_of_mine.deep.seir:draw", lattice(3, 4))
    assert sys.path == before
    fields = build_sampler(process).sample(jax.random.key(0), {}, 100)
    assert abs(fields.mean() - 3) < 5 / np.sqrt(1200)
    with pytest.raises(ProcessError, match=r"is a folder without `__init__.py`"):
        build_named("epidemics_of_mine.deep:draw", lattice(3, 4))
    for name in [n for n in sys.modules if n.split(".")[0].endswith("_of_mine")]:
        monkeypatch.delitem(sys.modules, name)


def test_two_modules_of_one_name_are_not_confused(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    with user_module(tmp_path / "first", LOGNORMAL) as name:
        text = (tmp_path / "first" / f"{name}.py").read_text()
        (tmp_path / "second" / f"{name}.py").write_text(text)
        with chdir(tmp_path / "first"):
            build_named(f"{name}:draw", lattice(4, 5), w=W, sigma=SIGMA)
        with (
            chdir(tmp_path / "second"),
            pytest.raises(ProcessError, match=r"imported before, from .*first.*not from .*second"),
        ):
            build_named(f"{name}:draw", lattice(4, 5), w=W, sigma=SIGMA)


def test_an_edited_module_is_not_taken_for_the_one_in_memory(tmp_path: Path) -> None:
    with user_module(tmp_path, LOGNORMAL) as name, chdir(tmp_path):
        first = build_named(f"{name}:draw", lattice(4, 5), w=W, sigma=SIGMA)
        with (tmp_path / f"{name}.py").open("a") as file:
            file.write("\n# a thought\n")
        with pytest.raises(ProcessError, match=r"edited after .* was imported from it"):
            build_named(f"{name}:draw", lattice(4, 5), w=W, sigma=SIGMA)
        sys.modules.pop(name)
        again = build_named(f"{name}:draw", lattice(4, 5), w=W, sigma=SIGMA)
    assert first.record["sha256"] != again.record["sha256"]
    assert again.record["module"] == name and again.record["name"] == "draw"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"function": "mine"}, r"expected `module:function`"),
        ({"function": "mine:a.b"}, "pattern"),
        ({"hyperparameters": {"scale": W}}, "`scale` is taken by this package"),
        ({"hyperparameters": {"no name": W}}, "pattern"),
    ],
)
def test_a_configuration_that_cannot_be(changes: dict[str, object], message: str) -> None:
    record = {"kind": "function", "function": "mine:draw", **changes}
    with pytest.raises(pydantic.ValidationError, match=message):
        FunctionConfig.model_validate(record)


def test_a_configuration_builds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with user_module(tmp_path, LOGNORMAL) as name:
        hypers = {"w": W, "sigma": SIGMA}
        record = {"kind": "function", "function": f"{name}:draw", "hyperparameters": hypers}
        process = build_process(FunctionConfig.model_validate(record), lattice(4, 5))
    assert process.kind == "function" and process.sites == lattice(4, 5).ids
    draw: Callable[..., jax.Array] = jax.jit(process.sample)
    assert draw(jax.random.key(0), {"w": jnp.float32(0.3)}).shape == (20,)
