"""Charts as inline SVG: lines, bars with intervals, heat map, scatter, and a number line.

Each function takes data and words and gives one picture; nothing here knows of runs. ``name`` must be unique in a
page. The pictures get their colours from the style sheet of :func:`earmark.report.page.render`.
"""

from earmark.report.bars import bar_chart, interval_chart, number_line, share_bar
from earmark.report.heat import SWITCH_INK, heat_map
from earmark.report.lines import line_chart, scatter
from earmark.report.shapes import PERCENT, Axis, Band, Bar, BarRow, Line, Mark, Point, Rule, Whisker
from earmark.report.svg import Markup, percent, plain, signed_points

__all__ = [
    "PERCENT",
    "SWITCH_INK",
    "Axis",
    "Band",
    "Bar",
    "BarRow",
    "Line",
    "Mark",
    "Markup",
    "Point",
    "Rule",
    "Whisker",
    "bar_chart",
    "heat_map",
    "interval_chart",
    "line_chart",
    "number_line",
    "percent",
    "plain",
    "scatter",
    "share_bar",
    "signed_points",
]
