"""One direction of one recurrent layer, all runs at once, with the backward pass written out.

Autograd of the same steps makes a new tensor in every operation, keeps all of them, and adds up the gradient of the
weights step by step. Here a step is a matrix product and a few operations in place; the input products of a few steps,
and the gradients of the weights of a few steps, are one product each.

Axes: lanes (the runs of a stack; 1 outside of one), steps, batch, features. Gates lie side by side in the last axis, in
the order of ``torch.nn``. Source: Elman 1990; Gers, Schmidhuber, Cummins 2000 (LSTM with forget gates); Cho et al. 2014
(GRU, in the form of ``torch.nn.GRU``); Werbos 1990 (backpropagation through time).
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

# Steps of one product on a CPU: few, so that their gates stay in its cache. With all 128 steps of ten LSTMs of 64
# units at once (batches of 100) a training step takes 1.8 times as long; with 1 or 8 instead of 4, as long.
_AT_ONCE = 4


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
    """Hidden states after every step, the last hidden state, and the last cell state (of an LSTM).

    Written for one run; under ``torch.func.vmap`` it is one scan of all runs. Can be differentiated once.

    Args:
        kind: RNN_TANH, RNN_RELU, GRU or LSTM.
        inputs: shape (steps, batch, features).
        weights: for the inputs (gates x hidden, features) and for the hidden state (gates x hidden, hidden), and the
            bias of each, shape (gates x hidden,), or None.
        hidden, cell: initial states, shape (batch, hidden); None for zeros.
        valid: shape (steps, batch): states stay as they are where it is False. None for True throughout.
        reverse: from the last step to the first.
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
    """What a step leaves for the backward pass: views of one step, (lanes, batch, n)."""

    gate: Tensor  # the input products; after the step, the gates
    output: Tensor  # the hidden state
    aside: Tensor  # LSTM: the cell state; GRU: the hidden product of the third gate


class _Rnn:
    n_gates, n_grads = 1, 1

    def __init__(self, relu: bool) -> None:
        self.relu = relu

    def forward(self, step: _Step, hidden: Tensor | None, cell: None, weight: Tensor, bias: None) -> None:
        if hidden is not None:
            step.gate.baddbmm_(hidden, weight)
        if self.relu:
            step.output.relu_()  # its gate and its output are one tensor
        else:
            step.output.tanh_()

    def backward(
        self, step: _Step, grad: Tensor, d_hidden: Tensor, d_cell: None, hidden: Tensor | None, cell: None
    ) -> tuple[None, None]:
        if self.relu:
            aten.threshold_backward.grad_input(d_hidden, step.output, 0, grad_input=grad)
        else:
            aten.tanh_backward.grad_input(d_hidden, step.output, grad_input=grad)
        return None, None


class _Lstm:
    n_gates, n_grads = 4, 4

    def forward(self, step: _Step, hidden: Tensor | None, cell: Tensor | None, weight: Tensor, bias: None) -> None:
        if hidden is not None:
            step.gate.baddbmm_(hidden, weight)
        into, forget, new, out = step.gate.chunk(4, -1)
        step.gate[..., : 2 * new.shape[-1]].sigmoid_()
        new.tanh_()
        out.sigmoid_()
        torch.mul(into, new, out=step.aside)
        if cell is not None:
            step.aside.addcmul_(forget, cell)
        torch.tanh(step.aside, out=step.output)
        step.output.mul_(out)

    def backward(
        self,
        step: _Step,
        grad: Tensor,
        d_hidden: Tensor,
        d_cell: Tensor | None,
        hidden: Tensor | None,
        cell: Tensor | None,
    ) -> tuple[None, Tensor]:
        into, forget, new, out = step.gate.chunk(4, -1)
        d_into, d_forget, d_new, d_out = grad.chunk(4, -1)
        squashed = torch.tanh(step.aside)
        torch.mul(d_hidden, squashed, out=d_out)
        total = aten.tanh_backward(d_hidden * out, squashed)
        if d_cell is not None:
            total.add_(d_cell)
        torch.mul(total, new, out=d_into)
        if cell is None:
            d_forget.zero_()
        else:
            torch.mul(total, cell, out=d_forget)
        aten.tanh_backward.grad_input(total * into, new, grad_input=d_new)
        first = slice(None, 2 * new.shape[-1])
        for its, gate in ((grad[..., first], step.gate[..., first]), (d_out, out)):
            aten.sigmoid_backward.grad_input(its, gate, grad_input=its)
        return None, total.mul_(forget)


