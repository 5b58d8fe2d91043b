#!/usr/bin/env python3
"""Draws text of a terminal as an SVG picture: `terminal-svg.py < run.log > docs/images/demo.svg`.

Reads standard input (UTF-8, with or without SGR escape sequences) and writes standard output. Only the standard library is
needed. Options: --title TEXT, --first N and --last N (lines to draw, from 1), --columns N (longer lines are cut).
"""

import argparse
import re
import sys
from html import escape

FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
SIZE, ADVANCE, LINE = 13, 7.83, 18  # font size, width of a cell, height of a line, in pixels
LEFT, TOP, BOTTOM = 18, 46, 16
COLOURS = {30: "#6e7681", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea", 37: "#e6edf3"}
PLAIN, FAINT = "#c9d1d9", "#8b949e"
SGR = re.compile(r"\x1b\[([0-9;]*)m")
OTHER = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]|[\x00-\x08\x0b-\x1a\x1c-\x1f]")


def pieces(line):
    """Yields (text, colour, bold) of one line."""
    colour, bold, at = None, False, 0
    for match in list(SGR.finditer(line)) + [None]:
        text = line[at : match.start() if match else len(line)]
        if text:
            yield text, colour, bold
        if match is None:
            return
        at = match.end()
        for code in (int(code or 0) for code in match.group(1).split(";")):
            if code == 0:
                colour, bold = None, False
            elif code == 1:
                bold = True
            elif code == 2:
                colour = FAINT
            elif code == 22:
                bold = False
            elif code == 39:
                colour = None
            elif code % 60 in COLOURS:
                colour = COLOURS[code % 60]


def coloured(line):
    """The colours of a line that was written without any: marks of success and failure, and headings of steps."""
    if "\x1b[" in line:
        return line
    if re.match(r"(\d+\.|[$#]) \S", line):
        return f"\x1b[1;37m{line}\x1b[0m"
    return line.replace("✓", "\x1b[32m✓\x1b[0m").replace("✗", "\x1b[31m✗\x1b[0m")


def cut(parts, columns):
    """At most so many characters."""
    for text, colour, bold in parts:
        if columns <= 0:
            return
        yield text[:columns], colour, bold
        columns -= len(text)


def draw(lines, title, columns):
    width = round(2 * LEFT + columns * ADVANCE)
    height = TOP + LINE * len(lines) + BOTTOM
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title)}" font-family="{FONT}" font-size="{SIZE}">'
    )
    yield f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>'
    for place, colour in enumerate(["#ff5f57", "#febc2e", "#28c840"]):
        yield f'<circle cx="{LEFT + 6 + 20 * place}" cy="18" r="6" fill="{colour}"/>'
    yield f'<text x="{width / 2:g}" y="22" fill="{FAINT}" text-anchor="middle">{escape(title)}</text>'
    for number, line in enumerate(lines):
        column = 0
        for text, colour, bold in cut(pieces(line), columns):
            if text.strip():
                weight = ' font-weight="bold"' if bold else ""
                # A fixed length keeps columns in place whatever font the reader has.
                yield (
                    f'<text xml:space="preserve" x="{LEFT + column * ADVANCE:.2f}" y="{TOP + LINE * number + SIZE}" '
                    f'textLength="{len(text) * ADVANCE:.2f}" lengthAdjust="spacingAndGlyphs" '
                    f'fill="{colour or PLAIN}"{weight}>{escape(text)}</text>'
                )
            column += len(text)
    yield "</svg>"


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--title", default="make demo")
    options.add_argument("--first", type=int, default=1)
    options.add_argument("--last", type=int, default=10_000)
    options.add_argument("--columns", type=int, default=120)
    chosen = options.parse_args()
    lines = [OTHER.sub("", line.expandtabs()) for line in sys.stdin.read().splitlines()][chosen.first - 1 : chosen.last]
    longest = max((len(SGR.sub("", line)) for line in lines), default=1)
    sys.stdout.write("\n".join(draw([coloured(line) for line in lines], chosen.title, min(longest, chosen.columns))) + "\n")


if __name__ == "__main__":
    main()
