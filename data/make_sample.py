"""Make online_retail.parquet from the two published editions, all their dirt kept.

    python data/make_sample.py ONLINE_RETAIL_II ONLINE_RETAIL

The data come from the UCI Machine Learning Repository (see SOURCE.md). ONLINE_RETAIL_II is the
sheet "Year 2009-2010" of Online Retail II, ONLINE_RETAIL is Online Retail: each a CSV (.csv,
.csv.gz) or Parquet file with the published columns. Both hold 2010-12-01 to 2010-12-09; these nine
days are taken from the second file. Nothing is cleaned: an empty cell becomes null, quantities,
prices and times get their types, everything else stays text. Descriptions are left out.
"""

import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

# the name in Online Retail, the name in Online Retail II, the type written
COLUMNS = (
    ("InvoiceNo", "Invoice", pa.string()),
    ("StockCode", "StockCode", pa.string()),
    ("Quantity", "Quantity", pa.int32()),
    ("InvoiceDate", "InvoiceDate", pa.timestamp("s")),
    ("UnitPrice", "Price", pa.float64()),
    ("CustomerID", "Customer ID", pa.string()),
    ("Country", "Country", pa.string()),
)
SECOND_FILE_STARTS = datetime(2010, 12, 1)


def read_edition(source: Path) -> pa.Table:
    """The published lines of one file, in their order, under the names of the first edition."""
    if source.suffix == ".parquet":
        table = pa.parquet.read_table(source)
    else:
        types = {name: kind for first, second, kind in COLUMNS for name in (first, second)}
        options = pa.csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=True
        )
        table = pa.csv.read_csv(source, convert_options=options)
    present = [(first if first in table.column_names else second) for first, second, _ in COLUMNS]
    schema = pa.schema([(first, kind) for first, _, kind in COLUMNS])
    return table.select(present).rename_columns(schema.names).cast(schema)


def make_sample(earlier: Path, later: Path, target: Path) -> int:
    """Write `target` from the two published files; returns the number of lines."""
    first = read_edition(earlier)
    first = first.filter(pc.less(first["InvoiceDate"], pa.scalar(SECOND_FILE_STARTS)))
    table = pa.concat_tables([first, read_edition(later)])
    pa.parquet.write_table(
        table.combine_chunks(),
        target,
        compression="zstd",
        compression_level=19,
    )
    return table.num_rows


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    here = Path(__file__).parent
    print(f"{make_sample(Path(sys.argv[1]), Path(sys.argv[2]), here / 'online_retail.parquet'):,}")
