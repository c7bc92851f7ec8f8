"""A task of one's own: a sparse denoising autoencoder of images. Its target is the clean image, its output a dict."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tenfold.metrics import Metric
from tenfold.recipe import Recipe
from tenfold.sampling import Splitter, TensorSource, shuffled
from tenfold.tasks import ImageSettings, TaskInfo, TaskSpec


class SparseRecipe(Recipe):
    loss_values = ("sparsity",)  # may differ from run to run of a stack

    sparsity: float = 0.0  # weight of the penalty
    activity: float = 0.1  # mean activation that every hidden unit should have


class Autoencoder:
    spec = TaskSpec(
        kind="autoencoder",
        metrics=(Metric("error", "Mean squared error", "", higher_is_better=False, primary=True),),
        settings=ImageSettings,
        recipe=SparseRecipe,
        predictions="reconstruction",
        monitor="error",
    )
    batches = staticmethod(shuffled)

    def __init__(self, settings, images):
        self.source = TensorSource(torch.from_numpy(images.images))
        self.splitter = Splitter(len(images), test=0.25, validation=settings.validation, unit="images")
        self.info = TaskInfo(images.fingerprint, module_kwargs={"n_inputs": images.images[0].size})

    def splits(self, repeats: Sequence[int], *, seed, configs=None):
        return self.splitter.splits(self.source, repeats, seed=seed)

    def resampling(self, configs=None):
        return self.splitter.resampling()

    def loss(self, output, batch, hyper) -> Tensor:  # of one run
        error = nn.functional.mse_loss(output["image"], batch.clean[0])
        active, wanted = output["hidden"].mean(0), hyper.recipe.activity  # (units,)
        divergence = wanted * (wanted / active).log() + (1 - wanted) * ((1 - wanted) / (1 - active)).log()
        return error + hyper["sparsity"] * divergence.sum()

    def sums(self, output, batch):  # (runs, batch, ...) -> (runs,)
        squares = (output["image"] - batch.clean[0]).double().square().flatten(2).mean(2)
        return {"squares": (squares * batch.valid).sum(1), "count": batch.valid.double().sum(1)}

    def metrics_of(self, sums):
        return {"error": sums["squares"] / sums["count"]}

    def predictions(self, output, batch):
        return {"reconstruction": output["image"], "target": batch.clean[0]}
