"""The variants of a model, from the runs of its job."""

from __future__ import annotations

from tenfold.recipe import Config
from tenfold.train import Job

__all__ = ["configs_of", "variant_index"]


def configs_of(job: Job) -> list[Config]:
    """Every config of a job's runs once, in their order; its place is the index of the variant in the record."""
    return list({run.config.key: run.config for run in job.runs}.values())


def variant_index(job: Job) -> dict[str, int]:
    """Key of a config -> index of its variant."""
    return {config.key: index for index, config in enumerate(configs_of(job))}
