"""Modules of one's own: found, built, and said what is wrong with them; through a whole study request too."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tenfold
from tenfold.errors import RequestError, StudyError
from tenfold.models import MODELS, ModelFactory, find_module

NETS = """
import sys
import torch
from torch import nn
from helper_beside import WIDTH

NUMBER = 3

class MyNet(nn.Module):
    def __init__(self, size=8, hidden=WIDTH):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, pairs):
        return self.layers(pairs)

def make_net(**options):
    return MyNet(**options)

def no_module(size=8):
    return "a text"

class NoModule:
    def __init__(self, size=8):
        pass

class Needs(nn.Module):
    def __init__(self, hidden):
        super().__init__()

class Raises(MyNet):
    def __init__(self, size=8):
        raise OSError("no such weights")

class RaisesForward(MyNet):
    def forward(self, pairs):
        raise KeyError("missing")

class WrongShape(MyNet):
    def forward(self, pairs):
        return self.layers(pairs)[:, :1]

class WrongClasses(MyNet):
    def forward(self, pairs):
        return self.layers(pairs), torch.zeros(len(pairs), 2, 7)

class NoTensor(MyNet):
    def forward(self, pairs):
        return {"logits": self.layers(pairs)}

class Mismatch(MyNet):
    def forward(self, pairs):
        return self.layers(pairs[:, :1])

class TrainingOnly(MyNet):
    def forward(self, pairs):
        if self.training:
            raise RuntimeError("only while training")
        return self.layers(pairs)

class NoGradient(MyNet):
    def forward(self, pairs):
        return self.layers(pairs).detach()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "helper_beside.py").write_text("WIDTH = 7\n")
    (tmp_path / "my_models.py").write_text(NETS)
    return tmp_path


def test_every_built_in_name_is_its_class() -> None:
    for name, kind in MODELS.items():
        assert find_module(name, base=Path()) is kind


def test_a_class_from_a_file_with_imports_beside_it(folder: Path) -> None:
    before = list(sys.path)
    source = ModelFactory("my_models.py:MyNet", {"size": 4}, folder)
    module = source.build(0)
    assert type(module).__name__ == "MyNet"
    assert module.layers[1].out_features == 7
    assert sys.path == before
    assert source.accepts() == {"size", "hidden"}
    assert source.name == "my_models.py:MyNet"
    assert type(module) is type(ModelFactory(f"{folder}/my_models.py:MyNet").build(1))  # imported once


def test_functions_and_classes_do(folder: Path) -> None:
    made = ModelFactory("my_models.py:make_net", {"hidden": 5}, folder)
    assert made.accepts() is None
    assert made.build(0).layers[1].out_features == 5
    assert isinstance(ModelFactory(nn.Linear, {"in_features": 2, "out_features": 3}).build(0), nn.Linear)
    assert ModelFactory(nn.Linear).name == "Linear"


def test_two_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "net.py").write_text(
            f"from torch import nn\nclass Net(nn.Linear):\n    number = {number}\n"
        )
    found = [find_module("net.py:Net", base=tmp_path / str(number)) for number in (1, 2)]
    assert [kind.number for kind in found] == [1, 2]  # type: ignore[attr-defined]
    assert "net" not in sys.modules


def test_a_file_that_has_changed_is_imported_anew(tmp_path: Path) -> None:
    """As in a notebook, where the process stays and the file is edited."""
    path = tmp_path / "net.py"
    for width in (3, 40):
        body = f"    def __init__(self):\n        super().__init__(2, {width})\n"
        path.write_text(f"from torch import nn\nclass Net(nn.Linear):\n{body}")
        os.utime(path, ns=(10**18 + width * 10**10,) * 2)
        assert ModelFactory("net.py:Net", {}, tmp_path).build(0).out_features == width


def test_options_of_a_config_are_stronger_than_the_factorys(folder: Path) -> None:
    source = ModelFactory("my_models.py:MyNet", {"size": 4, "hidden": 5}, folder)
    module = source.build(0, hidden=6)
    assert (module.layers[1].in_features, module.layers[1].out_features) == (32, 6)
    assert torch.equal(
        module.layers[1].weight,
        ModelFactory(source.reference, {"size": 4, "hidden": 6}, folder).build(0).layers[1].weight,
    )


def test_arguments_that_are_one_number_or_text(folder: Path) -> None:
    assert {"bidirectional", "cell", "dropout", "layers", "units"} <= ModelFactory("recurrent-classifier").scalars()
    assert "hidden" not in ModelFactory("recurrent-classifier").scalars()  # a list of sizes
    assert ModelFactory("my_models.py:MyNet", base=folder).scalars() == set()  # no annotations
    (folder / "strange.py").write_text("def make(width: 'Nothing', depth: int = 1): ...\n")
    assert ModelFactory("strange.py:make", base=folder).scalars() == set()


def test_the_files_of_a_module(folder: Path) -> None:
    """They travel with the record."""
    assert ModelFactory("my_models.py:MyNet", base=folder).sources() == {
        "helper_beside.py": b"WIDTH = 7\n",
        "my_models.py": NETS.encode(),
    }
    assert ModelFactory("baseline").sources() == ModelFactory(nn.Linear).sources() == {}


