"""The winner of a study, handed over: its modules with their weights, and answers on new data."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tenfold.datasets import ImageForm
from tenfold.errors import RequestError
from tenfold.export._inputs import prepared
from tenfold.export._models import factory_of
from tenfold.record import Reader, Variant
from tenfold.retrieval import Matcher
from tenfold.sampling import Standardise
from tenfold.seeds import derive

__all__ = ["Answers", "Results", "Winner"]

# Examples in one forward pass.
_AT_ONCE = 200


class Results(Reader):
    """The results of a study, which can also hand over a trained model."""

    def best(self, metric: str | None = None) -> Winner:
        """The model with the best mean, of a metric or the primary one.

        Raises:
            RequestError: if no run of any model has a score yet.
        """
        ranks = self.ranking(metric)
        if not ranks:
            raise RequestError(f"the record {self.folder} has no scores yet: run the study to its end")
        return self.winner(ranks[0].label)

    def winner(self, label: str) -> Winner:
        """The variant of the name that tables show."""
        found = {variant.label: variant for variant in self.variants}
        if label not in found:
            raise RequestError(f"no model '{label}' in the record {self.folder}; there are {', '.join(found)}")
        return Winner(self, found[label])


@dataclass(frozen=True)
class Answers:
    """What a winner says about new examples.

    Args:
        probability: of each answer, mean over the repeats, shape (examples, answers).
        of_repeats: the same of each repeat, shape (repeats, examples, answers).
        labels: of the answers.
    """

    probability: np.ndarray
    of_repeats: np.ndarray
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.probability)

    @property
    def classes(self) -> list[str]:
        """The likeliest answer to each example."""
        return [self.labels[at] for at in self.probability.argmax(-1)]

    @property
    def agreement(self) -> np.ndarray:
        """Fraction of the repeats whose likeliest answer is that of all together, shape (examples,)."""
        return (self.of_repeats.argmax(-1) == self.probability.argmax(-1)).mean(0)


@dataclass(frozen=True)
class Winner:
    """All repeats of one variant of a study, trained. New data go in as they are: preprocessing is in the record.

    Args:
        results: of the study.
        variant: a model with a config.
    """

    results: Reader
    variant: Variant

    @property
    def repeats(self) -> tuple[int, ...]:
        """Those that were trained to their end and did not diverge, in order."""
        sound = [run for run in self.results.runs if run.status in ("finished", "stopped")]
        return tuple(sorted(run.repeat for run in sound if run.variant == self.variant))

    def module(self, repeat: int) -> nn.Module:
        """The plain module of one repeat, with its weights, in evaluation mode. It takes preprocessed inputs; see
        ``predict`` for data as they are.

        Raises:
            RequestError: if that repeat was not trained, or the module cannot be built from the record.
        """
        row = self._row(repeat)
        # From the run's own seed: a buffer that is not in the state_dict is drawn as it was in training.
        seed = derive(self.results.study["seed"], self.variant.model, repeat, "weights")
        module = factory_of(self.results, self.variant).build(seed)
        tensors = {name: torch.from_numpy(np.array(value[row])) for name, value in self._weights.items()}
        floating = [tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()]
        module.to(floating[0] if floating else None).load_state_dict(tensors)
        return module.eval()

    def outputs(self, data: Any, *, repeats: Literal["all"] | int | Sequence[int] = "all") -> list[Any]:
        """What the modules give for new data, one tree of tensors per repeat, examples first.

        Args:
            data: in its own units: images (files, Pillow images, bytes of 0 to 255), pairs of images, recordings
                (samples x channels); for a task of one's own the arrays that its modules take.
            repeats: which.
        """
        inputs = prepared(data, self._task["inputs"])
        steps = [self._steps(repeat) for repeat in self._chosen(repeats)]
        try:
            return [_forward(each, inputs, carries=self._task.get("carries", False)) for each in steps]
        except (RuntimeError, ValueError, TypeError, IndexError) as error:  # whatever a module says of wrong shapes
            shapes = ", ".join(str(array.shape) for array in inputs)
            raise RequestError(f"{self.variant.label} failed on inputs of shape {shapes}: {error}") from error

    def predict(self, data: Any, *, repeats: Literal["all"] | int | Sequence[int] = "all") -> Answers:
        """Answers with their probabilities on new data, by one repeat or several together.

        Args:
            data, repeats: see ``outputs``.
        Raises:
            RequestError: if the study is not one of classes or of pairs; ``matcher`` is for matching by example,
                ``outputs`` for everything else.
        """
        kind = self._task["predictions"]
        if kind not in ("classes", "binary"):
            other = "matcher()" if kind == "ranking" else "outputs(data)"
            raise RequestError(f"predict: the task '{self._task['kind']}' has no classes to choose from; use {other}")
        probability = [_logits(output).softmax(-1).float().numpy() for output in self.outputs(data, repeats=repeats)]
        of_repeats = np.stack(probability)
        given = self._task["labels"].get("class" if kind == "classes" else "answer") or ()
        labels = tuple(given) or tuple(map(str, range(of_repeats.shape[-1])))
        return Answers(of_repeats.mean(0), of_repeats, labels)

    def embed(self, images: Any, *, repeats: Literal["all"] | int | Sequence[int] = "all") -> np.ndarray:
        """Embeddings of images in their own units, (examples, dimension): each repeat's brought to length 1 and put
        side by side, so that the cosine similarity is the mean of the repeats'."""
        return _side_by_side(self.outputs(images, repeats=repeats))

    def embed_prepared(self, images: np.ndarray) -> np.ndarray:
        """As ``embed``, of images that a matcher has read: float32 from 0 to 1, (n, channels, height, width)."""
        inputs = (np.ascontiguousarray(images, dtype=np.float32),)
        return _side_by_side([_forward(each, inputs) for each in self._all_steps])

    def matcher(self, *, similarity: Literal["cosine", "euclidean"] | None = None) -> Matcher:
        """Recognises images by example, with the embeddings of all repeats together; see ``embed``.

        Args:
            similarity: by which examples are ranked; the study's by default.
        Raises:
            RequestError: if the study is not one of matching by example.
        """
        if self._task["predictions"] != "ranking":
            raise RequestError(f"a matcher needs a study of the task 'match'; this one is '{self._task['kind']}'")
        assert self._all_steps  # built here: what cannot be is said before anything is added
        settings = self.results.study["task"]
        return Matcher(
            self.embed_prepared,
            similarity=similarity or settings.get("similarity", "cosine"),
            form=ImageForm.from_facts(self._task["inputs"]),
        )

    # -- inner --------------------------------------------------------------------------------------------------------

    @property
    def _task(self) -> dict[str, Any]:
        return self.results.meta("task")

    def _chosen(self, repeats: Literal["all"] | int | Sequence[int]) -> Sequence[int]:
        if repeats == "all":
            repeats = self.repeats
        chosen = [int(repeats)] if isinstance(repeats, int | np.integer) else list(repeats)
        if not chosen:
            raise RequestError(f"no repeat of {self.variant.label} was trained to its end")
        return chosen

    def _row(self, repeat: int) -> int:
        """Place of a repeat among the runs of the variant."""
        if repeat not in self.repeats:
            raise RequestError(f"repeat {repeat} of {self.variant.label} is not there; there are {self.repeats}")
        return self._rows[repeat]

    @functools.cached_property
    def _rows(self) -> dict[int, int]:
        """Repeat -> its row; read once, since the predictions of all repeats are one file."""
        kept = self.results.predictions(self.variant.model, variant=self.variant.index)
        assert kept is not None
        return {repeat: row for row, repeat in enumerate(kept["repeat"].tolist())}

    @functools.cached_property
    def _weights(self) -> Mapping[str, np.ndarray]:
        """Of all repeats, runs first; read once."""
        return self.results.weights(self.variant.model, variant=self.variant.index)

    @functools.cached_property
    def _all_steps(self) -> list[tuple[Standardise | None, nn.Module]]:
        """Preprocessing and module of all repeats; built once."""
        return [self._steps(repeat) for repeat in self._chosen("all")]

    def _steps(self, repeat: int) -> tuple[Standardise | None, nn.Module]:
        """Preprocessing and module of one repeat."""
        module, arrays = self.module(repeat), self.results.preprocessing(self.variant.model, variant=self.variant.index)
        if arrays is None:
            return None, module
        row = self._row(repeat)
        return Standardise.from_arrays({name: value[row : row + 1] for name, value in arrays.items()}), module


