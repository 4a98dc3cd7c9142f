"""The kernel: one sweep over each customer's lines emits its features at every cutoff.

For one customer, lines are first gathered into orders and returns. Then each group of the catalogue
is one function: it walks the orders (or lines) once and, whenever the walk reaches a cutoff, writes
the group's columns for it. Money enters as integers of the smallest unit and leaves in currency.

Compiled code is cached by the time stamp of this file alone, so a function here calls no compiled
function of another module; time is already sliced: `reach` holds positions from windows.py.
"""

import math

import numba
import numpy as np

__all__ = ["GROUP_ORDER", "N_WHOLE", "sweep"]

N_WHOLE = 5  # n_orders, whole days since the last order and of tenure, cutoff, customer
_DAY = 86_400_000_000  # microseconds
_MANY_LINES = 128
_SPREAD = 2_654_435_761  # spreads neighbouring codes over a table (Knuth's multiplicative hashing)
_LEAST_TENURE = 28.0  # days; a rate over a shorter time says more about the time than the customer
# The groups as the kernel numbers them. They stand here, not in the catalogue, for they are frozen into the
# compiled code, whose cache looks at this file alone.
GROUP_ORDER = (
    "recency", "money", "returns", "rhythm", "trailing", "trend", "calendar", "season", "basket",
    "products", "categories", "channels", "quantity", "discount", "cost",
)  # fmt: skip
_RECENCY, _MONEY, _RETURNS, _RHYTHM, _TRAILING, _TREND, _CALENDAR, _SEASON, _BASKET = range(9)
_PRODUCTS, _CATEGORIES, _CHANNELS, _QUANTITY, _DISCOUNT, _COST = range(9, 15)
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def sweep(
    starts, times, amounts, order_codes, products, categories, channels,
    quantities, discounts, costs, most_labels, unit, reach, slots, cutoffs, columns, out, whole,
):  # fmt: skip
    """Write a row per customer and cutoff with an order before it, customer by customer.

    `starts` (n_customers + 1) delimits the lines of each customer; optional line columns are empty
    where unknown; `most_labels` is how many labels a product, category or channel column has at most; `reach`
    (n_customers x n_instants) holds line positions; `slots[cutoff]` the columns of `reach` for the
    cutoff itself and for each trailing window's start; `columns` each group's first column, -1 off.
    Fills `out` (float32, n_rows x n_features) and `whole` (int32, n_rows x 5: n_orders, whole days
    since the last order, whole days of tenure, cutoff, customer); returns how many rows.
    """
    most = 1
    for customer in range(len(starts) - 1):
        most = max(most, starts[customer + 1] - starts[customer])
    group_of = np.empty(most, dtype=np.int64)  # line -> its order or return
    first_line = np.empty(most, dtype=np.int64)
    last_line = np.empty(most, dtype=np.int64)
    net = np.empty(most, dtype=np.int64)
    capacity = 1  # of a table order code -> its group, for long histories
    while most > _MANY_LINES and capacity < 2 * most:
        capacity *= 2
    slot = np.empty((capacity, 2), dtype=np.int64)
    counts = np.zeros(max(most_labels, 1), dtype=np.int64)
    orders = np.empty((most, 4), dtype=np.int64)  # time, net amount, first line, lines
    returns = np.empty((most, 3), dtype=np.int64)  # time, amount, first line
    position = np.empty(most, dtype=np.int64)  # group -> its place among the orders, else -1
    rows = 0
    for customer in range(len(starts) - 1):
        first = starts[customer]
        line_ends = reach[customer]
        n_groups = _gather(
            first, starts[customer + 1], times, amounts, order_codes,
            group_of, first_line, last_line, net, slot,
        )  # fmt: skip
        cut_in_two = _cuts_an_order(n_groups, first_line, last_line, line_ends, slots)
        low = 0
        while low < len(cutoffs):
            high = low + 1 if cut_in_two else len(cutoffs)
            last = line_ends[slots[high - 1, 0]]
            if cut_in_two:  # one cutoff at a time, with the orders as they were known then
                n_groups = _gather(
                    first, last, times, amounts, order_codes,
                    group_of, first_line, last_line, net, slot,
                )  # fmt: skip
            n_orders, n_returns = _orders_and_returns(
                n_groups, first, last, times, first_line, net, group_of, position, orders, returns
            )
            while low < high and (n_orders == 0 or orders[0, 2] >= line_ends[slots[low, 0]]):
                low += 1  # no order yet
            if low < high:
                after = rows + high - low
                for j in range(low, high):
                    whole[rows + j - low, 3] = j
                    whole[rows + j - low, 4] = customer
                _emit(
                    first, last, times, amounts, products, categories, channels, quantities,
                    discounts, costs, unit, line_ends, slots[low:high], cutoffs[low:high], columns,
                    orders[:n_orders], returns[:n_returns], counts,
                    out[rows:after], whole[rows:after],
                )  # fmt: skip
                rows = after
            low = high
    return rows