class _Gru:
    n_gates, n_grads = 3, 4  # gradients of: hidden product of the new state, reset, update, input product of it

    def forward(self, step: _Step, hidden: Tensor | None, cell: None, weight: Tensor, bias: Tensor | None) -> None:
        size = step.output.shape[-1]
        reset, update, new = step.gate.chunk(3, -1)
        both = step.gate[..., : 2 * size]
        if hidden is not None:
            both.baddbmm_(hidden, weight[..., : 2 * size])
            torch.bmm(hidden, weight[..., 2 * size :], out=step.aside)
        else:
            step.aside.zero_()
        if bias is not None:
            step.aside.add_(bias)
        both.sigmoid_()
        new.addcmul_(reset, step.aside).tanh_()
        torch.addcmul(new, new, update, value=-1, out=step.output)
        if hidden is not None:
            step.output.addcmul_(update, hidden)

    def backward(
        self, step: _Step, grad: Tensor, d_hidden: Tensor, d_cell: None, hidden: Tensor | None, cell: None
    ) -> tuple[Tensor, None]:
        size = step.output.shape[-1]
        reset, update, new = step.gate.chunk(3, -1)
        d_product, d_reset, d_update, d_new = grad.chunk(4, -1)
        kept = d_hidden * update
        aten.tanh_backward.grad_input(d_hidden - kept, new, grad_input=d_new)
        torch.mul(d_new, reset, out=d_product)
        torch.mul(d_new, step.aside, out=d_reset)
        torch.mul(d_hidden, -new if hidden is None else hidden - new, out=d_update)
        both = grad[..., size : 3 * size]
        aten.sigmoid_backward.grad_input(both, step.gate[..., : 2 * size], grad_input=both)
        return kept, None


_KINDS: dict[str, Any] = {"RNN_TANH": _Rnn(relu=False), "RNN_RELU": _Rnn(relu=True), "GRU": _Gru(), "LSTM": _Lstm()}


# -- all steps --------------------------------------------------------------------------------------------------------


def _rows(tensor: Tensor) -> Tensor:
    return tensor.flatten(1, 2)  # (lanes, steps, batch, n) -> (lanes, steps x batch, n)


def _spans(order: range, like: Tensor) -> list[tuple[range, slice]]:
    """The steps in their order, as many together as one product takes, and where these are in time."""
    size = _AT_ONCE if like.device.type == "cpu" else len(order)  # elsewhere few large kernels are faster
    spans = [order[start : start + size] for start in range(0, len(order), size)]
    return [(span, slice(min(span), max(span) + 1)) for span in spans]


def _of_steps(tensor: Tensor | None, n_steps: int) -> tuple:
    return (None,) * n_steps if tensor is None else tensor.unbind(1)


