"""The network: a model on a device, frames in, raw grids out."""

from __future__ import annotations

from peoplenet_nb.network.devices import Device, Precision
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.resolve import resolve_model

__all__ = ["Device", "PeopleNet", "Precision", "resolve_model"]