@_compiled
def _gather(
    first, last, times, amounts, order_codes, group_of, first_line, last_line, net, slot
):  # fmt: skip
    """Number the orders and returns among lines `first:last` by their first line; returns how many.

    A group is the lines of one order_id; without an id, the lines of one instant. Where a line is not
    of the group before, a short history is searched; a long one is looked up in `slot`, an open table.
    """
    is_long = last - first > _MANY_LINES
    mask = 1
    if is_long:
        while mask < 2 * (last - first):
            mask *= 2
        mask -= 1
        for place in range(mask + 1):
            slot[place, 0] = -1
    place = 0
    n_groups = 0
    unnamed = -1  # the group of lines without an order_id at the newest instant
    for line in range(first, last):
        code = order_codes[line] if len(order_codes) else -1
        if code >= 0:
            if line > first and order_codes[line - 1] == code:
                group = group_of[line - 1 - first]
            elif is_long:
                place = (code * _SPREAD >> 16) & mask
                while slot[place, 0] >= 0 and slot[place, 0] != code:
                    place = (place + 1) & mask
                group = slot[place, 1] if slot[place, 0] == code else -1
            else:
                group = n_groups - 1
                while group >= 0 and order_codes[first_line[group]] != code:
                    group -= 1
        else:
            group = unnamed if unnamed >= 0 and times[first_line[unnamed]] == times[line] else -1
        if group < 0:
            group = n_groups
            n_groups += 1
            first_line[group] = line
            net[group] = 0
            if code < 0:
                unnamed = group
            elif is_long:
                slot[place, 0], slot[place, 1] = code, group
        group_of[line - first] = group
        last_line[group] = line
        net[group] += amounts[line]
    return n_groups


@_compiled
def _cuts_an_order(n_groups, first_line, last_line, line_ends, slots):
    """Whether any order or return has lines on both sides of a cutoff."""
    for j in range(len(slots)):
        end = line_ends[slots[j, 0]]
        for group in range(n_groups):
            if first_line[group] >= end:
                break
            if last_line[group] >= end:
                return True
    return False


@_compiled
def _orders_and_returns(
    n_groups, first, last, times, first_line, net, group_of, position, orders, returns
):  # fmt: skip
    """Split the groups by the sign of their net amount; both come out in the order of first lines."""
    n_orders = n_returns = 0
    for group in range(n_groups):
        position[group] = -1
        if first_line[group] >= last:
            break
        if net[group] > 0:
            position[group] = n_orders
            orders[n_orders, 0] = times[first_line[group]]
            orders[n_orders, 1] = net[group]
            orders[n_orders, 2] = first_line[group]
            orders[n_orders, 3] = 0
            n_orders += 1
        else:
            returns[n_returns, 0] = times[first_line[group]]
            returns[n_returns, 1] = -net[group]
            returns[n_returns, 2] = first_line[group]
            n_returns += 1
    for line in range(first, last):
        if position[group_of[line - first]] >= 0:
            orders[position[group_of[line - first]], 3] += 1
    return n_orders, n_returns


