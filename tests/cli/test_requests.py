"""Wrong requests: one message with all that is wrong, exit code 2, nothing on stdout, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

WRONG_EVERYWHERE = """\
name = "x"
repeats = 0
sed = 1
task = { kind = "compare-pair", data = "digits", size = "big" }
train = { epoch = 4 }
models = [
    { name = "A", module = "siamese-cn" },
    { name = "B", module = "nets.py:Missing" },
    { name = "C", module = "baseline", hiden = 3, optimizer = "adm" },
]
"""
NETS = """
from torch import nn

class Wrong(nn.Module):
    def forward(self, pairs):
        return pairs.mean((1, 2, 3))

class Raises(nn.Module):
    def __init__(self):
        raise ValueError("no such thing")

class Diverges(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(128, 2)
    def forward(self, pairs):
        return self.layer(pairs.flatten(1)) * float("nan")

NUMBER = 4
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(result) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not any(path.is_dir() for path in Path().iterdir())  # nothing was begun
    return result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["quikstart"], "no study 'quikstart': neither built in nor a file; did you mean 'quickstart'?"),
        (["quickstart", "--repeats", "0"], "repeats: expected an integer from 1, got 0"),
        (["quickstart", "--repeats", "two"], "'two' is not a valid integer"),
        (["quickstart", "--seed", "-1"], "seed: expected an integer from 0, got -1"),
        (["quickstart", "--epochs", "0"], "epochs: input should be greater than or equal to 1, got 0 (all models)"),
        (["quickstart", "--jobs", "0"], "jobs: expected an integer from 1, got 0"),
        (["quickstart", "--memory", "0"], "memory: expected a number of GiB above 0, got 0.0"),
        (["quickstart", "--model", "Siamse CNN 3"], "no model 'Siamse CNN 3' in this study; did you mean 'Siamese "),
        (["quickstart", "--data", "mnst"], "did you mean 'mnist'?"),
        (["quickstart", "--data", "gone.npz"], "no data set 'gone.npz', and no file or folder of that name"),
        (["quickstart", "--placement", "stak"], "'stak' is not one of 'auto', 'stack', 'processes', 'loop'"),
        (["quickstart", "--repets", "3"], "--repeats"),
        (["quickstart", "--set", "models.lr"], "--set models.lr: expected key=value, such as models.lr=0.01"),
        (["quickstart", "--set", "models.lrr=3"], "unknown key 'models.lrr'; did you mean 'lr'? (all models)"),
        (["quickstart", "--set", "models.Basline.lr=3"], "no model 'Basline'; did you mean 'Baseline'?"),
        (["quickstart", "--set", "models.lr=fast"], "lr: input should be a valid number, got 'fast' (all models)"),
        (["quickstart", "--set", "task.kind=compare-pair"], "no task 'compare-pair'; did you mean 'compare-pairs'?"),
        (["quickstart", "--set", "task.train=100000000"], "train = 100000000 pairs cannot be drawn from"),
        (["."], "folder '.' holds no record to go on with"),
        ([], "Missing argument 'STUDY'"),
    ],
)  # fmt: skip
def test_a_wrong_run_is_refused_before_anything_is_trained(tenfold, arguments: list[str], said: str) -> None:
    assert said in refused(tenfold("run", *arguments))


