"""Proof instead of taste: what settings are worth against labels, and which are recommended."""

from __future__ import annotations

from peoplenet_nb.evaluation.clip import Clip
from peoplenet_nb.evaluation.judging import evaluate
from peoplenet_nb.evaluation.reading import read_clip
from peoplenet_nb.evaluation.recommendation import Recommendation
from peoplenet_nb.evaluation.recommending import recommend
from peoplenet_nb.evaluation.result import Evaluation

__all__ = ["Clip", "Evaluation", "Recommendation", "evaluate", "read_clip", "recommend"]
