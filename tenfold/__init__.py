"""tenfold compares small neural networks honestly.

A study is one task, several models and R repeats of each. All repeats of a model are trained at once, as one network
with a leading ``runs`` axis; each run computes what it would compute alone. Statistics then say which differences are
real, published figures are shown next to the measured ones, and a report shows the results.

    import tenfold

    results = tenfold.run(tenfold.load_study("quickstart"))
    print(results.table())
    for verdict in results.compare("accuracy"):
        print(verdict.sentence)

The engine alone, for your own training loop: ``tenfold.Stack([make() for _ in range(10)])``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold.on_demand import names_of

if TYPE_CHECKING:
    from tenfold.config import Study as Study
    from tenfold.config import built_in_studies as built_in_studies
    from tenfold.config import load_study as load_study
    from tenfold.config import parse_study as parse_study
    from tenfold.errors import TenfoldError as TenfoldError
    from tenfold.export import Results as Results
    from tenfold.record import compare as compare
    from tenfold.report import write_report as write_report
    from tenfold.retrieval import Matcher as Matcher
    from tenfold.stack import Stack as Stack
    from tenfold.study import run as run

__version__ = "0.1.0"

# The module of each public name. Imported at first use: `tenfold --help` and `import tenfold` stay fast, without torch.
_HOMES = {
    "Matcher": "tenfold.retrieval",
    "Results": "tenfold.export",
    "Stack": "tenfold.stack",
    "Study": "tenfold.config",
    "TenfoldError": "tenfold.errors",
    "built_in_studies": "tenfold.config",
    "compare": "tenfold.record",
    "load_study": "tenfold.config",
    "parse_study": "tenfold.config",
    "run": "tenfold.study",
    "write_report": "tenfold.report",
}

__all__ = [
    "Matcher",
    "Results",
    "Stack",
    "Study",
    "TenfoldError",
    "__version__",
    "built_in_studies",
    "compare",
    "load_study",
    "parse_study",
    "run",
    "write_report",
]

__getattr__, __dir__ = names_of(__name__, _HOMES)
