"""The study file: read, checked as a whole, resolved."""

from tenfold.config._read import BUILT_IN as BUILT_IN
from tenfold.config._read import built_in_studies as built_in_studies
from tenfold.config._read import load_study as load_study
from tenfold.config._read import parse_study as parse_study
from tenfold.config._read import to_toml as to_toml
from tenfold.config._reference import keys_text as keys_text
from tenfold.config._reference import reference_page as reference_page
from tenfold.config._schema import study_schema as study_schema
from tenfold.config._study import ModelSettings as ModelSettings
from tenfold.config._study import Study as Study
from tenfold.config._sweep import configs_of as configs_of

__all__ = [
    "BUILT_IN",
    "ModelSettings",
    "Study",
    "built_in_studies",
    "configs_of",
    "keys_text",
    "load_study",
    "parse_study",
    "reference_page",
    "study_schema",
    "to_toml",
]
