"""Columns of the kernel's tables (`HistoryTables` in histories.py), by name.

Compiled code holds these numbers, and its cache looks at its own file alone: after a change here,
save histories.py, order_features.py and line_features.py again.
"""

# of `stretches`: where a stretch begins in each of the other tables, and how much of it is its own
FIRST_LINE, FIRST_TOTAL, FIRST_ORDER, N_ORDERS, FIRST_RETURN, FIRST_ROW, N_ROWS = range(7)
# of `totals`: sums over the lines before a line
NET, GROSS, PURCHASES, ORDERS, RETURNS = range(5)
# of `orders` and `returns`; returns have no number of lines
TIME, VALUE, LINE, N_LINES = range(4)
# of `whole`
ORDER_COUNT, SILENCE_DAYS, TENURE_DAYS, CUTOFF, CUSTOMER = range(5)
