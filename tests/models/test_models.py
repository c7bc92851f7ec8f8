"""What each built-in model is said to be: sharing, depth, dropout and normalisation, the posterior's arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tenfold.models import Baseline, DeepSiameseCNN, LinearSiamese, PosteriorComparison, SiameseCNN, SiameseRNN


def count(module: nn.Module, kind: type) -> int:
    return sum(isinstance(layer, kind) for layer in module.modules())


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_baseline_has_one_hidden_layer() -> None:
    assert n_parameters(Baseline(size=14, hidden=128)) == (2 * 14 * 14 + 1) * 128 + 129 * 2


@pytest.mark.parametrize("make", [LinearSiamese, SiameseCNN, DeepSiameseCNN, SiameseRNN])
def test_sharing_is_one_branch_for_both_images(make: type) -> None:
    shared, apart = make(size=8, shared=True), make(size=8, shared=False)
    assert len(shared.branches.branches) == 1
    assert len(apart.branches.branches) == 2
    assert n_parameters(apart) - n_parameters(shared) == n_parameters(shared.branches)


@pytest.mark.parametrize("make", [LinearSiamese, SiameseCNN, DeepSiameseCNN, SiameseRNN])
def test_a_shared_branch_gives_an_image_the_same_features_in_either_place(make: type) -> None:
    module = make(size=8).eval()
    pairs = torch.rand(3, 2, 8, 8)
    module.branches.eval()
    branch = make(size=8, shared=True).eval().branches
    features = branch(pairs)
    torch.testing.assert_close(branch(pairs.flip(1)).flip(1), features)


def test_apart_each_image_has_its_own_branch() -> None:
    branches = LinearSiamese(size=8, shared=False).branches
    pairs = torch.rand(3, 2, 8, 8)
    features = branches(pairs)
    torch.testing.assert_close(features[:, 1], branches.branches[1](pairs[:, 1:]))
    assert not torch.allclose(branches(pairs.flip(1)).flip(1), features)


def test_siamese_cnns_have_three_convolutions() -> None:
    plain, pooled = SiameseCNN(size=14), SiameseCNN(size=14, pooling=True, auxiliary_outputs=True, dropout=0.3)
    assert [count(module, nn.Conv2d) for module in (plain, pooled)] == [3, 3]
    assert [count(module, nn.MaxPool2d) for module in (plain, pooled)] == [0, 2]
    assert [count(module, nn.Dropout) for module in (plain, pooled)] == [0, 1]
    assert isinstance(plain(torch.rand(2, 2, 14, 14)), Tensor)
    assert isinstance(pooled(torch.rand(2, 2, 14, 14)), tuple)


def test_the_deep_one_has_six_that_double_with_batch_norm_in_the_middle() -> None:
    module = DeepSiameseCNN(size=14)
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [4, 8, 16, 32, 64, 128]
    assert count(module, nn.BatchNorm2d) == 2
    # A bias before batch norm has no gradient but rounding, which Adam turns into steps of its own size.
    assert [layer.bias is None for layer in convolutions] == [False, False, True, True, False, False]


def test_the_recurrent_ones_read_rows_and_differ_in_the_comparison() -> None:
    short, long = SiameseRNN(size=14), SiameseRNN(size=14, comparison=(128, 64, 32))
    assert isinstance(short.branches.branches[0].rnn, nn.RNN)
    assert (count(short.head.compare, nn.Linear), count(long.head.compare, nn.Linear)) == (2, 4)
    assert SiameseRNN(size=14, comparison=[8]).head.compare[0].out_features == 8  # a TOML list


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_the_posterior_comparison_is_the_sum_over_ordered_classes(n_classes: int) -> None:
    """Against slow loops: P(first <= second) = sum over i <= j of p_i q_j, and the two sides sum to 1."""
    module = PosteriorComparison(size=8, n_classes=n_classes, channels=4).double().eval()
    logits, classes = module(torch.rand(5, 2, 8, 8, dtype=torch.float64))
    posterior = classes.detach().softmax(-1)
    for row in range(5):
        expected = sum(
            float(posterior[row, 0, i] * posterior[row, 1, j]) for i in range(n_classes) for j in range(i, n_classes)
        )
        assert float(logits[row, 1].detach().exp()) == pytest.approx(expected, rel=1e-9)
        assert float(logits[row].detach().exp().sum()) == pytest.approx(1.0, rel=1e-9)


def test_the_posterior_stays_finite_where_it_is_sure() -> None:
    module = PosteriorComparison(size=8, channels=4).eval()
    with torch.no_grad():
        module.classify[-1].weight.mul_(1e4)
    inputs = torch.rand(50, 2, 8, 8)
    logits, _ = module(inputs)
    loss = nn.functional.cross_entropy(logits, torch.arange(50) % 2)
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(parameter.grad.isfinite().all()) for parameter in module.parameters() if parameter.grad is not None)