@_compiled
def _emit(
    first, last, times, amounts, products, categories, channels, quantities, discounts, costs, unit,
    line_ends, slots, cutoffs, columns, orders, returns, counts, out, whole,
):  # fmt: skip
    """Write every group at the given cutoffs, which cut no order in two."""
    _recency(orders, cutoffs, line_ends, slots, out, columns[_RECENCY], whole)
    _money(first, amounts, orders, cutoffs, unit, line_ends, slots, out, columns[_MONEY])
    _returns(first, amounts, returns, cutoffs, unit, line_ends, slots, out, columns[_RETURNS])
    _rhythm(orders, cutoffs, line_ends, slots, out, columns[_RHYTHM])
    _trailing(
        amounts, orders, returns, unit, line_ends, slots, out, columns[_TRAILING], columns[_TREND]
    )
    _calendar(orders, line_ends, slots, out, columns[_CALENDAR])
    _season(cutoffs, out, columns[_SEASON])
    _basket(first, amounts, orders, line_ends, slots, out, columns[_BASKET])
    if columns[_PRODUCTS] >= 0:
        _variety(first, amounts, products, counts, line_ends, slots, out, columns[_PRODUCTS])
    if columns[_CATEGORIES] >= 0:
        _variety(first, amounts, categories, counts, line_ends, slots, out, columns[_CATEGORIES])
    if columns[_CHANNELS] >= 0:
        _variety(first, amounts, channels, counts, line_ends, slots, out, columns[_CHANNELS])
    if columns[_QUANTITY] >= 0:
        _quantity(
            first, amounts, quantities, orders, unit, line_ends, slots, out, columns[_QUANTITY]
        )
    if columns[_DISCOUNT] >= 0:
        _discount(first, amounts, discounts, unit, line_ends, slots, out, columns[_DISCOUNT])
    if columns[_COST] >= 0:
        _cost(first, amounts, costs, unit, line_ends, slots, out, columns[_COST])


@_compiled
def _recency(orders, cutoffs, line_ends, slots, out, column, whole):
    k = n_order_days = 0
    last_day = -1
    for j in range(len(cutoffs)):
        while k < len(orders) and orders[k, 2] < line_ends[slots[j, 0]]:
            day = orders[k, 0] // _DAY
            n_order_days += day != last_day
            last_day = day
            k += 1
        whole[j, 0] = k
        if k == 0:
            continue
        silence = cutoffs[j] - orders[k - 1, 0]
        tenure = cutoffs[j] - orders[0, 0]
        whole[j, 1] = silence // _DAY
        whole[j, 2] = tenure // _DAY
        out[j, column] = silence / _DAY
        out[j, column + 1] = tenure / _DAY
        out[j, column + 2] = k
        out[j, column + 3] = n_order_days
        out[j, column + 4] = (tenure - silence) / _DAY
        out[j, column + 5] = k / max(tenure / _DAY, _LEAST_TENURE) * 365.0


@_compiled
def _money(first, amounts, orders, cutoffs, unit, line_ends, slots, out, column):
    line = first
    k = spend = gross = value = largest = smallest = 0
    mean = squares = 0.0  # Welford's running mean and sum of squared deviations
    for j in range(len(cutoffs)):
        while line < line_ends[slots[j, 0]]:
            spend += amounts[line]
            gross += max(amounts[line], 0)
            line += 1
        while k < len(orders) and orders[k, 2] < line_ends[slots[j, 0]]:
            order_value = orders[k, 1]
            value += order_value
            largest = max(largest, order_value)
            smallest = order_value if k == 0 else min(smallest, order_value)
            k += 1
            step = order_value - mean
            mean += step / k
            squares += step * (order_value - mean)
        if k == 0:
            continue
        tenure = max((cutoffs[j] - orders[0, 0]) / _DAY, _LEAST_TENURE)
        out[j, column] = spend / unit
        out[j, column + 1] = gross / unit
        out[j, column + 2] = spend / unit / tenure * 365.0
        out[j, column + 3] = value / k / unit
        out[j, column + 4] = orders[0, 1] / unit
        out[j, column + 5] = orders[k - 1, 1] / unit
        out[j, column + 6] = largest / unit
        out[j, column + 7] = smallest / unit
        out[j, column + 8] = math.sqrt(squares / k) / unit if k > 1 else np.nan
        out[j, column + 9] = orders[k - 1, 1] / (value / k)
        out[j, column + 10] = largest / value


