"""Pages for people: one self-contained HTML file, plots as inline SVG, nothing loaded from anywhere.

:mod:`earmark.report.charts` has the pictures, :mod:`earmark.report.page` the frame; both know nothing of runs.
"""

from earmark.report.page import render, write_page
from earmark.report.run_page import report_html, write_report

__all__ = ["render", "report_html", "write_page", "write_report"]
