"""The stack: R modules as one with a leading ``runs`` axis. No other package adds this axis to a module."""

from tenfold.stack._alike import expect_alike as expect_alike
from tenfold.stack._alike import signature as signature
from tenfold.stack._attributes import attributes as attributes
from tenfold.stack._dropout import Dropout as Dropout
from tenfold.stack._recurrent import GRU as GRU
from tenfold.stack._recurrent import LSTM as LSTM
from tenfold.stack._recurrent import RNN as RNN
from tenfold.stack._stack import How as How
from tenfold.stack._stack import Stack as Stack
from tenfold.stack._swap import replayable as replayable
from tenfold.stack._swap import stackable as stackable
from tenfold.stack._trees import stack_trees as stack_trees
from tenfold.stack._try_forward import try_forward as try_forward

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Dropout",
    "How",
    "Stack",
    "attributes",
    "expect_alike",
    "replayable",
    "signature",
    "stack_trees",
    "stackable",
    "try_forward",
]