def _forward(
    kind: str,
    order: range,
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    hidden: Tensor | None,
    cell: Tensor | None,
    mask: Tensor | None,
) -> tuple[Tensor, ...]:
    """Outputs, last hidden state, (last cell state,) and what ``_Step`` is made of, for all steps."""
    rule = _KINDS[kind]
    lanes, n_steps, batch, _ = inputs.shape
    size = weight_hh.shape[-1]
    outputs = inputs.new_empty(lanes, n_steps, batch, size)
    gates = outputs if rule.n_gates == 1 else inputs.new_empty(lanes, n_steps, batch, rule.n_gates * size)
    asides = outputs if rule.n_gates == 1 else torch.empty_like(outputs)
    bias, apart = None, None
    if bias_ih is not None and bias_hh is not None:
        bias = bias_ih + bias_hh
        if kind == "GRU":  # the bias of its last hidden product comes before the reset gate
            bias[:, 2 * size :] = bias_ih[:, 2 * size :]
            apart = bias_hh[:, None, 2 * size :]
    weight_in, weight = weight_ih.mT, weight_hh.mT.contiguous()
    steps = list(map(_Step, gates.unbind(1), outputs.unbind(1), asides.unbind(1)))
    masks = _of_steps(mask, n_steps)
    for span, at in _spans(order, inputs):
        if bias is None:
            torch.bmm(_rows(inputs[:, at]), weight_in, out=_rows(gates[:, at]))
        else:
            torch.baddbmm(bias.unsqueeze(1), _rows(inputs[:, at]), weight_in, out=_rows(gates[:, at]))
        for position in span:
            step, valid = steps[position], masks[position]
            rule.forward(step, hidden, cell, weight, apart)
            if valid is not None:
                _put_back(step.output, hidden, valid)
                if kind == "LSTM":
                    _put_back(step.aside, cell, valid)
            hidden, cell = step.output, step.aside if kind == "LSTM" else None
    assert hidden is not None
    last = (hidden.clone(),) if cell is None else (hidden.clone(), cell.clone())
    return (outputs, *last, *(() if gates is outputs else (gates, asides)))


def _put_back(state: Tensor, before: Tensor | None, valid: Tensor) -> None:
    """Sequences that are over keep the state from before the step."""
    torch.where(valid, state, torch.zeros_like(state) if before is None else before, out=state)


def _backward(
    kind: str,
    order: range,
    want_inputs: bool,
    d_outputs: Tensor | None,
    d_hidden: Tensor | None,
    d_cell: Tensor | None,
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    first_hidden: Tensor | None,
    first_cell: Tensor | None,
    mask: Tensor | None,
    outputs: Tensor,
    gates: Tensor | None = None,
    asides: Tensor | None = None,
) -> tuple[Tensor | None, ...]:
    """Gradients of inputs, weights, biases and initial states; ``order`` is that of the forward pass turned round."""
    rule = _KINDS[kind]
    lanes, n_steps, batch, size = outputs.shape
    gates, asides = outputs if gates is None else gates, outputs if asides is None else asides
    steps = list(map(_Step, gates.unbind(1), outputs.unbind(1), asides.unbind(1)))
    masks, of_outputs = _of_steps(mask, n_steps), _of_steps(d_outputs, n_steps)
    spans = _spans(order, inputs)
    grads = inputs.new_empty(lanes, len(spans[0][0]), batch, rule.n_grads * size)
    of_steps = grads.unbind(1)
    columns = rule.n_gates * size
    of_hidden = [grad[..., :columns] for grad in of_steps]
    # The first gradients of a GRU are those of its last gate.
    weight = weight_hh.roll(size, 1) if kind == "GRU" else weight_hh
    d_inputs = torch.empty_like(inputs, memory_format=torch.contiguous_format) if want_inputs else None
    d_weight_ih, d_weight_hh = torch.zeros_like(weight_ih), torch.zeros_like(weight)
    d_bias_ih, d_bias_hh = (None if bias is None else torch.zeros_like(bias) for bias in (bias_ih, bias_hh))
    for span, at in spans:
        for position in span:
            step, valid = steps[position], masks[position]
            grad = of_steps[position - at.start]
            before = None if position == order[-1] else steps[position + order.step]
            hidden = first_hidden if before is None else before.output
            cell = None if kind != "LSTM" else first_cell if before is None else before.aside
            d_hidden = _sum(d_hidden, of_outputs[position], step.output)
            kept, d_before = rule.backward(step, grad, d_hidden, d_cell, hidden, cell)
            if valid is not None:
                grad.masked_fill_(~valid, 0)
                kept = torch.where(valid, 0 if kept is None else kept, d_hidden)
                if kind == "LSTM":
                    d_before = torch.where(valid, d_before, 0 if d_cell is None else d_cell)
            d_cell = d_before
            if hidden is not None:
                product = of_hidden[position - at.start]
                d_hidden = torch.bmm(product, weight) if kept is None else torch.baddbmm(kept, product, weight)
        part = grads[:, : len(span)]
        into, back = _rows(part[..., -columns:]), part[..., :columns]
        d_weight_ih.baddbmm_(into.mT, _rows(inputs[:, at]))
        if d_inputs is not None:
            torch.bmm(into, weight_ih, out=_rows(d_inputs[:, at]))
        if d_bias_ih is not None and d_bias_hh is not None:
            d_bias_ih += into.sum(1)
            if kind == "GRU":
                d_bias_hh += _rows(back).sum(1)
        # The state before each of these steps; before the first of all there may be none.
        start, stop = at.start + order.step, at.stop + order.step
        if start < 0 or stop > n_steps:
            first = back[:, 0 if start < 0 else -1]
            if first_hidden is not None:
                d_weight_hh.baddbmm_(first.mT, first_hidden)
            back = back[:, 1:] if start < 0 else back[:, :-1]
            start, stop = max(start, 0), min(stop, n_steps)
        if stop > start:
            d_weight_hh.baddbmm_(_rows(back).mT, _rows(outputs[:, start:stop]))
    if kind == "GRU":
        d_weight_hh = d_weight_hh.roll(-size, 1)
        d_bias_hh = None if d_bias_hh is None else d_bias_hh.roll(-size, 1)
    else:
        d_bias_hh = None if d_bias_ih is None else d_bias_ih.clone()
    d_first_hidden = None if first_hidden is None else d_hidden
    d_first_cell = None if first_cell is None else d_cell
    return d_inputs, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, d_first_hidden, d_first_cell


