"""The card: what a person reads first in a bundle's directory."""

from __future__ import annotations

from priorvae.bundles.bundle import Bundle
from priorvae.bundles.info import BundleInfo, ConditionInfo
from priorvae.decoders.engines import engine_notes
from priorvae.errors import preview
from priorvae.processes.conditions import Condition

__all__ = ["card"]


def card(bundle: Bundle) -> str:
    """Return the card as Markdown."""
    info = bundle.info
    function = f"(`{info.process.function.path}`)" if info.process.function else None
    process = " ".join(filter(None, [info.process.kind, info.process.kernel, function]))
    ranges = [_range(c) for c in info.process.hyperprior]
    fixed = [f"{name} = {value:g}, fixed" for name, value in info.process.fixed.items()]
    values = _example(bundle)
    cell = info.id.replace("|", r"\|")  # of a table, in which a bar ends a cell
    return f"""# {info.name}

A `{info.type}` decoder of a {process} prior over {_size(info)}, {info.latent_dim} latents.

| | |
|---|---|
| id | `{cell}` |
| hyperparameters | {"; ".join(ranges + fixed)} |
| map | {info.boundary.source} (licence: {info.boundary.licence or "not stated by the source"}) |
{_places(info)}| certificate | **{info.certificate.status}** |
| trained | {info.training.steps} steps, {info.training.seconds:.0f} s on {info.training.device} |
| made by | priorvae {info.priorvae_version}, seed {info.seed}, {info.created} |

```python
import priorvae

prior = priorvae.load("{info.name}")
f = prior.decode(z, {values})  # z ~ N(0, I), shape ({info.latent_dim},)
```

{_engines(bundle)}
`areas.csv` gives the order of `f`{_within(info)}; `golden.npz` holds
cases every reader of the weights must reproduce; `SHA256SUMS` the checksums. Data join by area id,
never by position.
{_choice(info)}"""


def _places(info: BundleInfo) -> str:
    """Say where else than at its areas the decoder holds, if it does."""
    if info.features is None:
        return ""
    (west, south), (east, north) = info.features.low, info.features.high
    return (
        f"| other places | `prior.at(places)`, {west:.6g} to {east:.6g} km east and {south:.6g} to "
        f"{north:.6g} km north |\n"
    )


def _engines(bundle: Bundle) -> str:
    """Say where the decoder runs well, an engine a line."""
    lines = [
        f"| `{note.engine}` | {'efficient' if note.efficient else '**slow**'} | {note.note} |\n"
        for note in engine_notes(bundle.decoder)
    ]
    return "| engine | this decoder is | |\n|---|---|---|\n" + "".join(lines)


def _choice(info: BundleInfo) -> str:
    """Say why it is this decoder, where the program chose it."""
    return "" if info.choice is None else f"\n## Why this decoder\n\n{info.choice.text()}\n"


def _size(info: BundleInfo) -> str:
    areas, layers = f"{info.num_areas} areas", info.layers
    if layers is None:
        return areas
    return f"{areas} and {len(layers.labels)} {layers.name}s ({preview(layers.labels)})"


def _within(info: BundleInfo) -> str:
    return "" if info.layers is None else f" within each {info.layers.name}, one after another"


def _range(condition: ConditionInfo) -> str:
    return f"{condition.name} ~ {condition.distribution}, {condition.to_condition().span}"


def _example(bundle: Bundle) -> str:
    values = ", ".join(f'"{c.name}": {_middle(c)}' for c in bundle.conditions)
    return f"{{{values}}}"


def _middle(condition: Condition) -> str:
    middle = condition.from_unit(0.0)
    return f'"{condition.text(middle)}"' if condition.labels else repr(float(f"{middle:.3g}"))