@_compiled
def _returns(first, amounts, returns, cutoffs, unit, line_ends, slots, out, column):
    line = first
    k = returned = gross = 0
    for j in range(len(cutoffs)):
        while line < line_ends[slots[j, 0]]:
            gross += max(amounts[line], 0)
            line += 1
        while k < len(returns) and returns[k, 2] < line_ends[slots[j, 0]]:
            returned += returns[k, 1]
            k += 1
        out[j, column] = k
        out[j, column + 1] = returned / unit
        out[j, column + 2] = returned / gross if gross > 0 else np.nan
        out[j, column + 3] = (cutoffs[j] - returns[k - 1, 0]) / _DAY if k > 0 else np.nan


@_compiled
def _rhythm(orders, cutoffs, line_ends, slots, out, column):
    k = 0
    gap = longest = shortest = mean = squares = 0.0  # days; mean and squares as in _money
    for j in range(len(cutoffs)):
        while k < len(orders) and orders[k, 2] < line_ends[slots[j, 0]]:
            if k > 0:
                gap = (orders[k, 0] - orders[k - 1, 0]) / _DAY
                longest = max(longest, gap)
                shortest = gap if k == 1 else min(shortest, gap)
                step = gap - mean
                mean += step / k
                squares += step * (gap - mean)
            k += 1
        if k < 2:
            out[j, column : column + 7] = np.nan
            continue
        out[j, column] = mean
        out[j, column + 1] = math.sqrt(squares / (k - 1)) if k > 2 else np.nan
        out[j, column + 2] = gap
        out[j, column + 3] = longest
        out[j, column + 4] = shortest
        out[j, column + 5] = gap / max(mean, 1.0)
        out[j, column + 6] = (cutoffs[j] - orders[k - 1, 0]) / _DAY / max(mean, 1.0)


@_compiled
def _trailing(amounts, orders, returns, unit, line_ends, slots, out, column, trend):
    """Both `trailing` and `trend`: sums backwards from each cutoff, window by window."""
    n_windows = slots.shape[1] - 1
    counts = np.empty(n_windows)
    spends = np.empty(n_windows)
    for j in range(len(slots)):
        line = line_ends[slots[j, 0]]
        k, r = len(orders), len(returns)
        while k > 0 and orders[k - 1, 2] >= line:
            k -= 1
        while r > 0 and returns[r - 1, 2] >= line:
            r -= 1
        n_orders = spend = returned = 0
        for window in range(n_windows):
            begin = line_ends[slots[j, window + 1]]
            while line > begin:
                line -= 1
                spend += amounts[line]
            while k > 0 and orders[k - 1, 2] >= begin:
                k -= 1
                n_orders += 1
            while r > 0 and returns[r - 1, 2] >= begin:
                r -= 1
                returned += returns[r, 1]
            counts[window] = n_orders
            spends[window] = spend / unit
            out[j, column + 3 * window] = n_orders
            out[j, column + 3 * window + 1] = spend / unit
            out[j, column + 3 * window + 2] = returned / unit
        # windows are 30, 60, 90, 180, 365 days
        out[j, trend] = 2 * counts[0] - counts[1]
        out[j, trend + 1] = 2 * counts[2] - counts[3]
        out[j, trend + 2] = 2 * spends[0] - spends[1]
        out[j, trend + 3] = 2 * spends[2] - spends[3]
        out[j, trend + 4] = counts[2] / counts[4] if counts[4] > 0 else np.nan
        out[j, trend + 5] = spends[2] / spends[4] if spends[4] > 0 else np.nan


@_compiled
def _month(time):
    """The month, 1 to 12: days counted in years that begin in March (Hinnant's civil_from_days)."""
    days = time // _DAY + 719_468
    day_of_era = days % 146_097
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153 + 3
    return month if month <= 12 else month - 12


