"""Every layer of torch.nn that trains, and the arguments of those that do something of their own."""

from __future__ import annotations

import torch
from corpus_case import Case, features, image, sequence, steps, volume, words
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

RANDOM = "draws random numbers inside forward"
SPARSE = "sparse=True; the gradients of a stack are dense"


class Attention(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True, **options)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        output, weights = self.attend(x, x[:, :3], x[:, :3])
        return {"output": output, "weights": weights}


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, x[:, :2])


class Masked(nn.Module):
    """A transformer of unequal lengths: tokens from the third on are padding in some examples."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 8, padding_idx=0)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encode = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.score = nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = torch.arange(tokens.shape[1]) > 2 + tokens[:, :1]
        return self.score(self.encode(self.embed(tokens), src_key_padding_mask=padding)[:, 0])


class Cell(nn.Module):
    def __init__(self, kind: type[nn.RNNCellBase]) -> None:
        super().__init__()
        self.cell = kind(8, 5)  # type: ignore[call-arg]

    def forward(self, x: Tensor) -> Tensor:
        state, hidden = None, x.new_zeros(())
        for step in x.unbind(1):
            state = self.cell(step, state)
            hidden = state[0] if isinstance(state, tuple) else state
        return hidden


class Bags(nn.Module):
    """Bags one behind the other, with offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.bags = nn.EmbeddingBag(6, 3, mode="sum")

    def forward(self, tokens: Tensor) -> Tensor:
        return self.bags(tokens.flatten(), torch.arange(0, tokens.numel(), 5))


class Weighted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bags = nn.EmbeddingBag(6, 3, mode="sum", padding_idx=2)
        self.weight = nn.Parameter(torch.rand(5))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.bags(tokens, per_sample_weights=self.weight.expand(tokens.shape))


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).mT


def symmetric() -> nn.Module:
    layer = nn.Linear(8, 8)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


def twice(layer: nn.Module) -> nn.Module:
    """With a layer behind, so that gradients go through it."""
    return nn.Sequential(layer, nn.Linear(3, 2))


