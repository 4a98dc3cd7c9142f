"""Make online_retail.parquet from the published file, all its dirt kept.

    python data/make_sample.py online_retail.csv.gz

The input is the UCI file as CSV text in its eight columns. Nothing is cleaned: an empty cell
becomes null, quantities, prices and times get their types, everything else stays text.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

TYPES = {
    "InvoiceNo": pa.string(),
    "StockCode": pa.string(),
    "Description": pa.string(),
    "Quantity": pa.int32(),
    "InvoiceDate": pa.timestamp("s"),
    "UnitPrice": pa.float64(),
    "CustomerID": pa.string(),
    "Country": pa.string(),
}


def make_sample(source: Path, target: Path) -> int:
    """Write `target` from the published `source`; returns the number of lines."""
    options = pa.csv.ConvertOptions(
        column_types=TYPES, strings_can_be_null=True, quoted_strings_can_be_null=True
    )
    table = pa.csv.read_csv(source, convert_options=options)
    pa.parquet.write_table(
        table, target, compression="zstd", compression_level=19, use_dictionary=True
    )
    return table.num_rows


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    here = Path(__file__).parent
    print(make_sample(Path(sys.argv[1]), here / "online_retail.parquet"), "lines")
