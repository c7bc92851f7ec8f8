"""The study file: read, checked as a whole, resolved."""

from tenfold.config._study import BUILT_IN as BUILT_IN
from tenfold.config._study import ModelSettings as ModelSettings
from tenfold.config._study import Study as Study
from tenfold.config._study import built_in_studies as built_in_studies
from tenfold.config._study import load_study as load_study
from tenfold.config._study import parse_study as parse_study
from tenfold.config._study import to_toml as to_toml

__all__ = ["BUILT_IN", "ModelSettings", "Study", "built_in_studies", "load_study", "parse_study", "to_toml"]