def _forward(
    steps: tuple[Standardise | None, nn.Module], inputs: tuple[np.ndarray, ...], *, carries: bool = False
) -> Any:
    """The output of one repeat for all examples, batch by batch; a carried state begins anew with each example."""
    preprocess, module = steps
    model: Any = module
    dtype = next((value.dtype for value in module.parameters()), torch.float32)
    outputs = []
    for batch in _batches(inputs):
        values = tuple(value.to(dtype)[None] if value.is_floating_point() else value[None] for value in batch)
        values = values if preprocess is None else preprocess(values)
        with torch.no_grad():
            state = model.initial_state(values[0].shape[1]) if carries else ()
            output = model(*(value[0] for value in values), *state)
        outputs.append(output[0] if carries else output)
    return tree_map(lambda *parts: torch.cat(parts), *outputs)


def _side_by_side(outputs: Sequence[Tensor]) -> np.ndarray:
    """Embeddings of several repeats, each brought to length 1: (examples, dimension)."""
    return torch.cat([nn.functional.normalize(output.float(), dim=1) for output in outputs], dim=1).numpy()


def _batches(inputs: tuple[np.ndarray, ...]) -> Iterator[tuple[Tensor, ...]]:
    for start in range(0, len(inputs[0]), _AT_ONCE):
        yield tuple(torch.from_numpy(np.ascontiguousarray(value[start : start + _AT_ONCE])) for value in inputs)


def _logits(output: Any) -> Tensor:
    """The logits of a module's output: it, or the first of a tuple, as a task of pairs has them."""
    logits = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(logits, Tensor):
        raise RequestError(f"predict: expected logits, or a tuple with logits first, got {type(output).__name__}")
    return logits
