"""The commands. Each imports what it needs inside, since ``tenfold --help`` must not wait for torch."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenfold import __version__
from tenfold.cli._group import Group, check_stopped, out, say, typed
from tenfold.errors import VerificationError

if TYPE_CHECKING:
    from tenfold.config import Study
    from tenfold.events import Event
    from tenfold.record import Reader

__all__ = ["main"]

_FOLDER = click.argument("folder", metavar="DIR")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tenfold")
def main() -> None:
    """Compare small neural networks honestly.

    Every repeat of every model is trained at once, and a verdict says which differences are real.

    Start with: tenfold run quickstart

    Exit codes: 0 done, 1 failed, 2 the request was wrong, 129 hung up, 130 interrupted, 143 terminated.
    TENFOLD_DEBUG=1 shows the traceback of every error.
    """


@main.command("list")
def list_everything() -> None:
    """Show the built-in studies, tasks, models and data sets."""
    from tenfold.cli._describe import listing_text

    out(listing_text())


@main.command()
@click.argument("study", metavar="[STUDY]", required=False)
@click.option(
    "--keys", "task", metavar="TASK", help="Every key that a study of this task may have, instead of a study."
)
@click.option("--schema", is_flag=True, help="The JSON schema of study files, for editors, instead of a study.")
def show(study: str | None, *, task: str | None, schema: bool) -> None:
    """Show a study: protocol, models, published figures.

    STUDY is a built-in name, a TOML file, or the folder of a record. TASK is a name from tenfold list, or a task of
    your own: my_task.py:MyTask.
    """
    if sum((study is not None, task is not None, schema)) != 1:
        raise click.UsageError("expected one of STUDY, --keys TASK and --schema")
    if task is not None:
        from tenfold.cli._describe import keys_of_task

        out(keys_of_task(task))
        return
    if study is None:
        from tenfold.config import study_schema
        from tenfold.tasks import SPECS

        out(json.dumps(study_schema(SPECS), indent=1))
        return
    from tenfold.cli._describe import study_text
    from tenfold.cli._request import is_record, read_study

    asked, notes = read_study(study), None
    if is_record(study):
        from tenfold.record import Reader  # with SciPy: a typo in a study file is said without it

        notes = Reader(study).data_notes
    out(study_text(asked, notes))


@main.command()
@click.argument("study", metavar="STUDY")
@click.option("--repeats", type=int, metavar="N", help="Repeats of every model.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Only this model; may be given several times.")
@click.option("--data", metavar="NAME|PATH", help="Another data set, .npz file or folder of images by class.")
@click.option("--epochs", type=int, metavar="N", help="Epochs of every model.")
@click.option("--quick", is_flag=True, help="Cut to a few minutes as the study says; marked as such.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key, such as models.lr=0.01.")
@click.option(
    "--placement",
    type=click.Choice(["auto", "stack", "processes", "loop"]),
    default="auto",
    show_default=True,
    help="Where the repeats are trained; auto times a few steps of each.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--seed", type=int, metavar="N", help="Seed of the study.")
@click.option("--out", "folder", metavar="DIR", help="Folder of the record; by default tenfold-runs/NAME.")
@click.option("--force", is_flag=True, help="Remove a record that is in the folder, and start anew.")
@click.option(
    "--verify",
    is_flag=True,
    help="Compare every run with the run alone: gradients, buffers, scores; fail where one differs.",
)
@click.option(
    "--memory", type=float, metavar="GIB", help="Memory that a model may fill; by default a share of what is free."
)
@click.option(
    "--jobs", type=int, metavar="N", help="Cores to use, as processes or threads; by default all that tenfold may use."
)
@click.pass_context
def run(
    ctx: click.Context,
    study: str,
    *,
    repeats: int | None,
    models: tuple[str, ...],
    data: str | None,
    epochs: int | None,
    quick: bool,
    settings: tuple[str, ...],
    placement: Any,
    device: str,
    seed: int | None,
    folder: str | None,
    force: bool,
    verify: bool,
    memory: float | None,
    jobs: int | None,
) -> None:
    """Train a study, then say which differences are real.

    STUDY is a built-in name, a TOML file, or the folder of a record that is not finished: it goes on where it stopped.
    Results go to stdout, progress to stderr.
    """
    where: Path | None = None
    try:
        from tenfold.cli._request import is_record, overrides_of, read_study

        changes = (
            *settings,
            *models,
            repeats,
            epochs,
            data,
            seed,
            folder,
            quick or None,
            force or None,
            verify or None,
        )
        if all(change is None for change in changes) and is_record(study) and _show_finished(Path(study)):
            return
        overrides = overrides_of(study, settings=settings, repeats=repeats, epochs=epochs, data=data, seed=seed)
        asked = read_study(study, overrides, models=models, quick=quick, repeats=repeats, epochs=epochs)
        from tenfold.study import record_folder  # now, since a wrong study is refused without torch
        from tenfold.study import run as run_study

        where = Path(study) if folder is None and is_record(study) else record_folder(asked, folder)
        command = shlex.join(["tenfold", *typed(ctx)])
        with _watching(asked, where, check=lambda: check_stopped(ctx)) as watch:
            results = run_study(
                asked,
                out=where,
                placement=placement,
                device=device,
                verify=verify,
                force=force,
                memory_gib=memory,
                jobs=jobs,
                command=command,
                watch=watch,
            )
        _conclude(results)
    except VerificationError as error:  # an error, and yet the study is finished
        from tenfold.record import Reader

        _conclude(Reader(error.where))
        raise
    except KeyboardInterrupt:
        say(_interrupted(where, typed(ctx), study, folder))
        raise


@main.command()
@_FOLDER
@click.argument("other", metavar="[DIR]", required=False)
@click.option("--metric", metavar="NAME", help="Another metric than the study's primary one; marked as such.")
@click.option("--json", "as_json", is_flag=True, help="A list of verdicts, one a pair.")
def compare(folder: str, other: str | None, *, metric: str | None, as_json: bool) -> None:
    """Say which models of a record differ, pair by pair.

    With a second record: the models of the first against those of the second, where both had the same data.
    """
    from tenfold.cli._tables import pairs_text, side_by_side_text, terminal_width
    from tenfold.record import Reader
    from tenfold.record import compare as compare_records

    results = Reader(folder)
    if other is not None:
        both = compare_records(results, other, metric=metric)
        pairs = [verdict.as_dict() for verdict in both.verdicts]
        out(json.dumps(pairs, indent=2, ensure_ascii=False) if as_json else side_by_side_text(both, terminal_width()))
    elif as_json:
        after = {"chosen_after_training": results.metric(metric)["name"] != results.primary}
        found = [verdict.as_dict() | after for verdict in results.compare(metric)]
        out(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        out(pairs_text(results, metric, terminal_width()))


@main.command()
@_FOLDER
def report(folder: str) -> None:
    """Write the HTML report of a record.

    Figures (PDF, PNG) and tables (CSV, LaTeX) are written beside it. Prints the path of the report.
    """
    from tenfold.report import write_report

    out(str(write_report(folder)))


@main.group()
def data() -> None:
    """Data sets: what there is, get one, where they are kept."""


@data.command("list")
def list_data() -> None:
    """Show the known data sets and whether they are at hand."""
    from tenfold.cli._describe import datasets_text

    out(datasets_text())


@data.command()
@click.argument("name", metavar="NAME")
def fetch(name: str) -> None:
    """Download a data set, check it, prepare it; print the path of its file."""
    from tenfold.datasets import fetch as fetch_data

    out(str(fetch_data(name)))


@data.command()
def path() -> None:
    """Print the folder of the prepared data sets. TENFOLD_CACHE names another; TENFOLD_DATA is looked into first."""
    from tenfold.datasets import cache_folder

    out(str(cache_folder()))


@contextlib.contextmanager
def _watching(study: Study, folder: Path, *, check: Callable[[], None]) -> Iterator[Callable[[Event], None]]:
    """Progress of a study on the screen; ``check`` is called with every event."""
    from tenfold.progress import progress

    repeats = f"{study.repeats} repeats" if study.repeats != 1 else "1 repeat"
    say(f"{study.name}: {len(study.models)} model{'s' * (len(study.models) != 1)}, {repeats} of each, into {folder}")
    with progress(study.primary, say=say) as watch:

        def attend(event: Event) -> None:
            check()
            watch(event)

        yield attend


def _show_finished(folder: Path) -> bool:
    """Show a finished record as it is, without its data and modules: they may be gone. False where not finished."""
    from tenfold.record import Reader, Record

    if not Record.exists(folder):
        return False
    results = Reader(folder)
    if results.status != "finished":
        return False
    say(f"{folder} is finished: nothing to train.")
    _conclude(results, redraw=False)
    return True


def _conclude(results: Reader, *, redraw: bool = True) -> None:
    """The table, the verdicts, and the report last: drawing its figures takes a while."""
    from tenfold.cli._tables import certificate_text, results_table, terminal_width, verdict_text
    from tenfold.errors import attempt
    from tenfold.report import write_report

    width, failures = terminal_width(), list[str]()
    parts = {
        "the table": lambda: results_table(results, width),
        "the verdict": lambda: verdict_text(results, width),
        "the certificate": lambda: certificate_text(results.meta("certificate") or {}, width),
    }
    said = [attempt(what, make, "", failures=failures) for what, make in parts.items()]
    out("\n\n".join(part for part in said if part))
    report: Path | None = results.folder / "report.html"
    if redraw or not results.folder.joinpath("report.html").is_file():
        report = attempt("the report", lambda: write_report(results.folder), None, failures=failures)
    for text in failures:
        say(f"warning: {text}; every score is in {results.folder / 'results.csv'}")
    if report is not None:
        out(f"\nReport: {report}")


def _interrupted(where: Path | None, arguments: list[str], study: str, folder: str | None) -> str:
    from tenfold.record import Record

    if where is None or not Record.exists(where):
        return "Interrupted before anything was recorded."
    if folder is None and Path(study) != where:
        arguments = [*arguments, "--out", str(where)]
    return f"Interrupted. The record in {where} is kept; go on with: {shlex.join(['tenfold', *arguments])}"
