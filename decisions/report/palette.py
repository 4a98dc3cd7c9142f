"""The colours: one accent, told apart by the colour-blind, each with its pair on dark paper.

Figures are made in the light colours; the page's script exchanges them, one for one, on dark paper.
Text has a contrast of 4.5 or more to its paper in both.
"""

from __future__ import annotations

__all__ = ["ACCENT", "FAINT", "GREY", "INK", "MUTED", "PAIRS", "PAPER", "RULE", "SOFT", "STRONG"]

PAPER, INK, MUTED = "#fffefb", "#1b1b1d", "#5a5d63"
RULE, FAINT, GREY = "#dfdcd4", "#eeece6", "#a3a7ae"
ACCENT, SOFT, STRONG = "#1f5fbf", "#9dbde8", "#b4540a"  # blue, light blue, the one warm one
# role -> light, dark
PAIRS = {
    "paper": (PAPER, "#16181b"),
    "ink": (INK, "#ecebe7"),
    "muted": (MUTED, "#a8acb3"),
    "rule": (RULE, "#383c42"),
    "faint": (FAINT, "#22262b"),
    "grey": (GREY, "#737982"),
    "accent": (ACCENT, "#7aaef5"),
    "soft": (SOFT, "#3a5f93"),
    "strong": (STRONG, "#f0a35e"),
}
