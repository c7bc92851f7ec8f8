"""Claim: the cost of one run decreases, or at least does not increase, with the number of repeats trained together.

    python benchmarks/scaling.py [--device cpu|cuda]

One dense, one convolutional and one recurrent network of the study mnist-pairs, R = 1, 2, 5, 10, 20, 50 repeats. Every
size runs in its own process (for its peak memory), with placement "auto". 1 epoch and 1 + E epochs are timed, and the
difference is used, so that it does not include building and recording. The accuracy of the first repeat must not depend
on R.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from _common import job_of, peak_mebibytes, save, study_and_task
from against_peers import Tenfold

MODELS = ("Baseline", "Siamese CNN 3", "Siamese RNN 1")
SIZES = (1, 2, 5, 10, 20, 50)


def measure(name: str, repeats: int, epochs: int, device: str) -> None:
    study, task = study_and_task(repeats=repeats)
    model = next(model for model in study.models if model.name == name)
    trainer = Tenfold(task, "accuracy")
    short, long = (job_of(study, model, task, epochs=count, device=device) for count in (1, 1 + epochs))
    trainer(short, task)  # warm-up; tenfold times placements
    started = time.perf_counter()
    trainer(short, task)
    after_short = time.perf_counter()
    scores = trainer(long, task)
    seconds = (time.perf_counter() - after_short) - (after_short - started)
    trainer.workers.__exit__(None, None, None)
    plan = trainer.plans[name]
    steps = epochs * 10
    print(
        json.dumps(
            {
                "ms": 1e3 * seconds / steps / repeats,
                "first": scores[0],
                "peak_mib": peak_mebibytes(),
                "placement": f"{plan.placement} ({plan.how})",
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "R"))
    options = parser.parse_args()
    if options.one:
        measure(options.one[0], int(options.one[1]), options.epochs, options.device)
        return
    measured: dict[str, dict[int, dict]] = {}
    for name in MODELS:
        for size in SIZES:
            command = [sys.executable, __file__, "--one", name, str(size), "--device", options.device]
            command += ["--epochs", str(options.epochs)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
            if done.returncode:
                raise SystemExit(f"{name}, R = {size} ended with {done.returncode}:\n{done.stderr}")
            measured.setdefault(name, {})[size] = json.loads(done.stdout.splitlines()[-1])
            print(f"{name}, R = {size}: {measured[name][size]['ms']:.2f} ms", file=sys.stderr)
    lines = [
        "# Cost of a run against the number of repeats",
        "",
        f"Device {options.device}, {options.epochs} epochs with scoring.",
        "",
    ]
    lines += ["| model | R | ms per run-step | of R = 1 | peak MiB | placement |", "|---|---:|---:|---:|---:|---|"]
    for name, sizes in measured.items():
        firsts = [entry["first"] for entry in sizes.values()]
        assert max(firsts) - min(firsts) <= 0.02, f"{name}: the first repeat's accuracy depends on R: {firsts}"
        for size, entry in sizes.items():
            relative = entry["ms"] / sizes[1]["ms"]
            cells = f"{entry['ms']:.2f} | {relative:.2f} | {entry['peak_mib']:.0f} | {entry['placement']}"
            lines.append(f"| {name} | {size} | {cells} |")
    save(f"scaling_{options.device}", {"found": measured}, lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
