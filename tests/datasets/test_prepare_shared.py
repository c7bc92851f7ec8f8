"""scripts/prepare_shared.py on copies that are missing, altered or of the wrong form."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "prepare_shared.py"


@pytest.fixture
def main():
    return runpy.run_path(str(SCRIPT))["main"]


def test_a_missing_copy_is_said_and_no_failure(main, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "unheard_of.npz").write_bytes(b"")
    assert main([str(tmp_path / "src"), str(tmp_path / "out")]) == 0
    error = capsys.readouterr().err
    assert "mnist: no mnist.npz in" in error
    assert "not known yet, left as they are: unheard_of.npz" in error


def test_other_pixels_than_the_original_are_refused(main, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert main([str(tmp_path), str(tmp_path / "out")]) == 1
    assert (
        "'x_train' is not the original MNIST: expected md5 6bbc9ace898e44ae57da46a324031adb" in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_missing_arrays_and_broken_files_are_said(main, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros(3))
    assert main([str(tmp_path), str(tmp_path / "out")]) == 1
    assert "y_train, x_test, y_test missing; it holds x_train" in capsys.readouterr().err
    (tmp_path / "mnist.npz").write_bytes(b"PK broken")
    assert main([str(tmp_path), str(tmp_path / "out")]) == 1
    assert "mnist: " in capsys.readouterr().err


def test_a_set_of_two_copies_needs_both(main, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "src").mkdir()
    np.savez(tmp_path / "src" / "omniglot.npz", images=np.zeros(3))
    assert main([str(tmp_path / "src"), str(tmp_path / "out")]) == 0
    error = capsys.readouterr().err
    assert "omniglot: no omniglot_oneshot_runs.npz in" in error
    assert "not known yet" not in error
    np.savez(tmp_path / "src" / "omniglot_oneshot_runs.npz", train_index=np.zeros(3))
    assert main([str(tmp_path / "src"), str(tmp_path / "out")]) == 1
    assert "omniglot.npz: char, split" in capsys.readouterr().err


def test_other_drawings_than_the_published_are_refused(
    main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of the right form: two characters of one alphabet, two drawings of each, one run."""
    np.savez(
        tmp_path / "omniglot.npz",
        images=np.zeros((4, 1379), np.uint8),
        char=[0, 0, 1, 1],
        split=[0, 0, 1, 1],
        char_alphabet=[0, 0],
        char_number=[1, 2],
        alphabet_names=["Greek"],
    )
    np.savez(tmp_path / "omniglot_oneshot_runs.npz", train_index=[[0, 2]], test_index=[[3, 1]])
    assert main([str(tmp_path), str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "omniglot: not the published images, labels, parts and episodes: expected fingerprint c61a7824" in error
    assert "(4 images of 2 classes)" in error
    assert not (tmp_path / "out").exists()


def test_other_windows_and_recordings_are_refused(main, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Copies of the right form: two windows, one of them of a person who tests; and two recordings."""
    copies = {f"{key}_{part}": values for key, values in (("y", [3]), ("subject", [2])) for part in ("train", "test")}
    windows = {f"X_{part}": np.ones((1, 128, 9), np.int16) for part in ("train", "test")}
    np.savez(tmp_path / "har_smartphone.npz", scale=np.ones(9, np.float32), **copies, **windows)
    np.savez(
        tmp_path / "motionsense.npz",
        signals=np.ones((9, 5), np.int16),
        scale=np.ones(9, np.float32),
        rec_length=[2, 3],
        rec_activity=[0, 5],
        rec_subject=[1, 1],
    )
    assert main([str(tmp_path), str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "har-smartphone: not the windows that are known: expected 3c6e2333" in error
    assert (
        "motionsense: not the published signals, pieces, labels, parts and groups: expected fingerprint 569c" in error
    )
    assert "(2 pieces of 6 classes)" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("target", "words"), [("", "DIR must be another folder"), ("out", "SRC: no folder")])
def test_wrong_folders(main, tmp_path: Path, target: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path if words.startswith("DIR") else tmp_path / "gone"
    with pytest.raises(SystemExit) as caught:
        main([str(source), str(tmp_path / target)])
    assert caught.value.code == 2
    assert words in capsys.readouterr().err
