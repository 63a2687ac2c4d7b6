"""What is inside a model, for a notebook: the whole table, the layers, the heads.

One decision to know: everything is read from the file (`peoplenet_nb.onnxfile`); its name and its card are not
believed, because a file called int8 may well hold floats and a class may have a head that finds nothing.
"""

from __future__ import annotations

from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.notebook.rich import Rich, Sentence, Stack, Table
from peoplenet_nb.onnxfile import HeadHealth, head_health
from peoplenet_nb.plots import charts


def describe(model: PeopleNet) -> Table:
    """Return everything that is known of a model, nothing of it cut off."""
    return Table(model.describe())


def layers(model: PeopleNet) -> Stack:
    """Return how often each operation occurs, and whether any of them works on integers."""
    file = model.file
    rows = [
        {"operation": name, "how often": count}
        for name, count in sorted(file.nodes.items(), key=lambda i: -i[1])
    ]
    total = sum(file.nodes.values())
    said = f"{total} nodes, {file.parameters:,} parameters, {file.qdq} Q/DQ nodes. "
    said += (
        "The network computes in integers where it can."
        if file.quantized
        else "Without them ONNX Runtime computes in FP32, whatever the file's name says; int8 then takes effect in "
        "TensorRT only, through the calibration cache."
    )
    return Stack(Table(rows), Sentence(said))


class Heads(Rich):
    """The health of each class head.

    Attributes
    ----------
    heads : tuple of HeadHealth
        One per class.
    """

    def __init__(self, heads: tuple[HeadHealth, ...]) -> None:
        self.heads = heads

    @property
    def dead(self) -> tuple[str, ...]:
        """Classes that find nothing, whatever they are shown."""
        return tuple(head.label for head in self.heads if not head.alive)

    def to_html(self) -> str:
        """Return the sizes of the weights as bars, and the reason for each head."""
        rows = [
            {"class": h.label, "head": "alive" if h.alive else "DEAD", "why": h.reason} for h in self.heads
        ]
        parts: list[object] = [charts.head_bars(self.heads), Table(rows)]
        if self.dead:
            parts.append(
                Sentence(f"No threshold brings back {', '.join(self.dead)}: there is nothing to lower.")
            )
        return Stack(*parts).to_html()

    def to_text(self) -> str:
        """Return one line per head."""
        return "\n".join(f"{h.label}: {'alive' if h.alive else 'DEAD'}, {h.reason}" for h in self.heads)


def heads(model: PeopleNet) -> Heads:
    """Return the health of each class head of a model."""
    return Heads(head_health(model.file.path))
