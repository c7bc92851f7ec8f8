"""The read side of a record: scores, tables, verdicts."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.errors import RecordError, RequestError, nearest
from tenfold.published import Published, read_published
from tenfold.record import _sentences as sentences
from tenfold.record._arrays import ENDINGS, read_npz, read_safetensors
from tenfold.record._looks import LOOKS, command_for_more, look_sentences, looks_of
from tenfold.record._ranking import Rank, rank
from tenfold.record._sentences import VerdictWords
from tenfold.record._snapshot import Curve, read_curves, read_snapshot
from tenfold.record._variant import Settings, Variant, of_study
from tenfold.stats import (
    AgainstPublished,
    AgainstSingle,
    Clusters,
    Design,
    Looks,
    Summary,
    Verdict,
    against_published,
    against_single,
    summarise,
    verdicts,
)
from tenfold.wording import listed, settings_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reader"]


class Reader:
    """The results of a study, as its record held them when this object was built.

    Args:
        folder: a record's folder, finished or not, also one that is being written.
    Attributes:
        study, metrics, command, quick, status: as recorded; status is "finished" or "unfinished".
        started, ended: time in ISO format, UTC; ``ended`` is None before the study has finished.
        models: names in the study's order.
        variants: every `Variant` of every model, in the study's order, also where no run of it has ended yet.
        repeats: numbers of the repeats, the rows of every score array.
        runs, events, plans: how each run ended, what happened, and each model's placement.
    Raises:
        RecordError: no record, damaged, or of another version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._snapshot = read_snapshot(self.folder / "results.db")
        meta = self._snapshot.meta
        self.study: dict[str, Any] = meta["study"]
        self.metrics: list[dict[str, Any]] = meta["metrics"]
        self.command, self.status, self.quick = str(meta["command"]), str(meta["status"]), bool(meta["quick"])
        self.started, self.ended = meta["started"], meta.get("ended")
        self.models: tuple[str, ...] = tuple(model["name"] for model in self.study["models"])
        self.variants, self.plans = of_study(self._snapshot.variants, self.models), self._snapshot.plans
        # A record may hold more than the study has by now: further repeats, and models that were left out.
        recorded = sorted({run.repeat for run in self._snapshot.runs})
        self.repeats: tuple[int, ...] = tuple(range(self.study["repeats"]) if "repeats" in self.study else recorded)
        shown = set(self.repeats)
        self.runs = tuple(r for r in self._snapshot.runs if r.variant.model in self.models and r.repeat in shown)
        self.events = tuple(event for event in self._snapshot.events if event.model in ("", *self.models))
        self._designs = [(_protocol(entry), _design(entry)) for entry in self.study.get("resampling") or ()]
        self._verdicts: dict[tuple[Any, ...], list[Verdict]] = {}
        self._summaries: dict[tuple[str, float], dict[str, Summary]] = {}

    def __repr__(self) -> str:
        ended = sum(self.counts(variant)["ended"] for variant in self.variants)
        return f"<Results of '{self.study.get('name')}': {len(self.variants)} variants, {ended} runs, {self.status}>"

    # ------------------------------------------------------------------ scores

    @property
    def primary(self) -> str:
        """The name of the metric that decides."""
        return next((m["name"] for m in self.metrics if m.get("primary")), self.metrics[0]["name"])

    def metric(self, name: str | None = None) -> dict[str, Any]:
        """A metric's description; the primary one's by default."""
        name = name or self.primary
        known = {metric["name"]: metric for metric in self.metrics}
        if name not in known:
            raise RequestError(f"no metric '{name}' in the record {self.folder}: {nearest(name, known)}")
        return known[name]

    def scores(self, metric: str | None = None) -> dict[str, np.ndarray]:
        """Final test scores by variant label, shape (repeats,), aligned by repeat.

        NaN where a run diverged or has not ended. A variant without any score of this metric is left out (a model
        without digit outputs has no digit accuracy), but for the primary metric.
        """
        name, recorded = self.metric(metric)["name"], self._snapshot.scores
        diverged = {(run.variant, run.repeat) for run in self.runs if run.status == "diverged"}
        found: dict[str, np.ndarray] = {}
        for variant in self.variants:
            if name == self.primary or any((variant, repeat, name) in recorded for repeat in self.repeats):
                values = [
                    math.nan if (variant, repeat) in diverged else recorded.get((variant, repeat, name), math.nan)
                    for repeat in self.repeats
                ]
                found[variant.label] = np.array(values, dtype=np.float64)
        return found

    def counts(self, variant: Variant) -> dict[str, int]:
        """How many runs of a variant were planned, have ended, and ended with which status."""
        statuses = Counter(run.status for run in self.runs if run.variant == variant)
        return {
            "planned": len(self.repeats),
            "ended": sum(statuses.values()),
            **{status: statuses[status] for status in ("finished", "stopped", "diverged")},
        }

    def summaries(self, metric: str | None = None, *, level: float = 0.95) -> dict[str, Summary]:
        """Mean, deviation and interval by variant label."""
        key = (self.metric(metric)["name"], level)
        bounds = (0.0, 1.0) if self.metric(metric)["unit"] == "%" else None
        if key not in self._summaries:  # a bootstrap each: made once
            self._summaries[key] = {
                label: summarise(scores, level=level, test_over_train=self._test_over_train(label), bounds=bounds)
                for label, scores in self.scores(metric).items()
            }
        return self._summaries[key]

    def table(self, metric: str | None = None, *, level: float = 0.95) -> pd.DataFrame:
        """One row per variant and metric, measured beside published, as fractions. Printed, it fits the terminal.

        Columns: model, setting (the swept values as text), metric, n (runs with a score), mean, std, low, high,
        published_mean, published_std, published_n, published_note, diverged.
        """
        from tenfold.record._table import ScoreTable

        rows = []
        for name in [metric] if metric else [m["name"] for m in self.metrics]:
            summaries = self.summaries(name, level=level)
            for variant in self.variants:
                if variant.label not in summaries:
                    continue
                summary, figure = summaries[variant.label], self.published(variant.model, name)
                rows.append(
                    {
                        "model": variant.model,
                        "setting": variant.swept_label,
                        "metric": name,
                        **{key: getattr(summary, key) for key in ("n", "mean", "std", "low", "high")},
                        "published_mean": figure.mean if figure else math.nan,
                        "published_std": figure.std if figure else math.nan,
                        "published_n": figure.n if figure else None,
                        "published_note": figure.note if figure else "",
                        "diverged": self.counts(variant)["diverged"],
                    }
                )
        columns = ["model", "setting", "metric", "n", "mean", "std", "low", "high"]
        columns += ["published_mean", "published_std", "published_n", "published_note", "diverged"]
        table = ScoreTable(rows, columns=columns)
        table["published_n"] = table["published_n"].astype("Int64")
        return table

    # ------------------------------------------------------------------ verdicts

    def compare(
        self, metric: str | None = None, *, level: float = 0.95, test: str = "auto", correction: str = "max-t"
    ) -> list[Verdict]:
        """The verdict on every pair of variants.

        Where variants have several protocols: on the pairs within each protocol, and on each variant under one protocol
        and under another. Each protocol is judged by its own design, as in a study of its own; the pairs across
        protocols are judged together.

        Args:
            metric: a metric's name; the primary one by default.
            level, test, correction: as in ``tenfold.stats.verdicts``. The default test follows from how the repeats
                share test examples, as ``study["resampling"]`` says.
        """
        described = self.metric(metric)
        decides = [self.primary, *(name for name in self._settings.get("metrics", ()) if name != self.primary)]
        key = (described["name"], level, test, correction)
        if key not in self._verdicts:
            judged = slice(self.looks.taken[-1])  # beyond a plan of looks no repeat counts
            scores = {label: values[judged] for label, values in self.scores(metric).items()}
            words = {
                "metric": sentences.in_words(described),
                "higher_is_better": described["higher_is_better"],
                "unit": described["unit"],
                "level": level,
                "test": test,
                "correction": correction,
                "failed": {label: lost[judged] for label, lost in self.failed().items()},
                "n_metrics": len(decides) if described["name"] in decides else 1,
                "equal_within": self._margin(described),
                "looks": self.looks,
            }
            found: dict[tuple[str, str], Verdict] = {}
            for design, pairs in self._families(scores):
                labels = list(dict.fromkeys(label for pair in pairs for label in pair))
                clusters = self.clusters(labels, described["name"]) if design.overlap and not design.one_pool else None
                own = {label: scores[label] for label in labels}
                judged = verdicts(own, pairs=pairs, design=design, clusters=clusters, **words)
                found |= dict(zip(pairs, judged, strict=True))
            self._verdicts[key] = [found[pair] for pair in self._pairs(scores)]
        return self._verdicts[key]

    @cached_property
    def looks(self) -> Looks:
        """After how many repeats the verdicts were looked at; the present look is the last. Its first repeats are
        judged: all, but for those beyond a plan.
        """
        return looks_of(self.meta(LOOKS) or [], self._settings, len(self.repeats))

    @property
    def _settings(self) -> dict[str, Any]:
        """The study's ``[verdict]``."""
        return self.study.get("verdict") or {}

    def _margin(self, described: Mapping[str, Any]) -> float | None:
        """The margin of the primary metric, in the unit of its scores; None for any other."""
        margin = self._settings.get("equal_within")
        if margin is None or described["name"] != self.primary:
            return None
        return margin / 100 if described["unit"] == "%" else float(margin)

    def _families(self, labels: Iterable[str]) -> list[tuple[Design, list[tuple[str, str]]]]:
        """Pairs that are judged together, and how their repeats share test examples."""
        families: dict[tuple[Settings, Settings] | None, list[tuple[str, str]]] = {}
        for pair in self._pairs(labels):
            first, second = (self.protocols[label] for label in pair)
            families.setdefault((first, second) if first == second else None, []).append(pair)
        return [
            (self._design(key[0]) if key else _across([design for _, design in self._designs]), pairs)
            for key, pairs in families.items()
        ]

    def design(self, label: str) -> Design:
        """How the repeats of a variant share test examples."""
        return self._design(self.protocols[label])

    def _design(self, protocol: Settings) -> Design:
        return next((design for known, design in self._designs if known == protocol), Design())

    def failed(self) -> dict[str, np.ndarray]:
        """Variant label -> which repeats diverged."""
        lost = {(run.variant, run.repeat) for run in self.runs if run.status == "diverged"}
        return {v.label: np.array([(v, repeat) in lost for repeat in self.repeats]) for v in self.variants}

    def clusters(self, labels: Iterable[str], metric: str) -> Clusters | None:
        """What clusters of test examples add to the scores of these variants in the repeats that are judged; None where
        one of them has none.
        """
        variants = {variant.label: variant for variant in self.variants}
        parts, examples = {}, 0
        for label in labels:
            path = self._path("clusters", variants[label].model, variants[label].index)
            kept = read_npz(path) if path.exists() else {}
            if metric not in kept:
                return None
            row = {int(repeat): at for at, repeat in enumerate(kept["repeat"])}
            judged = self.repeats[: self.looks.taken[-1]]
            own = np.zeros((len(judged), kept[metric].shape[1]))
            for at, repeat in enumerate(judged):
                if repeat in row:
                    own[at] = np.nan_to_num(kept[metric][row[repeat]])
            parts[label], examples = own, examples + kept["examples"].sum(axis=0)
        share = examples / np.maximum(np.sum(examples), 1)
        tested = share > 0
        if tested.sum() < 2:
            return None
        return Clusters({label: own[:, tested] for label, own in parts.items()}, share[tested])

    @cached_property
    def protocols(self) -> dict[str, Settings]:
        """Variant label -> the settings by which its data are divided, such as ``(("split", "group"),)``; empty where
        they are the same in the whole study.
        """
        return {variant.label: variant.protocol for variant in self.variants}

    def ranking(self, metric: str | None = None, *, level: float = 0.95) -> list[Rank]:
        """Variants from best to worst mean, with what each is better than and not told apart from.

        Variants without any score are left out. Where variants have several protocols, those of the study's first
        protocol come first: scores on other test examples give no common order.
        """
        described = self.metric(metric)
        means = {label: s.mean for label, s in self.summaries(metric, level=level).items() if math.isfinite(s.mean)}
        order = sorted(means, key=means.__getitem__, reverse=described["higher_is_better"])
        protocols = list(dict.fromkeys(self.protocols.values()))
        order.sort(key=lambda label: protocols.index(self.protocols[label]))
        pairs = [v for v in self.compare(metric, level=level) if v.first in means and v.second in means]
        return rank(order, [v for v in pairs if self.protocols[v.first] == self.protocols[v.second]])

    def published(self, model: str, metric: str | None = None) -> Published | None:
        """The published figure of a model, in the unit of the scores; None where the study has none."""
        return self._published[self._known(model)].get(self.metric(metric)["name"])

    def against(self, metric: str | None = None, *, level: float = 0.95) -> dict[str, AgainstPublished | AgainstSingle]:
        """Measured against published by variant label.

        Welch's test where a deviation and a number of repeats were published, else the place of the single number among
        the measured ones.
        """
        described = self.metric(metric)
        answers: dict[str, AgainstPublished | AgainstSingle] = {}
        scores = self.scores(metric)
        for variant in self.variants:
            figure = self.published(variant.model, metric)
            if figure is None or variant.label not in scores:
                continue
            if math.isfinite(figure.std) and figure.n is not None and figure.n > 1:
                answers[variant.label] = against_published(
                    scores[variant.label],
                    mean=figure.mean,
                    std=figure.std,
                    n=figure.n,
                    unit=described["unit"],
                    level=level,
                    test_over_train=self._test_over_train(variant.label),
                )
            else:
                answers[variant.label] = against_single(scores[variant.label], figure.mean, unit=described["unit"])
        return answers

    def verdict_words(self, metric: str | None = None, *, level: float = 0.95) -> VerdictWords:
        """The verdict of the whole study in words, part by part."""
        described = self.metric(metric)
        ranks = self.ranking(metric, level=level)
        if not ranks:
            return VerdictWords("No run has ended with a score: there is nothing to compare.")
        order = [entry.label for entry in ranks]
        verdicts = self.compare(metric, level=level)
        told = not sentences.none_told(verdicts)
        said = [sentences.rank_sentence(entry, order) if told else "" for entry in ranks]
        first = settings_text(self.protocols[order[0]]) if len(set(self.protocols.values())) > 1 else ""
        summary = self.summaries(metric, level=level)[order[0]]
        across = [v for v in verdicts if told and self.protocols[v.first] != self.protocols[v.second]]
        return VerdictWords(
            headline=sentences.headline(ranks[0], len(ranks), summary, described, first),
            best=said[0],
            others=tuple(sentence for sentence in said[1:] if sentence),
            protocols=tuple(verdict.sentence for verdict in across),
            tally=sentences.tally(verdicts),
            published=sentences.against_sentence(self.against(metric, level=level), described),
            advice=self._advice(verdicts),
        )

    def _advice(self, verdicts: Iterable[Verdict]) -> str:
        """What to type for more repeats, where they might settle something."""
        if self.status != "finished":
            return ""
        folds = [entry["folds"] for entry in self.study.get("resampling") or () if entry.get("folds")]
        return command_for_more(shlex.quote(str(self.folder)), self.looks, verdicts, folds)

    def verdict_sentences(self, metric: str | None = None, *, level: float = 0.95) -> list[str]:
        """The verdict of the whole study in words, the most important sentence first, what is missing last."""
        return [*self.verdict_words(metric, level=level).all(), *self.missing_sentences()]

    def missing_sentences(self) -> list[str]:
        """One sentence for each variant that has diverged or missing runs."""
        found = []
        for variant in self.variants:
            counts = self.counts(variant)
            if counts["diverged"]:
                one = counts["diverged"] == 1
                which = sorted(r.repeat for r in self.runs if r.variant == variant and r.status == "diverged")
                repeats = f"repeat{'s' if len(which) > 1 else ''} {listed([str(r) for r in which])}"
                found.append(
                    f"{variant.label}: {counts['ended'] - counts['diverged']} of {counts['planned']} runs finished, "
                    f"{counts['diverged']} diverged ({repeats}). In means {'it is' if one else 'they are'} left out; "
                    f"in verdicts {'it counts' if one else 'they count'} with the worst score of all."
                )
            if counts["ended"] < counts["planned"]:
                missing = counts["planned"] - counts["ended"]
                found.append(f"{variant.label}: {missing} of {counts['planned']} runs have not ended yet.")
        return found

    @property
    def failures(self) -> list[str]:
        """What stands beside the scores and could not be made, such as examples to show, and why: a sentence each."""
        return [
            f"{f'{event.model}: ' if event.model else ''}{event.text.removesuffix('.')}."
            for event in self.events
            if event.kind == "failed"
        ]

    @property
    def not_verified(self) -> list[str]:
        """What ``--verify`` found too far from the runs alone: a sentence each."""
        certificates = self.meta("certificate")
        if not isinstance(certificates, Mapping):
            return []
        found = ((model, each.get("failures", [])) for model, each in certificates.items() if isinstance(each, Mapping))
        return [f"Not verified: {model}, {text}." for model, texts in found for text in texts]

    def limits(self, metric: str | None = None, *, level: float = 0.95) -> list[str]:
        """What a reader has to know about the verdicts, each limit once."""
        found = []
        if self.quick:
            found.append(
                "This is a quick study, cut down to fit a few minutes: its scores are not those of the full one."
            )
        named = [self.primary, *self._settings.get("metrics", ())]
        if (name := self.metric(metric)["name"]) not in named:
            found.append(
                f"'{name}' was chosen after training: the primary metric of the study is '{self.primary}', and "
                "p-values are not corrected for several metrics."
            )
        if self.status != "finished":
            found.append("The study has not finished: what is shown is what had ended by now.")
        if len(self.variants) > 1:
            found += look_sentences(self.looks, self._settings, len(self.repeats), level)
        found += self._changed_later()
        found += [f"Repeats: {reason}." for reason in dict.fromkeys(self._reasons())]
        found += [f"Data: {text.removesuffix('.')}." for text in self.data_notes]
        found += self.failures
        found += self.not_verified
        whose: dict[str, list[str]] = {}
        pairs = self.compare(metric, level=level)
        for verdict in pairs:
            for note in verdict.notes:
                # Without its p-value the same note of several pairs is one line.
                text = re.sub(r" \(p [=<] [\d.]+\)", "", note)
                whose.setdefault(text, []).append(f"{verdict.first} and {verdict.second}")
        found += [sentences.note_of(note, names, len(pairs)) for note, names in whose.items()]
        whose, against = {}, self.against(metric, level=level)
        for label, answer in against.items():
            for note in getattr(answer, "notes", ()):
                whose.setdefault(note, []).append(label)
        found += [f"Against published: {sentences.note_of(note, names, len(against))}" for note, names in whose.items()]
        return found

    # ------------------------------------------------------------------ files

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, hardware and commit, from ``environment.json``."""
        path = self.folder / "environment.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise RecordError(f"no file {path}: the record is not complete. Restore it from a copy.") from error
        except (OSError, ValueError, TypeError) as error:
            raise RecordError(f"{path} is damaged ({error}). Restore it from a copy.") from error

    def meta(self, name: str) -> Any:
        """What ``Record.save_meta`` saved under a name; None where nothing was."""
        return self._snapshot.meta.get(name)

    @property
    def data_notes(self) -> tuple[str, ...]:
        """What loading the data left out, filled or changed, with counts, and what their division means."""
        return tuple((self.meta("task") or {}).get("warnings") or ())

    def curves(self, metric: str | None = None) -> list[Curve]:
        """Learning curves of a metric: for each variant, in order, one for each part that was measured."""
        place = {variant: number for number, variant in enumerate(self.variants)}
        curves = read_curves(self.folder / "results.db", self.metric(metric)["name"], self.variants, self.repeats)
        return sorted(curves, key=lambda curve: place.get(curve.variant, len(place)))

    def predictions(self, model: str, *, variant: int = 0) -> dict[str, np.ndarray] | None:
        """Test predictions of a variant, runs first, as docs/record.md describes; None where none were saved."""
        path = self._path("predictions", model, variant)
        return self._shown(read_npz(path)) if path.exists() else None

    def gallery(self) -> dict[str, np.ndarray] | None:
        """Examples worth showing; None where none were saved."""
        path = self.folder / "predictions" / "gallery.npz"
        return read_npz(path) if path.exists() else None

    def weights(self, model: str, *, variant: int = 0) -> dict[str, np.ndarray]:
        """Weights of all runs of a variant, each (runs, ...), in the order of its predictions."""
        return self._shown(read_safetensors(self._path("weights", model, variant)))

    def preprocessing(self, model: str, *, variant: int = 0) -> dict[str, np.ndarray] | None:
        """What the preprocessing of each run was fitted to, each (runs, ...); None where there is none."""
        path = self._path("preprocessing", model, variant)
        return self._shown(read_safetensors(path)) if path.exists() else None

    @property
    def sources_folder(self) -> Path | None:
        """The folder with the files of the user's own modules and tasks; None where the study has none."""
        path = self.folder / "sources"
        return path if path.is_dir() else None

    # ------------------------------------------------------------------ inner

    @cached_property
    def _published(self) -> dict[str, dict[str, Published]]:
        # Checked when the study was read; a figure that was wrong then is left out here.
        return {
            entry["name"]: read_published(entry.get("published") or {}, self.metrics, "", [])
            for entry in self.study["models"]
        }

    def _pairs(self, labels: Iterable[str]) -> list[tuple[str, str]]:
        """Pairs of variants that can be compared: of one protocol, or alike but for the protocol."""
        variants = {variant.label: variant for variant in self.variants}
        against = self._settings.get("against")
        return [
            (first, second)
            for first, second in combinations(labels, 2)
            if (
                variants[first].protocol == variants[second].protocol
                or variants[first].apart_from_protocol == variants[second].apart_from_protocol
            )
            and (against is None or [variants[first].model, variants[second].model].count(against) == 1)
        ]

    def _changed_later(self) -> list[str]:
        """What of the study was changed when scores were known, a sentence each."""
        words = {
            "verdict changed": "The settings of the verdict were changed after training: {}.",
            "other versions": "Not all repeats were trained alike: {}.",
        }
        return [words[event.kind].format(event.text) for event in self.events if event.kind in words]

    def _shown(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Rows of the study's repeats, which come first in every file of runs."""
        return {name: array[: len(self.repeats)] for name, array in arrays.items()}

    def _path(self, part: str, model: str, variant: int) -> Path:
        name = self._snapshot.files.get((self._known(model), variant))
        if name is None:
            raise RequestError(f"no variant {variant} of '{model}' in the record {self.folder}")
        return self.folder / part / f"{name}{ENDINGS[part]}"

    def _known(self, model: str) -> str:
        if model not in self.models:
            raise RequestError(f"no model '{model}' in the record {self.folder}: {nearest(model, self.models)}")
        return model

    def _reasons(self) -> list[str]:
        """How the repeats relate, in words, for each protocol."""
        entries = self.study.get("resampling") or ()
        several = len(entries) > 1
        return [
            f"{settings_text(_protocol(entry))}: {entry['reason']}" if several else entry["reason"] for entry in entries
        ]

    def _test_over_train(self, label: str) -> float | None:
        """What shared test examples add to the variance of a mean of one variant, as in ``tenfold.stats``."""
        design = self.design(label)
        return design.ratio if 0 < design.overlap < 1 else None


def _protocol(entry: Mapping[str, Any]) -> Settings:
    return tuple(entry.get("protocol", {}).items())


def _design(entry: Mapping[str, Any]) -> Design:
    return Design(
        **{name: entry[name] for name in ("overlap", "one_pool", "tested_on", "beyond", "more") if name in entry}
    )


def _across(designs: Iterable[Design]) -> Design:
    """For one variant under two protocols: that of the protocol whose repeats share most."""
    return max(designs, key=lambda design: design.overlap, default=Design())
