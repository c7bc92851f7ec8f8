"""Write docs/study-file.md and docs/study.schema.json anew: every key of a study file, from the settings themselves."""

from __future__ import annotations

import json
from pathlib import Path

from tenfold.config import reference_page, study_schema
from tenfold.tasks import SPECS

DOCS = Path(__file__).parent.parent / "docs"


def generated() -> dict[str, str]:
    """The files of docs/ that are written, by name."""
    return {
        "study-file.md": reference_page(SPECS),
        "study.schema.json": json.dumps(study_schema(SPECS), indent=1) + "\n",
    }


if __name__ == "__main__":
    for name, text in generated().items():
        (DOCS / name).write_text(text, encoding="utf-8")
