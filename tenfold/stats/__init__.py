"""Statistics of a study: arrays in, small frozen results out. NumPy and SciPy only, never torch.

The scores of one model on one metric are an array of shape (runs,), as fractions; two models are paired by repeat.
Every statistic is one file here and one line below; ``docs/statistics.md`` says which one is used when, and why.
"""

from tenfold.stats._collapse import collapsed as collapsed
from tenfold.stats._compare import PAIRED_TESTS as PAIRED_TESTS
from tenfold.stats._compare import Comparison as Comparison
from tenfold.stats._compare import compare_pair as compare_pair
from tenfold.stats._corrected_t import corrected_t_test as corrected_t_test
from tenfold.stats._design import Clusters as Clusters
from tenfold.stats._design import Design as Design
from tenfold.stats._effect import effect_size as effect_size
from tenfold.stats._effect import superiority as superiority
from tenfold.stats._holm import holm as holm
from tenfold.stats._looks import Looks as Looks
from tenfold.stats._max_t import max_t as max_t
from tenfold.stats._paired import PairedTest as PairedTest
from tenfold.stats._permutation import permutation_test as permutation_test
from tenfold.stats._power import MAX_REPEATS as MAX_REPEATS
from tenfold.stats._power import detectable_difference as detectable_difference
from tenfold.stats._power import paired_power as paired_power
from tenfold.stats._power import repeats_needed as repeats_needed
from tenfold.stats._published import AgainstPublished as AgainstPublished
from tenfold.stats._published import against_published as against_published
from tenfold.stats._shared_pool import shared_pool_ratio as shared_pool_ratio
from tenfold.stats._shared_variance import MeanVariance as MeanVariance
from tenfold.stats._shared_variance import shared_variance as shared_variance
from tenfold.stats._sign_flips import minimum_p as minimum_p
from tenfold.stats._simultaneous import joint_reach as joint_reach
from tenfold.stats._single import AgainstSingle as AgainstSingle
from tenfold.stats._single import against_single as against_single
from tenfold.stats._student import paired_t_test as paired_t_test
from tenfold.stats._summary import Summary as Summary
from tenfold.stats._summary import summarise as summarise
from tenfold.stats._variance import VarianceSplit as VarianceSplit
from tenfold.stats._variance import split_variance as split_variance
from tenfold.stats._verdict import CORRECTIONS as CORRECTIONS
from tenfold.stats._verdict import Verdict as Verdict
from tenfold.stats._verdict import verdicts as verdicts
from tenfold.stats._wilcoxon import wilcoxon_test as wilcoxon_test

__all__ = [
    "CORRECTIONS",
    "MAX_REPEATS",
    "PAIRED_TESTS",
    "AgainstPublished",
    "AgainstSingle",
    "Clusters",
    "Comparison",
    "Design",
    "Looks",
    "MeanVariance",
    "PairedTest",
    "Summary",
    "VarianceSplit",
    "Verdict",
    "against_published",
    "against_single",
    "collapsed",
    "compare_pair",
    "corrected_t_test",
    "detectable_difference",
    "effect_size",
    "holm",
    "joint_reach",
    "max_t",
    "minimum_p",
    "paired_power",
    "paired_t_test",
    "permutation_test",
    "repeats_needed",
    "shared_pool_ratio",
    "shared_variance",
    "split_variance",
    "summarise",
    "superiority",
    "verdicts",
    "wilcoxon_test",
]