LAYERS: dict[str, Case] = {
    "Linear": Case(lambda: nn.Linear(8, 3)),
    "Linear without bias": Case(lambda: nn.Linear(8, 3, bias=False)),
    "Bilinear": Case(lambda: nn.Bilinear(8, 8, 3), steps),
    "Conv1d": Case(lambda: nn.Conv1d(4, 3, 3, padding=1, padding_mode="circular"), sequence),
    "Conv2d": Case(lambda: nn.Conv2d(1, 3, 3), image),
    "Conv2d grouped": Case(lambda: nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, groups=4, stride=2)), image),
    "Conv3d": Case(lambda: nn.Conv3d(1, 2, 2, dilation=1), volume),
    "ConvTranspose1d": Case(lambda: nn.ConvTranspose1d(4, 2, 3, stride=2), sequence),
    "ConvTranspose2d": Case(lambda: nn.ConvTranspose2d(1, 2, 3, output_padding=1, stride=2), image),
    "ConvTranspose3d": Case(lambda: nn.ConvTranspose3d(1, 2, 2), volume),
    "BatchNorm1d": Case(lambda: nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))),
    "BatchNorm1d cumulative": Case(
        lambda: nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4, momentum=None)),
        not_stacked="failed in a stack: .*item",
    ),
    "BatchNorm2d": Case(lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)), image),
    "BatchNorm3d": Case(lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2)), volume),
    "BatchNorm1d without statistics": Case(lambda: nn.BatchNorm1d(8, track_running_stats=False)),
    "InstanceNorm1d": Case(lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), sequence),
    "InstanceNorm2d": Case(lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.InstanceNorm2d(3, affine=True)), image),
    "InstanceNorm3d": Case(lambda: nn.InstanceNorm3d(1, affine=True), volume),
    "LayerNorm": Case(lambda: nn.Sequential(nn.Linear(8, 4), nn.LayerNorm(4))),
    "RMSNorm": Case(lambda: nn.Sequential(nn.Linear(8, 4), nn.RMSNorm(4))),
    "GroupNorm": Case(lambda: nn.GroupNorm(2, 4), sequence),
    "PReLU": Case(lambda: nn.Sequential(nn.Linear(8, 4), nn.PReLU(4))),
    "Embedding": Case(lambda: nn.Embedding(6, 3), words),
    "Embedding padding": Case(lambda: twice(nn.Embedding(6, 3, padding_idx=0)), words),
    "Embedding padding from the end": Case(lambda: twice(nn.Embedding(6, 3, padding_idx=-2)), words),
    "Embedding max_norm": Case(lambda: twice(nn.Embedding(6, 3, max_norm=0.5)), words),
    "Embedding max_norm 1": Case(lambda: twice(nn.Embedding(6, 3, max_norm=1.0, norm_type=1.0)), words),
    "Embedding by frequency": Case(lambda: twice(nn.Embedding(6, 3, scale_grad_by_freq=True)), words),
    "Embedding all at once": Case(
        lambda: twice(nn.Embedding(6, 3, padding_idx=1, max_norm=0.7, scale_grad_by_freq=True)), words
    ),
    "Embedding sparse": Case(lambda: twice(nn.Embedding(6, 3, sparse=True)), words, not_stacked=SPARSE),
    "EmbeddingBag sum": Case(lambda: twice(nn.EmbeddingBag(6, 3, mode="sum")), words),
    "EmbeddingBag mean": Case(lambda: twice(nn.EmbeddingBag(6, 3, mode="mean", padding_idx=3)), words),
    "EmbeddingBag max": Case(lambda: twice(nn.EmbeddingBag(6, 3, mode="max", padding_idx=0)), words),
    "EmbeddingBag max_norm": Case(lambda: twice(nn.EmbeddingBag(6, 3, mode="sum", max_norm=0.5)), words),
    "EmbeddingBag by frequency": Case(lambda: twice(nn.EmbeddingBag(6, 3, mode="sum", scale_grad_by_freq=True)), words),
    "EmbeddingBag offsets": Case(Bags, words),
    "EmbeddingBag weighted": Case(Weighted, words),
    "EmbeddingBag sparse": Case(
        lambda: twice(nn.EmbeddingBag(6, 3, mode="sum", sparse=True)), words, not_stacked=SPARSE
    ),
    "RNN": Case(lambda: nn.RNN(8, 3, 2, batch_first=True, nonlinearity="relu"), sequence),
    "GRU": Case(lambda: nn.GRU(8, 3, bidirectional=True), sequence),
    "LSTM": Case(lambda: nn.LSTM(8, 3, 2, dropout=0.3, batch_first=True), sequence),
    "LSTM projected": Case(lambda: nn.LSTM(8, 3, proj_size=2), sequence, not_stacked="proj_size=2 of LSTM"),
    "RNNCell": Case(lambda: Cell(nn.RNNCell), sequence),
    "GRUCell": Case(lambda: Cell(nn.GRUCell), sequence),
    "LSTMCell": Case(lambda: Cell(nn.LSTMCell), sequence),
    "MultiheadAttention": Case(Attention, sequence),
    "MultiheadAttention with more": Case(lambda: Attention(add_bias_kv=True, add_zero_attn=True), sequence),
    "MultiheadAttention dropout": Case(lambda: Attention(dropout=0.2), sequence, not_stacked=RANDOM),
    "TransformerEncoderLayer": Case(
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True), sequence
    ),
    "TransformerEncoder padded": Case(Masked, words),
    "TransformerDecoderLayer": Case(Decoder, sequence),
    "Dropout": Case(lambda: nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 3))),
    "Dropout1d": Case(lambda: nn.Sequential(nn.Conv1d(4, 3, 1), nn.Dropout1d(0.3)), sequence),
    "AlphaDropout": Case(lambda: nn.Sequential(nn.Linear(8, 3), nn.AlphaDropout(0.3)), not_stacked=RANDOM),
    "ParameterList": Case(lambda: Parameters(list)),
    "ParameterDict": Case(lambda: Parameters(dict)),
    "weight_norm": Case(lambda: parametrizations.weight_norm(nn.Linear(8, 3))),
    "spectral_norm": Case(lambda: parametrizations.spectral_norm(nn.Linear(8, 3))),
    "spectral_norm of a convolution": Case(
        lambda: parametrizations.spectral_norm(nn.Conv2d(1, 3, 3), n_power_iterations=2, dim=1), image
    ),
    "orthogonal": Case(lambda: parametrizations.orthogonal(nn.Linear(8, 3))),
    "own parametrization": Case(symmetric),
    "older spectral_norm": Case(lambda: nn.utils.spectral_norm(nn.Linear(8, 3)), not_stacked="parametrizations"),
    "older weight_norm": Case(lambda: older_weight_norm(), refused="parametrizations.weight_norm"),
    "LazyLinear": Case(lambda: nn.Sequential(nn.LazyLinear(3)), refused="0.weight' .* has no shape yet"),
    "LazyBatchNorm1d": Case(lambda: nn.LazyBatchNorm1d(), refused="nn.Linear"),
    "LazyLinear after a batch": Case(lambda: warm(nn.LazyLinear(3))),
    "Flatten only": Case(nn.Flatten, features),
}


class Parameters(nn.Module):
    def __init__(self, kind: type) -> None:
        super().__init__()
        made = [nn.Parameter(torch.rand(8)) for _ in range(2)]
        self.scales: nn.Module = nn.ParameterList(made)
        if kind is dict:
            self.scales = nn.ParameterDict({"0": made[0], "1": made[1]})
        self.keys = [0, 1] if kind is list else ["0", "1"]

    def forward(self, x: Tensor) -> Tensor:
        first, second = (self.scales[key] for key in self.keys)  # type: ignore[index]
        return (x * first).tanh() * second


def older_weight_norm() -> nn.Module:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(nn.Linear(8, 3))


def warm(layer: nn.Module) -> nn.Module:
    layer(torch.zeros(2, 8))
    return layer
