"""The page of every key of a study file, docs/study-file.md, and the same for one task in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from tenfold.config._keys import Key, Table, tables_of
from tenfold.tasks import TaskSettings, TaskSpec

__all__ = ["keys_text", "reference_page"]

_HEAD = """\
# The study file

Every key with its type, default, unit and meaning. This page is generated from the settings themselves
(`python scripts/write_reference.py`); `tenfold show --keys TASK` prints the same for one task, one's own included.

- A key that is left out has its default; "none" means that there is no such thing.
- `--set KEY=VALUE` changes any key: `--set train.lr=0.01`, `--set task.size=14`, `--set models.Baseline.lr=0.01`.
- An editor that uses Taplo (VS Code with Even Better TOML) completes and checks the keys: `tenfold show --schema >
  study.schema.json`, then `#:schema ./study.schema.json` as the first line of the study file.

```toml
name = "first"
repeats = 10
task = { kind = "compare-pairs", data = "digits", validation = 0.1, metric = "f1" }
train = { epochs = 50, lr = 0.01, schedule = "cosine", clip = 1.0, patience = 5 }

[[models]]
module = "siamese-cnn"
augment = { rotate = 10, shift = 1 }
[models.sweep]
optimizer = ["adam", "sgd"]
```
"""


def reference_page(specs: Mapping[str, TaskSpec]) -> str:
    """The whole page, in Markdown: what all tasks share first, then each task."""
    common = tables_of(TaskSpec("", next(iter(specs.values())).metrics, settings=TaskSettings))
    shared = {key for table in common if table.title == "[train]" for key in table.keys}
    parts = [_HEAD, "## Every task\n"]
    parts += [_markdown(table) for table in common if table.title not in ("[task]", "[quick]")]
    for kind, spec in specs.items():
        parts.append(f"## {kind}\n")
        for table in tables_of(spec):
            if table.title == "[train]":
                own = [key for key in table.keys if key not in shared]
                table = Table("[train]", "Beside the keys of every task, or in their place:", own)
            if table.title in ("[task]", "[train]", "[quick]"):
                parts.append(_markdown(table))
    return "\n".join(parts)


def keys_text(spec: TaskSpec, width: int) -> str:
    """Every table of one task for a terminal of ``width`` columns."""
    return "\n\n".join(_plain(table, width) for table in tables_of(spec))


def _markdown(table: Table) -> str:
    lines = [
        f"### {table.title}\n",
        f"{table.meaning}\n",
        "| key | type | default | unit | meaning |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in _cells(key))} |" for key in table.keys]
    return "\n".join([*lines, ""])


def _cells(key: Key) -> tuple[str, ...]:
    name = f"`{key.name}`" if " " not in key.name else key.name
    default = f"`{key.default}`" if key.default[:1] in '"[' or key.default[-1:].isdigit() else key.default
    return name, key.type, default, key.unit, key.meaning.replace("``", "`")


def _plain(table: Table, width: int) -> str:
    lines = [table.title, *textwrap.wrap(table.meaning, width - 2, initial_indent="  ", subsequent_indent="  ")]
    for key in table.keys:
        unit = f", in {key.unit}" if key.unit else ""
        default = key.default if key.default == "required" else f"default {key.default}"
        lines += textwrap.wrap(
            f"{key.name}: {key.type}{unit}; {default}", width - 4, initial_indent="  ", subsequent_indent="    "
        )
        meaning = key.meaning.replace("``", "'")
        lines += textwrap.wrap(meaning, width - 6, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)
