"""Data of one's own: my_pairs.npz with pairs (n, 2, height, width) from 0 to 1 and targets (n,) 0 or 1.

Here: two patches of noise, target 1 where the first has the lower contrast.
"""

import numpy as np

numbers = np.random.default_rng(0)
contrast = numbers.uniform(0.05, 0.15, size=(4000, 2, 1, 1))
pairs = np.clip(0.5 + contrast * numbers.normal(size=(4000, 2, 8, 8)), 0, 1)
targets = (contrast[:, 0] <= contrast[:, 1]).ravel()
np.savez("my_pairs.npz", pairs=pairs.astype(np.float32), targets=targets.astype(np.int64))