def test_all_problems_come_in_one_message(tenfold) -> None:
    Path("wrong.toml").write_text(WRONG_EVERYWHERE)
    Path("nets.py").write_text(NETS)
    message = refused(tenfold("run", "wrong.toml", "--set", "seed=-1"))
    assert message.startswith("Error: wrong.toml: 10 problems")
    for said in (
        "unknown key 'sed'; did you mean 'seed'?",
        "repeats: expected an integer from 1, got 0",
        "seed: expected an integer from 0, got -1",
        "no task 'compare-pair'; did you mean 'compare-pairs'?",
        "task.size: input should be a valid integer, got 'big'",
        "unknown key 'train.epoch'; did you mean 'epochs'?",
        "models.A: module 'siamese-cn' is not built in; did you mean 'siamese-cnn'?",
        "models.B: module 'nets.py:Missing': nets.py has no 'Missing'; known: Diverges, Raises, Wrong",
        "unknown key 'models.C.hiden'; did you mean 'hidden'?",
        "models.C.optimizer: input should be 'sgd', 'adam', 'adamw' or 'rmsprop', got 'adm'",
    ):
        assert message.count(said) == 1, said


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("nets.py:Wrong", "expected logits of shape (2 pairs, 2) for a batch of (2, 2, 8, 8), got (2,)"),
        ("nets.py:Raises", "ValueError: no such thing"),
        ("nets.py:NUMBER", "'NUMBER' is not a class but int"),
        ("nets.py:wrong", "nets.py has no 'wrong'; did you mean 'Wrong'?"),
        ("gone.py:Net", "gone.py does not exist; did you mean"),
        ("broken.py:Net", "cannot be imported: SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_used_is_refused(tenfold, module: str, said: str) -> None:
    Path("nets.py").write_text(NETS)
    Path("broken.py").write_text("def (")
    assert said in refused(tenfold("run", study(module)))


@pytest.mark.parametrize("content", ["name = \n", "\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tenfold, content: str) -> None:
    Path("study.toml").write_bytes(content.encode("latin-1"))
    assert "study.toml: 1 problem\n  - not a TOML file" in refused(tenfold("run", "study.toml"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["show", "gone.toml"], "no study 'gone.toml': neither built in nor a file"),
        (["data", "fetch", "mnits"], "no data set 'mnits': did you mean 'mnist'?"),
    ],
)
def test_other_commands_refuse_in_the_same_way(tenfold, arguments: list[str], said: str) -> None:
    assert said in refused(tenfold(*arguments))


def test_an_unknown_metric_names_the_nearest(tenfold, first) -> None:
    assert "did you mean 'accuracy'?" in refused(tenfold("compare", first[0], "--metric", "acuracy"))


@pytest.mark.usefixtures("no_figures")
def test_a_diverged_model_is_shown_and_hides_nothing(tenfold) -> None:
    Path("nets.py").write_text(NETS)
    result = tenfold("run", study("nets.py:Diverges"), "--placement", "stack")
    assert result.exit_code == 0, result.stderr
    assert "M: diverged: repeat 0" in result.stderr
    assert "M: accuracy no score" in result.stderr
    assert "| M | - | - | 0 of 2 |" in result.stdout
    assert "M: 0 of 2 runs finished, 2 diverged (repeats 0 and 1). In means they are left out; " in result.stdout


def test_an_error_that_nobody_expected_is_kept_in_a_file(tenfold, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def fails(folder: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("tenfold.report.write_report", fails)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = tenfold("report", tmp_path)
    assert result.exit_code == 1
    assert "unexpected failure in tenfold: ZeroDivisionError: of all things" in result.stderr
    assert "Traceback" not in result.stderr
    (kept,) = tmp_path.glob("tenfold-error-*.txt")
    assert str(kept) in result.stderr
    assert "Traceback" in kept.read_text()
    monkeypatch.setenv("TENFOLD_DEBUG", "1")
    assert isinstance(tenfold("report", tmp_path).exception, ZeroDivisionError)


def study(module: str) -> Path:
    path = Path("study.toml")
    path.write_text(
        'name = "x"\nrepeats = 2\ntask = { kind = "compare-pairs", data = "digits", size = 8, train = 40, test = 20 }\n'
        "train = { epochs = 1 }\n"
        f'models = [{{ name = "M", module = "{module}" }}]\n'
    )
    return path


def test_the_traceback_is_there_for_who_asks(tenfold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_DEBUG", "1")
    result = tenfold("run", "quikstart")
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last)")
    assert result.stderr.rstrip().endswith("did you mean 'quickstart'?")
