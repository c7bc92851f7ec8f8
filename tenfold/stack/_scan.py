"""One direction of one recurrent layer, all runs at once, with the backward pass written out.

Autograd of the same steps allocates a new tensor in every operation, keeps all of them, and sums the gradient of the
weights step by step. Here a step is one matrix product and a few operations in place.

The inputs of a step's matrix product lie in one block, features x batch: the hidden state before the step, a row of
ones for each bias, the inputs of the step. The hidden state after the step is written into the block of the next step.
Because the batch is the last axis, every gate is contiguous in memory and is processed by one call.

Axes: steps, views (the runs of a stack; 1 outside a stack), features, batch. Source: Elman 1990; Gers, Schmidhuber,
Cummins 2000 (LSTM with forget gates); Cho et al. 2014 (GRU, in the form of ``torch.nn.GRU``); Werbos 1990
(backpropagation through time).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from tenfold.errors import RequestError

__all__ = ["scan"]

aten = torch.ops.aten

# The gradients of the weights are summed over so many steps first, then over these sums: half the rounding error of one
# long sum.
_CHUNK = 8


def scan(
    kind: str,
    inputs: Tensor,
    weights: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    hidden: Tensor | None = None,
    cell: Tensor | None = None,
    valid: Tensor | None = None,
    *,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Hidden states after every step, the last hidden state, and the last cell state (LSTM only).

    Written for one run; under ``torch.func.vmap`` it is one scan of all runs. It can be differentiated once.

    Args:
        kind: RNN_TANH, RNN_RELU, GRU or LSTM.
        inputs: shape (steps, batch, features).
        weights: for the inputs (gates x hidden, features) and for the hidden state (gates x hidden, hidden), and the
            bias of each, shape (gates x hidden,), or None.
        hidden, cell: initial states, shape (batch, hidden); None for zeros.
        valid: bool, shape (steps, batch): where it is False, states do not change. None: True everywhere.
        reverse: go from the last step to the first.
    Returns:
        (Tensor, Tensor, Tensor | None): shapes (steps, batch, hidden), (batch, hidden), (batch, hidden).
    """
    mask = None if valid is None else valid.unsqueeze(-1)
    if torch.compiler.is_compiling():
        return _plain(kind, inputs, *weights, hidden, cell, mask, reverse=reverse)
    given = (None if part is None else part.unsqueeze(0) for part in (inputs, *weights, hidden, cell, mask))
    results: Any = _Scan.apply(kind, reverse, *given)
    last_cell = results[2].squeeze(0) if kind == "LSTM" else None
    return results[0].squeeze(0), results[1].squeeze(0), last_cell


# -- one step of each kind --------------------------------------------------------------------------------------------


class _Step(NamedTuple):
    """Views of one step: (views, features, batch), with 0 features where a kind has no such part."""

    block: Tensor  # hidden state before the step, ones, ones, inputs
    output: Tensor  # hidden state after the step, in the next block
    gate: Tensor  # first the products, then the gates computed from them
    cell_before: Tensor
    cell: Tensor
    squashed: Tensor  # tanh of the cell state

    @property
    def before(self) -> Tensor:
        return self.block[:, : self.output.shape[1]]


