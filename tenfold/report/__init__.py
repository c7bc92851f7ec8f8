"""A record becomes one HTML file that opens anywhere, with figures and tables beside it."""

from tenfold.report._write import write_report as write_report

__all__ = ["write_report"]
