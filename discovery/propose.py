"""A configuration proposed for a source, from a sample of its lines."""

from __future__ import annotations

from ..configs.layouts import find_export, load_layouts
from .column_profiles import profile_columns
from .column_proposal import propose_columns
from .format_proposal import propose_currency, propose_formats, propose_horizon
from .layout_proposal import find_by_values, propose_layout
from .proposal import Proposal
from .sampling import read_sample

__all__ = ["propose_config"]


def propose_config(source: str, query: str | None = None) -> Proposal:
    """Read a sample of a source and propose the configuration that reads it.

    Raises `OrdersError` where there are no orders.
    """
    sample = read_sample(source, query)
    columns = profile_columns(sample.cells)
    proposal = Proposal(source, query, sample.names, len(sample.cells), sample.is_whole)
    layout_export = find_export(sample.names)
    if layout_export is not None:
        name, export = layout_export
        export = find_by_values(load_layouts()[name], columns, sample.names) or export
        proposal.layout, proposal.says = name, export.says
        propose_layout(proposal, export, columns)
    else:
        propose_columns(proposal, columns)
    propose_formats(proposal, sample, columns, layout_export[1] if layout_export else None)
    propose_currency(proposal, columns)
    propose_horizon(proposal, columns)
    return proposal