def test_building_leaves_the_global_generator_alone(folder: Path) -> None:
    source = ModelFactory("my_models.py:MyNet", {}, folder)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    weights = [source.build(seed).layers[1].weight for seed in (5, 5, 6)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # what a careless user's module may draw from is theirs
    assert torch.equal(source.build(5).layers[1].weight, weights[0])


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "baselin",
            r"module 'baselin' is not built in; did you mean 'baseline'\? \(one of your own: \"my_models.py:MyNet\"\)",
        ),
        ("zzz", r"module 'zzz' is not built in; known: baseline, conv-classifier, "),
        ("my_model.py:MyNet", r"module file .*my_model\.py does not exist; did you mean 'my_models\.py'\?"),
        ("gone/my_models.py:MyNet", r"module file .*my_models\.py does not exist; none is known"),
        ("my_models.py:MyNett", r"module 'my_models.py:MyNett': my_models.py has no 'MyNett'; did you mean 'MyNet'\?"),
        ("my_models.py:", r"my_models.py has no ''; known: Mismatch, MyNet, "),
        ("my_models.py:NUMBER", r"module 'my_models.py:NUMBER': 'NUMBER' is not a class but int"),
        (3, r"module: expected a name or a class, got int"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest(folder: Path, reference: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        find_module(reference, base=folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Net(:\n", r"broken\.py cannot be imported: SyntaxError: .*\(broken\.py, line 1\)"),
        ("import not_a_package_of_this_world\n", r"ModuleNotFoundError: No module named 'not_a_package_of_this_world'"),
        ("1 / 0\n", r"ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)\n", r"SystemExit: 0"),
        ("\x00", r"(SyntaxError|ValueError): .*null"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    before = set(sys.modules)
    with pytest.raises(RequestError, match=message):
        find_module("broken.py:Net", base=tmp_path)
    assert not {name for name in set(sys.modules) - before if name.startswith("_tenfold_user_")}


def test_what_is_built_must_be_a_module(folder: Path) -> None:
    for name, got in (("no_module", "str"), ("NoModule", "NoModule")):
        with pytest.raises(RequestError, match=f"module 'my_models.py:{name}': expected an nn.Module, got {got}"):
            ModelFactory(f"my_models.py:{name}", {}, folder).build(0)


# -- through a study ----------------------------------------------------------------------------


def request(folder: Path, *models: dict[str, Any]) -> tenfold.Study:
    task = {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 20, "test": 10}
    raw = {"name": "mine", "repeats": 2, "task": task}
    return tenfold.parse_study(raw | {"train": {"epochs": 1, "batch_size": 10}, "models": list(models)}, base=folder)


def test_a_study_of_ones_own_modules_runs(folder: Path, tmp_path: Path) -> None:
    class Inline(nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, 2))

        def forward(self, pairs: torch.Tensor) -> torch.Tensor:
            return self.layers(pairs)

    study = request(
        folder,
        {"name": "file", "module": "my_models.py:MyNet", "hidden": 3},
        {"name": "function", "module": "my_models.py:make_net"},
        {"name": "class", "module": Inline},
    )
    results = tenfold.run(study, out=tmp_path / "record", placement="loop")
    assert all(np.isfinite(values).all() for values in results.scores("accuracy").values())
    assert results.weights("file")["layers.1.weight"].shape == (2, 3, 128)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Raises", r"Raises failed on a batch of two: OSError: no such weights"),
        ("RaisesForward", r"failed on a batch of two: KeyError: 'missing'"),
        ("WrongShape", r"expected logits of shape \(2 pairs, 2\) for a batch of \(2, 2, 8, 8\), got \(2, 1\)"),
        ("WrongClasses", r"expected class logits of shape \(2 pairs, 2, 10\), got \(2, 2, 7\)"),
        ("NoTensor", r"expected logits, or a tuple of logits and class logits, got dict"),
        ("Mismatch", r"failed on a batch of two: RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        ("TrainingOnly", r"failed in training on a batch of 10 .*: only while training"),
        ("NoGradient", r"failed in training on a batch of 10 .*does not require grad"),
        ("Needs", r"failed on a batch of two: TypeError: .*missing 1 required positional argument: 'hidden'"),
        ("NoModule", r"module 'my_models.py:NoModule': expected an nn.Module, got NoModule"),
    ],
)
def test_what_is_wrong_with_a_module_is_said_before_anything_trains(
    folder: Path, tmp_path: Path, name: str, message: str
) -> None:
    study = request(folder, {"name": "good", "module": "baseline"}, {"name": "bad", "module": f"my_models.py:{name}"})
    with pytest.raises(StudyError, match=message) as caught:
        tenfold.run(study, out=tmp_path / "record", placement="loop")
    assert str(caught.value).splitlines()[0] == "mine: 1 problem"
    assert str(caught.value).splitlines()[1].startswith("  - models.bad: ")
    assert not (tmp_path / "record").exists()


def test_all_bad_modules_are_said_at_once(folder: Path, tmp_path: Path) -> None:
    names = ("Raises", "WrongShape", "NoTensor")
    study = request(folder, *({"name": name, "module": f"my_models.py:{name}"} for name in names))
    with pytest.raises(StudyError) as caught:
        tenfold.run(study, out=tmp_path / "record")
    assert len(caught.value.problems) == 3
    assert all(f"models.{name}: " in problem for name, problem in zip(names, caught.value.problems, strict=True))


def test_options_that_it_does_not_take_are_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(StudyError, match=r"unknown key 'models.x.hiden'; did you mean 'hidden'\?"):
        request(folder, {"name": "x", "module": "my_models.py:MyNet", "hiden": 3})
    with pytest.raises(StudyError, match=r"unknown key 'models.x.dropout'; known: "):
        request(folder, {"name": "x", "module": "my_models.py:MyNet", "dropout": 0.3})
    request(folder, {"name": "x", "module": "my_models.py:make_net", "anything": 3})  # it takes any
