"""A realistic record of reconstructions, made by the public writer: three models, three repeats, one diverged run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tenfold.record import Record, RunRow

METRICS = [
    {"name": "error", "label": "Squared error", "unit": "", "higher_is_better": False, "primary": True},
]
# name -> deviation of its reconstructions. In the order of the study, which is not that from best to worst.
AUTOENCODERS = {"Small autoencoder": 0.3, "Convolutional autoencoder": 0.05, "Linear autoencoder": 0.2}
EXAMPLES = 12


def build(
    folder: Path,
    *,
    shape: tuple[int, ...] = (3, 10, 14),
    models: dict[str, float] = AUTOENCODERS,
    sweep: tuple[dict[str, Any], ...] = ({},),
    repeats: int = 3,
    examples: int = EXAMPLES,
    diverged: tuple[tuple[str, int], ...] = (("Convolutional autoencoder", 0),),
    predictions: str = "reconstruction",
    change: Any = None,
) -> Path:
    """Write the record.

    Args:
        folder: of the record.
        shape: of an example: an image or a vector.
        models: names and deviations of the reconstructions.
        sweep: the swept values of each variant, the same for every model.
        repeats, examples: their numbers.
        diverged: (model, repeat) pairs.
        predictions: the kind that the record names.
        change: called with (model, arrays) before they are saved, the runs of all variants one after the other.
    """
    study = {
        "name": "autoencoders", "repeats": repeats, "task": {"kind": "reconstruct"},
        "models": [{"name": name} for name in models],
    }  # fmt: skip
    with Record.create(
        folder, study_toml="", study=study, environment={}, metrics=METRICS, command="tenfold run autoencoders",
        quick=False, variants={name: [{"swept": swept} for swept in sweep] for name in models},
    ) as record:  # fmt: skip
        record.save_meta("task", {"predictions": predictions})
        # Every repeat has its own test examples, the same for all models.
        inputs = np.random.default_rng(0).random((repeats, examples, *shape))
        for number, (name, deviation) in enumerate(models.items()):
            rng = np.random.default_rng(number + 1)
            target = np.tile(inputs, (len(sweep), *[1] * (inputs.ndim - 1)))
            arrays = {
                "target": target.astype(np.float32),
                "reconstruction": (target + deviation * rng.normal(size=target.shape)).astype(np.float32),
                "variant": np.repeat(np.arange(len(sweep), dtype=np.int32), repeats),
                "repeat": np.tile(np.arange(repeats), len(sweep)),
            }
            if change is not None:
                change(name, arrays)
            rows = []
            for variant in range(len(sweep)):
                for repeat in range(repeats):
                    gone = (name, repeat) in diverged
                    scores = {} if gone else {"error": deviation**2 + 0.001 * repeat}
                    status = "diverged" if gone else "finished"
                    rows.append(RunRow(variant=variant, repeat=repeat, status=status, epochs=2, scores=scores))
            record.finish_runs(name, rows)
            of_run = arrays.pop("variant")
            for variant in range(len(sweep)):
                own = {key: values[of_run == variant] for key, values in arrays.items()}
                record.save_predictions(name, own, variant=variant)
        record.finish()
    return folder
