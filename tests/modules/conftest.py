"""The files of the corpus are read by its tests, which have this folder on their path; they hold no tests."""

collect_ignore_glob = ["corpus*.py"]
