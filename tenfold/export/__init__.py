"""The winner of a study, handed over."""

from tenfold.export._winner import Results as Results
from tenfold.export._winner import Winner as Winner

__all__ = ["Results", "Winner"]