def _sum(later: Tensor | None, here: Tensor | None, like: Tensor) -> Tensor:
    """Gradient of a state: what later steps and its own output pass back."""
    if later is None:
        return torch.zeros_like(like) if here is None else here
    return later if here is None else later + here


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
    """The same without lanes, in operations that make new tensors, which a compiler joins by itself.

    torch.compile of torch 2.13 gives wrong numbers, without a word, for ``out=`` into a view.
    """
    zeros = inputs.new_zeros(inputs.shape[1], weight_hh.shape[-1])
    hidden, cell = zeros if hidden is None else hidden, zeros if cell is None else cell
    # Taken apart with unbind: the backward pass of inputs[t], step by step, is quadratic in time.
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


def _all_lanes(function: Any, info: Any, in_dims: tuple, arguments: tuple) -> tuple[tuple, tuple]:
    """The rule of vmap: its axis becomes more lanes."""

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
    def forward(kind: str, reverse: bool, inputs: Tensor, *more: Any) -> tuple[Tensor, ...]:  # type: ignore[override]
        order = range(inputs.shape[1])
        return _forward(kind, order[::-1] if reverse else order, inputs, *more)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
        ctx.kind, ctx.reverse, *tensors = inputs
        ctx.n_results = 3 if ctx.kind == "LSTM" else 2
        kept = output[ctx.n_results :]
        ctx.mark_non_differentiable(*kept)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, output[0], *kept)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple:  # type: ignore[override]
        of_results = (*grads[: ctx.n_results], None)[:3]
        wanted = ctx.needs_input_grad[2]
        results: Any = _Backward.apply(ctx.kind, ctx.reverse, wanted, *of_results, *ctx.saved_tensors)
        return None, None, *results, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *arguments: Any) -> tuple[tuple, tuple]:
        return _all_lanes(_Scan, info, in_dims, arguments)


class _Backward(Function):
    """A function of its own, so that it too works under vmap, as in ``vmap(grad(...))``."""

    @staticmethod
    def forward(kind: str, reverse: bool, wanted: bool, *tensors: Tensor | None) -> tuple:  # type: ignore[override]
        inputs = tensors[3]
        assert inputs is not None
        order = range(inputs.shape[1])
        return _backward(kind, order if reverse else order[::-1], wanted, *tensors)  # type: ignore[arg-type]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple:  # type: ignore[override]
        raise RequestError("a recurrent layer in a stack has first derivatives only")

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *arguments: Any) -> tuple[tuple, tuple]:
        return _all_lanes(_Backward, info, in_dims, arguments)
