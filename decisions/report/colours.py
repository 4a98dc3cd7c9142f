"""The colours of the report, in light and dark."""

__all__ = [
    "ACCENT", "FAINT", "GREY", "INK", "MUTED", "PAIRS", "PAPER", "RULE", "SOFT", "STRONG",
]  # fmt: skip # one line of names

# Safe for colour-blind readers; figures use the light colours, which the page's script replaces in
# dark mode. Text has a contrast of at least 4.5 to its background in both.
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