@_compiled
def _weekday(time):
    return (time // _DAY + 3) % 7  # Monday 0; 1970-01-01 was a Thursday


@_compiled
def _calendar(orders, line_ends, slots, out, column):
    k = weekend = evening = year_end = 0
    for j in range(len(slots)):
        while k < len(orders) and orders[k, 2] < line_ends[slots[j, 0]]:
            time = orders[k, 0]
            weekend += _weekday(time) >= 5
            evening += time % _DAY >= 18 * _DAY // 24
            year_end += _month(time) >= 11
            k += 1
        if k == 0:
            continue
        out[j, column] = weekend / k
        out[j, column + 1] = evening / k
        out[j, column + 2] = year_end / k
        out[j, column + 3] = _month(orders[0, 0])
        out[j, column + 4] = _month(orders[k - 1, 0])
        out[j, column + 5] = _weekday(orders[k - 1, 0])


@_compiled
def _season(cutoffs, out, column):
    for j in range(len(cutoffs)):
        angle = 2.0 * math.pi * (cutoffs[j] / _DAY / 365.2425 % 1.0)
        out[j, column] = math.sin(angle)
        out[j, column + 1] = math.cos(angle)


@_compiled
def _basket(first, amounts, orders, line_ends, slots, out, column):
    line = first
    k = purchases = 0
    for j in range(len(slots)):
        while line < line_ends[slots[j, 0]]:
            purchases += amounts[line] > 0
            line += 1
        while k < len(orders) and orders[k, 2] < line_ends[slots[j, 0]]:
            k += 1
        if k == 0:
            continue
        out[j, column] = purchases / k
        out[j, column + 1] = orders[0, 3]
        out[j, column + 2] = orders[k - 1, 3]


@_compiled
def _variety(first, amounts, codes, counts, line_ends, slots, out, column):
    """Different labels among purchase lines, the share of the commonest, lines per label."""
    line = first
    known = different = commonest = 0
    for j in range(len(slots)):
        while line < line_ends[slots[j, 0]]:
            if amounts[line] > 0 and codes[line] >= 0:
                label = codes[line]
                known += 1
                different += counts[label] == 0
                counts[label] += 1
                commonest = max(commonest, counts[label])
            line += 1
        out[j, column] = different
        out[j, column + 1] = commonest / known if known > 0 else np.nan
        out[j, column + 2] = known / different if known > 0 else np.nan
    for used in range(first, line):
        if codes[used] >= 0:
            counts[codes[used]] = 0


@_compiled
def _quantity(first, amounts, quantities, orders, unit, line_ends, slots, out, column):
    line = first
    k = gross = 0
    units = 0.0
    for j in range(len(slots)):
        while line < line_ends[slots[j, 0]]:
            if amounts[line] > 0 and not math.isnan(quantities[line]):
                units += quantities[line]
                gross += amounts[line]
            line += 1
        while k < len(orders) and orders[k, 2] < line_ends[slots[j, 0]]:
            k += 1
        out[j, column] = units
        out[j, column + 1] = units / k if k > 0 else np.nan
        out[j, column + 2] = gross / unit / units if units > 0 else np.nan


@_compiled
def _discount(first, amounts, discounts, unit, line_ends, slots, out, column):
    line = first
    gross = purchases = discounted = 0
    given = 0.0
    for j in range(len(slots)):
        while line < line_ends[slots[j, 0]]:
            if amounts[line] > 0:
                purchases += 1
                gross += amounts[line]
                if discounts[line] > 0:  # False where missing
                    given += discounts[line]
                    discounted += 1
            line += 1
        out[j, column] = given / (gross / unit + given) if gross > 0 else np.nan
        out[j, column + 1] = discounted / purchases if purchases > 0 else np.nan


@_compiled
def _cost(first, amounts, costs, unit, line_ends, slots, out, column):
    line = first
    gross = 0
    cost = 0.0
    for j in range(len(slots)):
        while line < line_ends[slots[j, 0]]:
            if amounts[line] > 0 and not math.isnan(costs[line]):
                gross += amounts[line]
                cost += costs[line]
            line += 1
        out[j, column] = (gross / unit - cost) / (gross / unit) if gross > 0 else np.nan
