"""A dashboard as an SVG picture, similar to CloudWatch's console."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from math import ceil, log10
from typing import Final

from .dashboard import Line, Widget
from .metrics import Points

PERIOD = 5  # seconds; the dashboard's own period is longer than the demonstration
_COLUMN, _ROW, _GAP, _NOTE = 50, 40, 5, 46  # pixels
_PLOT_LEFT, _PLOT_TOP, _X_AXIS, _LEGEND_ROW, _LEGEND_LEFT = 44, 34, 18, 15, 10
_CHARACTER = 6.8  # pixels; slightly more than the width of 10 px text
_ALARMS_IN_ROW, _ALARM_HEIGHT = 5, 34
_RED, _GRAY, _PALE, _LINE = "#d62728", "#545b64", "#9aa5b1", "#eaeded"
_STATES: Final = {"OK": "#2ca02c", "ALARM": _RED, "INSUFFICIENT_DATA": _PALE}
_SMALL, _BOLD = "font-size:10px", "font-weight:bold;font-size:12px"
_END, _MIDDLE = "text-anchor:end", "text-anchor:middle"
_NOTES: Final = f"""
A demonstration on a local AWS, in steps of {PERIOD} s instead of 300 s. Invocations and durations: from REPORT lines.
Not to be had there: metrics of the queues, errors and throttles of the function, and alarms that are OK without data.
""".strip().splitlines()

type Data = Mapping[Line, Points]


def draw(widgets: Sequence[Widget], data: Data, states: Mapping[str, str], seconds: float) -> str:
    """Draw `seconds` of `data`, the points of each line. `states` has the state of each alarm by its ARN."""
    width = max(each.x + each.width for each in widgets) * _COLUMN
    height = max(each.y + each.height for each in widgets) * _ROW
    axis = ceil(seconds / (2 * PERIOD)) * 2 * PERIOD
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + _NOTE}">',
            "<style>text{font:11px Helvetica,Arial,sans-serif}</style>",
            f'<rect width="{width}" height="{height + _NOTE}" fill="{_LINE}"/>',
            *(part for widget in widgets for part in _panel(widget, data, states, axis)),
            *(_text(2 * _GAP, height + 16 + 18 * row, note, _GRAY) for row, note in enumerate(_NOTES)),
            "</svg>\n",
        ]
    )


def _panel(widget: Widget, data: Data, states: Mapping[str, str], seconds: int) -> Iterator[str]:
    width, height = widget.width * _COLUMN - 2 * _GAP, widget.height * _ROW - 2 * _GAP
    yield f'<g transform="translate({widget.x * _COLUMN + _GAP} {widget.y * _ROW + _GAP})">'
    yield f'<rect width="{width}" height="{height}" rx="3" fill="#fff" stroke="#d5dbdb"/>'
    yield _text(10, 19, widget.title, style=_BOLD)
    yield from _alarms(widget, states, width) if widget.alarms else _chart(widget, data, width, height, seconds)
    yield "</g>"


def _alarms(widget: Widget, states: Mapping[str, str], width: int) -> Iterator[str]:
    each = (width - 14) / _ALARMS_IN_ROW
    for number, arn in enumerate(widget.alarms):
        row, column = divmod(number, _ALARMS_IN_ROW)
        color, state = _STATES[states[arn]], states[arn].replace("_", " ").lower()
        yield f'<g transform="translate({10 + column * each:.1f} {28 + row * (_ALARM_HEIGHT + 5)})">'
        yield f'<rect width="{each - 6:.1f}" height="{_ALARM_HEIGHT}" fill="{color}" fill-opacity=".1"/>'
        yield f'<rect width="4" height="{_ALARM_HEIGHT}" fill="{color}"/>'
        yield _text(12, 14, arn.rpartition("/")[2])
        yield _text(12, 28, state, color, _SMALL)
        yield "</g>"


def _chart(widget: Widget, data: Data, width: int, height: int, seconds: int) -> Iterator[str]:
    legend = list(_legend(widget, width))
    rows = 1 + max(row for row, _, _ in legend)
    right, bottom = width - _PLOT_LEFT - 12, height - _X_AXIS - rows * _LEGEND_ROW - 8
    highest = _highest(widget, data)
    x_scale, y_scale = right / seconds, (bottom - _PLOT_TOP) / highest
    yield f'<g transform="translate({_PLOT_LEFT} {bottom})">'
    for value in (0.0, highest / 2, highest):
        yield f'<path d="M0 {-value * y_scale:.1f}h{right}" stroke="{_LINE}"/>'
        yield _text(-5, 4 - value * y_scale, _number(value), _GRAY, f"{_SMALL};{_END}")
    for share, anchor in ((0.0, ""), (0.5, _MIDDLE), (1.0, _END)):
        yield _text(share * right, 14, f"{share * seconds:g} s", _GRAY, f"{_SMALL};{anchor}")
    yield from (_bars if widget.is_stacked else _curves)(widget, data, x_scale, y_scale)
    for value, label in widget.limits:
        yield f'<path d="M0 {-value * y_scale:.1f}h{right}" stroke="{_RED}" stroke-dasharray="4 3"/>'
        yield _text(right - 2, -value * y_scale - 3, label, _RED, f"{_SMALL};{_END}")
    if not any(data[line] for line in widget.lines):
        is_ours = widget.lines[0].metric.namespace == "IoTJobCanceler"
        note = "nothing of the kind happened" if is_ours else "no data here: not on a local AWS"
        yield _text(right / 2, (_PLOT_TOP - bottom) / 2 + 4, note, _PALE, _MIDDLE)
    yield "</g>"
    for row, x, line in legend:
        y = bottom + _X_AXIS + row * _LEGEND_ROW + 12
        yield f'<rect x="{x:.1f}" y="{y - 8}" width="8" height="8" fill="{line.color}"/>'
        yield _text(x + 11, y, line.label, style=_SMALL)


def _legend(widget: Widget, width: int) -> Iterator[tuple[int, float, Line]]:
    """Yield row, left edge and line of each entry, with as many entries in a row as fit."""
    row, x = 0, float(_LEGEND_LEFT)
    for line in widget.lines:
        needed = len(line.label) * _CHARACTER + 20
        if x > _LEGEND_LEFT and x + needed > width:
            row, x = row + 1, float(_LEGEND_LEFT)
        yield row, x, line
        x += needed


def _bars(widget: Widget, data: Data, x_scale: float, y_scale: float) -> Iterator[str]:
    height: dict[float, float] = {}
    for line in widget.lines:
        for at, value in data[line]:
            height[at] = height.get(at, 0.0) + value
            position = f'x="{at * x_scale + 0.5:.1f}" y="{-height[at] * y_scale:.1f}"'
            size = f'width="{PERIOD * x_scale - 1:.1f}" height="{value * y_scale:.1f}"'
            yield f'<rect {position} {size} fill="{line.color}"/>'


def _curves(widget: Widget, data: Data, x_scale: float, y_scale: float) -> Iterator[str]:
    """Draw a point for each period, and a line between the points of consecutive periods."""
    for line in widget.lines:
        points = [((at + PERIOD / 2) * x_scale, -value * y_scale, at) for at, value in data[line]]
        for (x, y, at), (next_x, next_y, next_at) in pairwise(points):
            if next_at - at == PERIOD:
                yield f'<path d="M{x:.1f} {y:.1f}L{next_x:.1f} {next_y:.1f}" stroke="{line.color}" stroke-width="1.5"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{line.color}"/>' for x, y, _ in points)


def _highest(widget: Widget, data: Data) -> float:
    """Return the top of the scale: a round number that is not below any value."""
    tops: dict[float, float] = {}
    for line in widget.lines:
        for at, value in data[line]:
            tops[at] = tops.get(at, 0.0) + value if widget.is_stacked else max(tops.get(at, 0.0), value)
    maximum = max([2.0, *tops.values(), *(value for value, _ in widget.limits)])
    magnitude = 10.0 ** int(log10(maximum))
    return next(step * magnitude for step in (1, 2, 4, 6, 8, 10) if step * magnitude >= maximum)


def _number(value: float) -> str:
    thousand = 1000
    return f"{value / thousand:g}k" if value >= thousand else f"{value:g}"


def _text(x: float, y: float, text: str, color: str = "#16191f", style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" style="{style}">{escape(text)}</text>'
