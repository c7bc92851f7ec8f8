"""The reference of every key, the hints of other libraries' names, and the JSON schema of study files."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from tenfold import parse_study
from tenfold.config import BUILT_IN, keys_text, study_schema, to_toml
from tenfold.config._keys import Key, described, tables_of
from tenfold.config._synonyms import _NAMES, hint
from tenfold.errors import StudyError
from tenfold.metrics import Metric
from tenfold.recipe import Recipe
from tenfold.tasks import SPECS, TaskSettings, TaskSpec

path = Path(__file__).with_name("json_schema.py")
spec = importlib.util.spec_from_file_location("json_schema", path)
assert spec is not None
assert spec.loader is not None
json_schema = importlib.util.module_from_spec(spec)
spec.loader.exec_module(json_schema)

SCHEMA = study_schema(SPECS)
ROOT = Path(__file__).parent.parent.parent
STUDIES = [*BUILT_IN.glob("*.toml"), *(ROOT / "examples").rglob("*.toml")]
GOOD = """
name = "good"
task = { kind = "compare-pairs", data = "digits", validation = 0.1, metric = "f1" }
train = { epochs = 5, lr = 0.1, patience = 3, augment = { rotate = 10 }, sweep = { gamma = [0.1, 0.2] } }
quick = { repeats = 2, train = 100 }
references = { people = 4.5 }
[[models]]
module = "siamese-cnn"
shared = true
published = { accuracy = [81.0, 2.9], f1 = 80, repeats = 10 }
sweep = { lr = [0.1, 0.2], channels = [[1, 2, 3]] }
[[models]]
name = "mine"
module = "nets.py:Net"
anything = 3
"""


def keys_of(kind: str, title: str) -> dict[str, Key]:
    (table,) = [table for table in tables_of(SPECS[kind]) if table.title == title]
    return {key.name: key for key in table.keys}


# -- the reference ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPECS)
def test_every_setting_has_a_line_with_type_default_and_meaning(kind: str) -> None:
    for title, settings in (("[task]", SPECS[kind].settings), ("[train]", SPECS[kind].recipe)):
        keys = keys_of(kind, title)
        assert set(settings.model_fields) <= set(keys)
        for key in keys.values():
            assert key.type, key
            assert key.default, key
            assert len(key.meaning) > 8, f"{kind} {title} {key.name}: say what it means under Attributes of its class"


def test_a_line_says_what_the_class_says() -> None:
    keys = keys_of("compare-pairs", "[train]")
    patience = keys["patience"]
    assert (patience.type, patience.default, patience.unit) == ("integer from 1", "none", "epochs")
    assert patience.meaning.startswith("Early stopping: stop a run where its validation loss has not improved")
    assert (keys["lr"].type, keys["lr"].default) == ("number above 0", "0.001")
    assert (keys["augment.rotate"].type, keys["augment.rotate"].unit) == ("number from 0 to 180", "degrees")
    assert keys["optimizer"].type == '"sgd" or "adam" or "adamw" or "rmsprop"'
    assert keys["auxiliary"].type == "list of numbers"
    assert keys_of("classify-sequences", "[task]")["layout.gap_seconds"].unit == "s"
    assert keys_of("classify-sequences", "[task]")["folds"].type == 'integer from 2 or "groups"'


class Settings(TaskSettings):
    """A task of one's own.

    Attributes:
        width: of the beam,
            in all.
    """

    other: ClassVar[int] = 1
    width: int = Field(3, ge=1)
    said: bool = Field(True, description="said in the field")
    silent: str | None = None


def test_a_task_of_ones_own_is_described_as_far_as_it_says() -> None:
    assert described(Settings)["width"] == "of the beam, in all."
    hits = Metric("hits", "Hits", "%", higher_is_better=True, primary=True)
    text = keys_text(TaskSpec("mine", (hits,), settings=Settings), 80)
    assert "  width: integer from 1; default 3\n      Of the beam, in all.\n" in text
    assert "  said: true or false; default true\n      Said in the field\n" in text
    assert "  silent: text; default none\n" in text
    assert "Metrics: hits (primary)." in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_page_is_where_the_readme_points() -> None:
    assert "(docs/study-file.md)" in (ROOT / "README.md").read_text()
    assert "[task]" in (ROOT / "docs" / "study-file.md").read_text()


def test_the_study_of_the_page_is_right() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "study-file.md").read_text(), re.DOTALL)
    assert parse_study(tomllib.loads(block)).name == "first"


# -- hints ------------------------------------------------------------------------------------------------------------


def problem(changes: dict[str, Any]) -> str:
    raw: dict[str, Any] = {
        "name": "s",
        "task": {"kind": "compare-pairs", "data": "digits"},
        "models": [{"name": "A", "module": "baseline"}],
    }
    for key, value in changes.items():
        table, _, name = key.rpartition(".")
        place = raw["models"][0] if table == "models" else raw.setdefault(table, {}) if table else raw
        place[name] = value
    with pytest.raises(StudyError) as error:
        parse_study(raw)
    (found,) = error.value.problems
    return found


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("train.early_stopping", "did you mean 'patience'?"),
        ("train.learning_rate", "did you mean 'lr'?"),
        ("train.lr_scheduler", "did you mean 'schedule'?"),
        ("train.max_epochs", "did you mean 'epochs'?"),
        ("train.num_epochs", "did you mean 'epochs'?"),
        ("train.batch", "did you mean 'batch_size'?"),
        ("train.wd", "did you mean 'weight_decay'?"),
        ("train.grad_clip", "did you mean 'clip'?"),
        ("train.Optimizer", "did you mean 'optimizer'?"),
        ("models.learning-rate", "did you mean 'lr'?"),
        ("models.patince", "did you mean 'patience'?"),
        ("task.val_split", "did you mean 'validation'?"),
        ("task.epochs", "it is a key of [train]"),
        ("task.early_stopping", "did you mean 'patience' in [train]?"),
        ("lr", "it is a key of [train]"),
        ("random_state", "did you mean 'seed'?"),
        ("train.size", "it is a key of [task]"),
        ("train.repeats", "it is a key of the top level"),
    ],
)
def test_names_of_other_libraries_are_understood(key: str, said: str) -> None:
    assert problem({key: 1}) == f"unknown key '{key.replace('models.', 'models.A.')}'; {said}"


def test_every_name_of_ours_in_the_list_is_one() -> None:
    ours = {"sweep", "module", "name", "published", "models", "repeats", "seed", "title"}
    for known in SPECS.values():
        ours |= {*known.settings.model_fields, *known.recipe.model_fields}
    assert set(_NAMES) <= ours
    assert not {name for names in _NAMES.values() for name in names.split()} & set(Recipe.model_fields)
    assert hint("zzz", ["b", "a"]) == "known: a, b"


# -- the schema -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_is_valid(path: Path) -> None:
    raw = tomllib.loads(path.read_text())
    assert json_schema.wrong(raw, SCHEMA) == []
    own = "py:" in str(raw["task"]["kind"]) or any("py:" in model["module"] for model in raw["models"])
    if not own:  # as it is resolved, with every key
        assert json_schema.wrong(tomllib.loads(to_toml(parse_study(raw))), SCHEMA) == []


def test_there_are_studies() -> None:
    assert len(STUDIES) >= 6
    assert json_schema.wrong(tomllib.loads(GOOD), SCHEMA) == []
    parse_study(tomllib.loads(GOOD.replace("nets.py:Net", "baseline").replace("anything = 3", "")))


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("epochs = 5", "epoch = 5", ".train.epoch"),
        ("epochs = 5", 'epochs = "5"', ".train.epochs"),
        ("epochs = 5", "epochs = 0", ".train.epochs"),
        ("epochs = 5", "epochs = true", ".train.epochs"),
        ("lr = 0.1,", "lr = 0.0,", ".train.lr"),
        ("rotate", "rotat", ".train.augment.rotat"),
        ('"f1"', '"top1"', ".task.metric"),
        ('"digits", ', '"digits", candidates = 4, ', ".task.candidates"),
        ('data = "digits", ', "", ".task.data"),
        ("compare-pairs", "compare-pair", ".task.kind"),
        ("accuracy = [81.0, 2.9]", "acuracy = 81", ".models[0].published.acuracy"),
        ("[81.0, 2.9]", "[81.0, 2.9, 1]", ".models[0].published.accuracy"),
        ("lr = [0.1, 0.2]", "lr = 0.1", ".models[0].sweep.lr"),
        ("lr = [0.1, 0.2]", "lr = [0.1, -1]", ".models[0].sweep.lr[1]"),
        ("shared = true", "share = true", ".models[0].share"),
        ("siamese-cnn", "siamese-cn", ".models[0].module"),
        ('name = "good"', 'nam = "good"', ".nam"),
        ("train = 100", "trains = 100", ".quick.trains"),
        ("people = 4.5", "people = 450", ".references.people"),
    ],
)
def test_what_the_reader_refuses_the_schema_marks(old: str, new: str, where: str) -> None:
    raw = tomllib.loads(GOOD.replace(old, new, 1))
    assert raw != tomllib.loads(GOOD)
    assert where in json_schema.wrong(raw, SCHEMA)
    raw["models"][1] = {"name": "mine", "module": "baseline"}
    with pytest.raises(StudyError):
        parse_study(raw)


def test_the_schema_is_plain_json_without_null() -> None:
    text = json.dumps(SCHEMA)
    assert json.loads(text) == SCHEMA
    assert '"null"' not in text
