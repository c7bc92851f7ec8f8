"""The winner of a study, handed over: modules, preprocessing and labels, from the record alone."""

from tenfold.export._models import code_of as code_of
from tenfold.export._models import factory_of as factory_of
from tenfold.export._models import save_models as save_models
from tenfold.export._winner import Answers as Answers
from tenfold.export._winner import Results as Results
from tenfold.export._winner import Winner as Winner

__all__ = ["Answers", "Results", "Winner", "code_of", "factory_of", "save_models"]
