"""Where and how the runs of a study are computed: placement, processes, estimators, the certificate."""

from tenfold.execute._cores import cores as cores
from tenfold.execute._cores import cores_asked as cores_asked
from tenfold.execute._estimators import fit_runs as fit_runs
from tenfold.execute._estimators import try_estimator as try_estimator
from tenfold.execute._placement import choose as choose
from tenfold.execute._plan import Placement as Placement
from tenfold.execute._plan import Plan as Plan
from tenfold.execute._run_job import run_job as run_job
from tenfold.execute._try import try_module as try_module
from tenfold.execute._verify import verify as verify
from tenfold.execute._verify import verify_fit as verify_fit
from tenfold.execute._workers import Workers as Workers
from tenfold.execute._workers import portable as portable

__all__ = [
    "Placement",
    "Plan",
    "Workers",
    "choose",
    "cores",
    "cores_asked",
    "fit_runs",
    "portable",
    "run_job",
    "try_estimator",
    "try_module",
    "verify",
    "verify_fit",
]
