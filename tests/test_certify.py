"""``--verify`` of a whole study: what it finds is kept, said and an error; the study is finished all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

import tenfold
from tenfold import certify
from tenfold.errors import VerificationError
from tenfold.events import Event, Message
from tenfold.record import Record


class Small(nn.Module):
    def __init__(self, *, size: int = 8, width: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * size * size, width), nn.Linear(width, 2))

    def forward(self, pairs: Tensor) -> Tensor:
        return self.layers(pairs)


@pytest.fixture(scope="module")
def study() -> tenfold.Study:
    return tenfold.parse_study(
        {
            "name": "small",
            "repeats": 3,
            "task": {"kind": "compare-pairs", "data": "digits", "size": 8, "train": 20, "test": 12},
            "train": {"epochs": 2, "batch_size": 10},
            "models": [{"name": "Net", "module": Small, "sweep": {"width": [2, 3], "lr": [0.01, 0.1]}}],
        }
    )


@pytest.fixture(scope="module")
def record(study: tenfold.Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tenfold.run(study, out=tmp_path_factory.mktemp("certified") / "record", placement="stack").folder


def test_every_run_of_every_setting_is_compared(study: tenfold.Study, record: Path) -> None:
    said: list[Event] = []
    results = tenfold.run(study, out=record, verify=True, watch=said.append)
    found = results.meta("certificate")["Net"]
    assert (found["runs"], found["retrained"], found["parameters"], found["failures"]) == (12, 12, 4, [])
    assert set(found["recorded_scores"]) == {"accuracy", "f1", "loss", "auc"}
    texts = [event.text for event in said if isinstance(event, Message)]
    assert any("all 12 runs, 4 parameters and 0 buffers each, gradients of 4 steps" in text for text in texts)
    said.clear()
    tenfold.run(study, out=record, verify=True, watch=said.append)  # once is enough
    assert not any("verified" in event.text for event in said if isinstance(event, Message))


def test_what_differs_is_an_error_and_in_the_record_and_the_report(
    study: tenfold.Study, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = certify._scores

    def wrong(*arguments: Any) -> list[dict[str, float]]:
        scores = right(*arguments)
        scores[7]["loss"] += 0.001
        return scores

    with Record.open(record, write=True) as writer:
        writer.save_meta("certificate", {"Net": {"weights_float64": 0.0, "steps_float64": 20}})  # of an older version
    with monkeypatch.context() as patch:
        patch.setattr(certify, "_scores", wrong)
        for _ in range(2):  # found again, not taken as done
            with pytest.raises(VerificationError, match=r"found 1 difference above the tolerance") as caught:
                tenfold.run(study, out=record, verify=True)
    assert caught.value.exit_code == 1
    assert "Net: repeat 1 (width=3, lr=0.01): score 'loss' differs by 1.0e-03" in str(caught.value)
    results = tenfold.Results(record)
    assert results.status == "finished"
    assert len(results.meta("certificate")["Net"]["failures"]) == 1
    assert any(text.startswith("Not verified: Net, repeat 1 (width=3, lr=0.01): ") for text in results.limits())
    page = tenfold.write_report(record).read_text(encoding="utf-8")
    assert "Not verified: Net, repeat 1 (width=3, lr=0.01)" in page
    tenfold.run(study, out=record, verify=True)
    assert tenfold.Results(record).not_verified == []


def test_what_cannot_be_compared_is_an_error(
    study: tenfold.Study, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise NotImplementedError("no such layer")

    with Record.open(record, write=True) as writer:
        writer.save_meta("certificate", {})
    monkeypatch.setattr(certify, "verify", fails)
    with pytest.raises(VerificationError, match="a comparison could not be made: NotImplementedError: no such layer"):
        tenfold.run(study, out=record, verify=True)
