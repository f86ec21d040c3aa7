"""Pages for people: one self-contained HTML file, plots as inline SVG, nothing loaded from anywhere.

:mod:`earmark.report.charts` has the pictures, :mod:`earmark.report.page` the frame; both know nothing of runs.
"""

from earmark.report.compare_page import compare_html, verdict, write_comparison
from earmark.report.page import render, write_page
from earmark.report.run_page import report_html, write_report

__all__ = ["compare_html", "render", "report_html", "verdict", "write_comparison", "write_page", "write_report"]