class _Rule:
    """A kind of cell: the matrix that multiplies its blocks, its step, and the gradients of its step.

    The matrix has the biases where the block has its ones: (views, products x size, size + 1 + 1 + features).
    """

    n_products = 1
    n_gates = 0  # how many of the products are kept
    n_cells = 0

    def join(self, of_hidden: Tensor, of_inputs: Tensor) -> Tensor:
        """The matrix, from the weights in ``torch.nn``'s order, each with a column for its bias."""
        return torch.cat([of_hidden, of_inputs], dim=2)

    def part(self, matrix: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """The reverse of ``join``, for gradients."""
        return matrix[..., : size + 1], matrix[..., size + 1 :]

    def forward(self, matrix: Tensor, step: _Step) -> None:
        raise NotImplementedError

    def backward(self, step: _Step, grad: Tensor, d_output: Tensor, d_cell: Tensor) -> tuple[Tensor | None, Tensor]:
        """Write the gradients of the products to ``grad``.

        Returns:
            The gradient of the hidden state before the step that does not pass through the products (None for none),
            and the gradient of the cell state before the step.
        """
        raise NotImplementedError

    def add_to_matrix(self, d_matrix: Tensor, grad: Tensor, block: Tensor, size: int) -> None:
        d_matrix.baddbmm_(grad, block.mT)

    def of_hidden(self, matrix: Tensor, grad: Tensor, size: int) -> Tensor:
        return torch.bmm(matrix[..., :size].mT, grad)

    def of_inputs(self, matrix: Tensor, grad: Tensor, size: int, out: Tensor) -> None:
        torch.bmm(matrix[..., size + 2 :].mT, grad, out=out)


class _Rnn(_Rule):
    def __init__(self, relu: bool) -> None:
        self.relu = relu

    def forward(self, matrix: Tensor, step: _Step) -> None:
        product = torch.bmm(matrix, step.block)  # not out=step.output, whose rows are not contiguous: one more copy
        if self.relu:
            torch.clamp_min(product, 0, out=step.output)
        else:
            torch.tanh(product, out=step.output)

    def backward(self, step: _Step, grad: Tensor, d_output: Tensor, d_cell: Tensor) -> tuple[None, Tensor]:
        if self.relu:
            aten.threshold_backward.grad_input(d_output, step.output, 0, grad_input=grad)
        else:
            aten.tanh_backward.grad_input(d_output, step.output, grad_input=grad)
        return None, d_cell


class _Lstm(_Rule):
    """Gates: input, forget, output, new. ``torch.nn`` has new third; here one sigmoid call computes the other three."""

    n_products = n_gates = 4
    n_cells = 1

    def join(self, of_hidden: Tensor, of_inputs: Tensor) -> Tensor:
        return self._swap_last_two(super().join(of_hidden, of_inputs))

    def part(self, matrix: Tensor, size: int) -> tuple[Tensor, Tensor]:
        return super().part(self._swap_last_two(matrix), size)

    @staticmethod
    def _swap_last_two(matrix: Tensor) -> Tensor:
        into, forget, third, fourth = matrix.chunk(4, 1)
        return torch.cat([into, forget, fourth, third], dim=1)

    def forward(self, matrix: Tensor, step: _Step) -> None:
        _, output, gate, cell_before, cell, squashed = step
        torch.bmm(matrix, step.block, out=gate)
        into, forget, out, new = gate.chunk(4, 1)
        gate[:, : -new.shape[1]].sigmoid_()
        new.tanh_()
        torch.mul(into, new, out=cell).addcmul_(forget, cell_before)
        torch.tanh(cell, out=squashed)
        torch.mul(out, squashed, out=output)

    def backward(self, step: _Step, grad: Tensor, d_output: Tensor, d_cell: Tensor) -> tuple[None, Tensor]:
        _, _, gate, cell_before, _, squashed = step
        into, forget, out, new = gate.chunk(4, 1)
        d_into, d_forget, d_out, d_new = grad.chunk(4, 1)
        torch.mul(d_output, squashed, out=d_out)
        total = aten.tanh_backward(d_output * out, squashed).add_(d_cell)
        torch.mul(total, new, out=d_into)
        torch.mul(total, cell_before, out=d_forget)
        aten.tanh_backward.grad_input(total * into, new, grad_input=d_new)
        squashed_gates, d_gates = (part[:, : -new.shape[1]] for part in (gate, grad))
        aten.sigmoid_backward.grad_input(d_gates, squashed_gates, grad_input=d_gates)
        return None, total.mul_(forget)


class _Gru(_Rule):
    """Products: hidden part of the new state, reset, update, input part of the new state.

    The first three use the hidden state, the last three the inputs; the unused corners of the matrix are zero.
    """

    n_products = n_gates = 4

    def join(self, of_hidden: Tensor, of_inputs: Tensor) -> Tensor:
        size, width = of_hidden.shape[-1] - 1, of_hidden.shape[-1]
        matrix = of_hidden.new_zeros(len(of_hidden), 4 * size, width + of_inputs.shape[-1])
        matrix[:, : 3 * size, :width] = of_hidden.roll(size, 1)
        matrix[:, size:, width:] = of_inputs
        return matrix

    def part(self, matrix: Tensor, size: int) -> tuple[Tensor, Tensor]:
        return matrix[:, : 3 * size, : size + 1].roll(-size, 1), matrix[:, size:, size + 1 :]

    def forward(self, matrix: Tensor, step: _Step) -> None:
        gate, size = step.gate, step.output.shape[1]
        product, reset, update, new = gate.chunk(4, 1)
        both = slice(size, 3 * size)
        torch.bmm(matrix[:, :size, : size + 1], step.block[:, : size + 1], out=product)
        torch.bmm(matrix[:, both], step.block, out=gate[:, both])
        torch.bmm(matrix[:, 3 * size :, size + 1 :], step.block[:, size + 1 :], out=new)
        gate[:, both].sigmoid_()
        new.addcmul_(reset, product).tanh_()
        torch.lerp(new, step.before, update, out=step.output)

    def backward(self, step: _Step, grad: Tensor, d_output: Tensor, d_cell: Tensor) -> tuple[Tensor, Tensor]:
        gate, size = step.gate, step.output.shape[1]
        product, reset, update, new = gate.chunk(4, 1)
        d_product, d_reset, d_update, d_new = grad.chunk(4, 1)
        kept = d_output * update
        aten.tanh_backward.grad_input(d_output - kept, new, grad_input=d_new)
        torch.mul(d_new, reset, out=d_product)
        torch.mul(d_new, product, out=d_reset)
        torch.mul(d_output, step.before - new, out=d_update)
        squashed_gates, d_gates = (part[:, size : 3 * size] for part in (gate, grad))
        aten.sigmoid_backward.grad_input(d_gates, squashed_gates, grad_input=d_gates)
        return kept, d_cell

    def add_to_matrix(self, d_matrix: Tensor, grad: Tensor, block: Tensor, size: int) -> None:
        d_matrix[:, : 3 * size, : size + 1].baddbmm_(grad[:, : 3 * size], block[:, : size + 1].mT)
        d_matrix[:, size:, size + 1 :].baddbmm_(grad[:, size:], block[:, size + 1 :].mT)

    def of_hidden(self, matrix: Tensor, grad: Tensor, size: int) -> Tensor:
        return super().of_hidden(matrix[:, : 3 * size], grad[:, : 3 * size], size)

    def of_inputs(self, matrix: Tensor, grad: Tensor, size: int, out: Tensor) -> None:
        super().of_inputs(matrix[:, size:], grad[:, size:], size, out)


_KINDS: dict[str, _Rule] = {"RNN_TANH": _Rnn(relu=False), "RNN_RELU": _Rnn(relu=True), "GRU": _Gru(), "LSTM": _Lstm()}


# -- all steps --------------------------------------------------------------------------------------------------------


class _Kept(NamedTuple):
    """What the forward pass saves for the backward pass: (views, steps, features, batch), except for the matrix.

    There is one more block and cell state than there are steps: each step reads one and writes the next.
    """

    matrix: Tensor
    blocks: Tensor
    gates: Tensor
    cells: Tensor
    squashed: Tensor


def _places(n_steps: int, *, reverse: bool) -> tuple[slice, slice]:
    """The blocks from which the steps read and those to which they write, out of ``n_steps + 1``."""
    first, second = slice(0, n_steps), slice(1, n_steps + 1)
    return (second, first) if reverse else (first, second)


def _steps(kept: _Kept, size: int, *, reverse: bool) -> list[_Step]:
    """The steps in the order of computation."""
    read, written = _places(kept.blocks.shape[1] - 1, reverse=reverse)
    parts = (kept.blocks[:, read], kept.blocks[:, written, :size], kept.gates)
    parts += (kept.cells[:, read], kept.cells[:, written], kept.squashed)
    steps = [_Step(*views) for views in zip(*(part.unbind(1) for part in parts), strict=True)]
    return steps[::-1] if reverse else steps


def _by_step(tensor: Tensor | None, n_steps: int, *, reverse: bool) -> tuple[Tensor | None, ...]:
    """(views, steps, batch, n) as (views, n, batch) of each step, in the order of computation."""
    views = (None,) * n_steps if tensor is None else tensor.mT.unbind(1)
    return views[::-1] if reverse else views


def _forward(
    kind: str,
    reverse: bool,
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    hidden: Tensor | None,
    cell: Tensor | None,
    mask: Tensor | None,
) -> tuple[Tensor, ...]:
    """Outputs, last hidden state, last cell state, and what the backward pass needs."""
    rule = _KINDS[kind]
    views, n_steps, batch, n_features = inputs.shape
    size = weight_hh.shape[-1]

    def empty(n_steps: int, n: int) -> Tensor:
        return inputs.new_empty(n_steps, views, n, batch).transpose(0, 1)  # each step is contiguous

    zeros = torch.zeros_like(weight_hh[..., :1])
    columns = [zeros if bias is None else bias.unsqueeze(-1) for bias in (bias_hh, bias_ih)]
    kept = _Kept(
        rule.join(torch.cat([weight_hh, columns[0]], -1), torch.cat([columns[1], weight_ih], -1)),
        empty(n_steps + 1, size + 2 + n_features),
        empty(n_steps, rule.n_gates * size),
        empty(n_steps + 1, rule.n_cells * size),
        empty(n_steps, rule.n_cells * size),
    )
    read, written = _places(n_steps, reverse=reverse)
    kept.blocks[:, :, size : size + 2] = 1
    kept.blocks[:, read, size + 2 :] = inputs.mT
    steps = _steps(kept, size, reverse=reverse)
    for state, given in ((steps[0].before, hidden), (steps[0].cell_before, cell)):
        state.copy_(torch.zeros_like(state) if given is None else given.mT)
    for step, valid in zip(steps, _by_step(mask, n_steps, reverse=reverse), strict=True):
        rule.forward(kept.matrix, step)
        if valid is not None:  # sequences that have ended keep their state
            torch.where(valid, step.output, step.before, out=step.output)
            torch.where(valid, step.cell, step.cell_before, out=step.cell)
    last = steps[-1]
    return kept.blocks[:, written, :size].mT, last.output.mT.clone(), last.cell.mT.clone(), *kept


def _backward(
    kind: str,
    reverse: bool,
    want_inputs: bool,
    d_outputs: Tensor | None,
    d_hidden: Tensor | None,
    d_cell: Tensor | None,
    mask: Tensor | None,
    *from_forward: Tensor,
) -> tuple[Tensor | None, ...]:
    """Gradients of inputs, weights, biases and initial states."""
    rule = _KINDS[kind]
    parts = _Kept(*from_forward)
    matrix = parts.matrix
    size = matrix.shape[1] // rule.n_products
    steps = _steps(parts, size, reverse=reverse)
    views, _, batch = steps[0].block.shape
    grad = matrix.new_empty(views, matrix.shape[1], batch)
    d_matrix, d_chunk = torch.zeros_like(matrix), torch.zeros_like(matrix)
    d_inputs = None
    if want_inputs:
        d_inputs = matrix.new_empty(len(steps), views, matrix.shape[-1] - size - 2, batch).transpose(0, 1).mT
    along = [_by_step(tensor, len(steps), reverse=reverse) for tensor in (d_outputs, mask, d_inputs)]
    last = steps[-1]
    of_hidden = torch.zeros_like(last.output) if d_hidden is None else d_hidden.mT
    of_cell = torch.zeros_like(last.cell) if d_cell is None else d_cell.mT
    backwards = reversed(list(zip(steps, *along, strict=True)))
    for done, (step, d_output, valid, d_input) in enumerate(backwards, start=1):
        if d_output is not None:
            of_hidden = of_hidden + d_output
        kept, of_before = rule.backward(step, grad, of_hidden, of_cell)
        if valid is not None:
            grad.masked_fill_(~valid, 0)
            kept = torch.where(valid, 0 if kept is None else kept, of_hidden)
            of_before = torch.where(valid, of_before, of_cell)
        of_cell = of_before
        rule.add_to_matrix(d_chunk, grad, step.block, size)
        if done % _CHUNK == 0 or done == len(steps):
            d_matrix += d_chunk
            d_chunk.zero_()
        if d_input is not None:
            rule.of_inputs(matrix, grad, size, d_input)
        of_hidden = rule.of_hidden(matrix, grad, size)
        if kept is not None:
            of_hidden += kept
    hidden_part, input_part = rule.part(d_matrix, size)  # biases: the last and the first column
    weights = input_part[..., 1:], hidden_part[..., :size], input_part[..., 0], hidden_part[..., size]
    return d_inputs, *(part.contiguous() for part in weights), of_hidden.mT, of_cell.mT


# -- for torch.compile ------------------------------------------------------------------------------------------------


def _plain(
    kind: str,
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    hidden: Tensor | None,
    cell: Tensor | None,
    mask: Tensor | None,
    *,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The same with operations that return new tensors, which a compiler fuses; without views.

    torch.compile of torch 2.13 silently gives wrong numbers for ``out=`` into a view.
    """
    zeros = inputs.new_zeros(inputs.shape[1], weight_hh.shape[-1])
    hidden, cell = zeros if hidden is None else hidden, zeros if cell is None else cell
    # unbind: the backward pass of indexing step by step, inputs[t], takes time quadratic in the number of steps.
    steps = F.linear(inputs, weight_ih, bias_ih).unbind(0)
    outputs: list[Tensor] = [zeros] * len(steps)
    for position in range(len(steps))[:: -1 if reverse else 1]:
        step, product = steps[position], F.linear(hidden, weight_hh, bias_hh)
        before = hidden, cell
        if kind == "LSTM":
            into, forget, new, out = (step + product).chunk(4, -1)
            cell = forget.sigmoid() * cell + into.sigmoid() * new.tanh()
            hidden = out.sigmoid() * cell.tanh()
        elif kind == "GRU":
            (reset, update, new), (reset_h, update_h, new_h) = step.chunk(3, -1), product.chunk(3, -1)
            new = (new + (reset + reset_h).sigmoid() * new_h).tanh()
            hidden = new + (update + update_h).sigmoid() * (hidden - new)
        else:
            hidden = (step + product).relu() if kind == "RNN_RELU" else (step + product).tanh()
        if mask is not None:
            hidden, cell = (torch.where(mask[position], *pair) for pair in zip((hidden, cell), before, strict=True))
        outputs[position] = hidden
    return torch.stack(outputs), hidden, cell if kind == "LSTM" else None


# -- autograd and vmap ------------------------------------------------------------------------------------------------


def _all_runs(function: Any, info: Any, in_dims: tuple, arguments: tuple) -> tuple[tuple, tuple]:
    """The batching rule for vmap: its axis is merged into the axis of views."""

    def merge(argument: Any, axis: int | None) -> Any:
        if not isinstance(argument, Tensor):
            return argument
        if axis is None:
            argument = argument.unsqueeze(0).expand(info.batch_size, *argument.shape)
        else:
            argument = argument.movedim(axis, 0)
        return argument.flatten(0, 1)

    results = function.apply(*map(merge, arguments, in_dims))
    split = tuple(None if part is None else part.unflatten(0, (info.batch_size, -1)) for part in results)
    return split, tuple(None if part is None else 0 for part in results)


class _Scan(Function):
    @staticmethod
    def forward(kind: str, reverse: bool, inputs: Tensor, *more: Any) -> tuple:  # type: ignore[override]
        return _forward(kind, reverse, inputs, *more)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.kind, ctx.reverse, *differentiated, mask = inputs
        kept = output[3:]
        ctx.mark_non_differentiable(*kept)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(mask, *kept, *differentiated)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple:  # type: ignore[override]
        wanted = ctx.needs_input_grad[2:]
        results: Any = _Backward.apply(ctx.kind, ctx.reverse, wanted[0], *grads[:3], *ctx.saved_tensors)
        given = (part if want else None for part, want in zip(results, wanted, strict=False))
        return None, None, *given, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *arguments: Any) -> tuple[tuple, tuple]:
        return _all_runs(_Scan, info, in_dims, arguments)


class _Backward(Function):
    """The backward pass as a separate Function, so that it works under vmap too, as in ``vmap(grad(...))``."""

    @staticmethod
    def forward(kind: str, reverse: bool, want_inputs: bool, *tensors: Any) -> tuple:  # type: ignore[override]
        # The other tensors are arguments only so that autograd does not take a second derivative to be zero.
        return _backward(kind, reverse, want_inputs, *tensors[: 4 + len(_Kept._fields)])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple:  # type: ignore[override]
        raise RequestError("a recurrent layer in a stack has first derivatives only")

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *arguments: Any) -> tuple[tuple, tuple]:
        return _all_runs(_Backward, info, in_dims, arguments)
