"""How MLflow loads a version that `registry=mlflow` has registered: by this module, not by a pickle.

`mlflow.pyfunc.load_model("models:/flowers@production").predict(frame)`: a table with a column `image` (paths, bytes or
arrays of pictures) in, the columns of `discerna score` out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discerna.directories.model_dir import ModelDirectory
from discerna.results.predictor import Predictor
from discerna.results.score_columns import PROBABILITIES

if TYPE_CHECKING:
    import pandas

COLUMN = "image"


class PictureModel:
    """What MLflow asks for predictions."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        """Score a table with a column `image`, or a list of pictures."""
        import pandas

        pictures = list(model_input[COLUMN] if hasattr(model_input, "columns") else model_input)
        rows = self.predictor.predict(pictures)
        scores = [[row.label, *row.probabilities.values()] for row in rows]
        names = ["Scored Labels", *(f"{PROBABILITIES}{label}" for label in self.predictor.labels)]
        return pandas.DataFrame(scores, columns=names)


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> PictureModel:
    """Called by MLflow with the model directory."""
    return PictureModel(Predictor.of(ModelDirectory.open(path)))
