"""docs/record.md describes the format that the writer writes, no more and no less."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tenfold.files import atomic_write
from tenfold.record import Reader, Record, RunRow
from tenfold.record._database import APPLICATION_ID, SCHEMA_VERSION
from tenfold.record._snapshot import OWN_META

PAGE = (Path(__file__).parents[2] / "docs" / "record.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A finished record with every kind of file; the second model is one with an odd name."""
    folder = tmp_path_factory.mktemp("record")
    with Record.create(
        folder,
        study_toml="",
        study={"name": "s", "repeats": 2, "models": [{"name": "A/b"}, {"name": "a b"}]},
        environment={},
        metrics=[{"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True}],
        command="",
        quick=False,
        variants={"A/b": [{"swept": {"lr": 0.1}}, {"swept": {"lr": 0.2}}]},
    ) as record:
        for number, variant in enumerate(record.variants):
            rows = [
                RunRow(variant=variant.index, repeat=0, status="finished", epochs=1, scores={"accuracy": 0.1 * number}),
                RunRow(variant=variant.index, repeat=1, status="diverged", epochs=1, scores={"accuracy": 0.9}),
            ]
            record.save_epochs(variant.model, [(variant.index, 0, 1, "test", "accuracy", 0.5)])
            record.finish_runs(variant.model, rows)
            record.save_predictions(variant.model, {"repeat": np.arange(2)}, variant=variant.index)
            record.save_clusters(variant.model, {"repeat": np.arange(2)}, variant=variant.index)
            record.save_weights(variant.model, {"layer": np.arange(2) + number}, variant=variant.index)
            record.save_preprocessing(variant.model, {"shift": np.arange(2)}, variant=variant.index)
            with atomic_write(record.checkpoint_path(variant.model, 3)) as file:
                file.write(b"state")
        record.save_plan("A/b", {})
        record.save_gallery({"model": np.zeros(2)})
        record.save_sources({"net.py": b"", "tasks/own.py": b""})
        record.save_meta("task", {})
        record.save_meta("certificate", {})
        record.event("warning", "text")
        record.finish()
    return folder


def tables(text: str) -> dict[str, list[tuple[str, str]]]:
    """Columns and types by table, as the page lists them."""
    found = {}
    for section in re.split(r"^### ", text.partition("## Tables of `results.db`")[2].partition("\n## ")[0], flags=re.M):
        name, _, body = section.partition("\n")
        columns = re.findall(r"^\| `(\w+)` \| ([A-Z]+) \|", body, flags=re.M)
        if columns:
            found[name.strip("`")] = columns
    return found


def files(text: str) -> set[str]:
    """Files as the page lists them."""
    return set(re.findall(r"^\| `([^`]+)` \| ", text.partition("## Files")[2].partition("###")[0], flags=re.M))


def schema(folder: Path) -> dict[str, list[tuple[str, str]]]:
    with closing(sqlite3.connect(folder / "results.db")) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        return {name: [row[1:3] for row in database.execute(f"PRAGMA table_info({name})")] for (name,) in names}


def written(folder: Path) -> set[str]:
    """Files in the folder, the variable part of their names as on the page."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            name = re.sub(r"(?<=/)a-b(-2)?(\.[01])?(?=\.)", "<file>", name)
            found.add(re.sub(r"^sources/.*", "sources/<path>", name).replace(".3.", ".<group>."))
    found = {name.replace("checkpoints/<file>", "checkpoints/<model>") for name in found}
    return found


def test_every_table_and_column_is_described(folder):
    assert tables(PAGE) == schema(folder)
    assert len(schema(folder)) == 9


def test_every_file_is_described(folder):
    assert files(PAGE) == written(folder)
    assert len(written(folder)) == 12


def test_what_is_not_described_is_found(folder):
    fewer = PAGE.replace("| `peak_bytes` | INTEGER |", "| `peak` | INTEGER |")
    assert tables(fewer) != schema(folder)
    assert tables(PAGE.replace("| `train_seconds` | REAL |", "| `train_seconds` | TEXT |")) != schema(folder)
    assert files(PAGE.replace("| `lock` |", "| lock |")) != written(folder)


def test_version_and_facts_are_described():
    assert f"version {SCHEMA_VERSION} of the format" in PAGE
    assert f"application_id` 0x{APPLICATION_ID:X}" in PAGE
    facts = PAGE.partition("| key | value |")[2].partition("###")[0]
    for key in (*OWN_META, "task", "models", "parameters", "base", "certificate"):
        assert f"`{key}`" in facts, key


def test_the_example_reads_a_record_without_tenfold(folder, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    assert "tenfold" not in code
    assert len([line for line in code.splitlines() if line and not re.match("import|from", line)]) <= 10
    names = {"folder": folder}
    exec(code, names)
    names["database"].close()
    assert capsys.readouterr().out.splitlines() == [
        "A/b {'lr': 0.1} 0.0 ['repeat']",
        "A/b {'lr': 0.2} 0.1 ['repeat']",
        "a b {} 0.2 ['repeat']",
    ]
    assert names["meta"]["study"] == Reader(folder).study
    assert names["first_run"]["layer"] == 2  # of the last variant
