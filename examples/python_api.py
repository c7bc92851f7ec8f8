"""A study from Python: two models of the built-in study, scores, verdict, report."""

import tenfold

study = tenfold.load_study("quickstart").with_models(["Baseline", "Linear Siamese 2"])
results = tenfold.run(study, out="tenfold-runs/python-api")
print(results.table("accuracy"))
print(*results.verdict_sentences(), sep="\n")
print(tenfold.write_report(results.folder))
