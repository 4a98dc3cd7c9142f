"""Order files read by Spark as they are read by one machine; the session; Spark's errors as
sentences.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from ...configs.addresses import is_address
from ...configs.schema import CustomersConfig, FormatConfig, OrdersConfig, SourceConfig
from ...errors import OrdersError, StoreError
from ..reading.file_contents import detect_content
from ..reading.file_search import read_partitions
from ..reading.files import list_files
from ..reading.text_files import read_header

__all__ = [
    "describe_limits",
    "get_session",
    "read_customers",
    "read_files",
    "translate_spark_errors",
]

_SPARKS = r"(file|hdfs|s3a?|gs|abfss?|dbfs|viewfs)://"  # addresses that Spark opens
_JAVA = "Spark needs Java 17 or newer (Debian: openjdk-17-jre-headless)"
_OURS = re.compile(r"clvcast\.[\w.]+\.(\w+Error): (.+?)(?=\n\s*\n|\n\tat |\Z)", re.DOTALL)
_PYTHON = re.compile(r"^\w+(?:\.\w+)*(?:Error|Exception): .+$", re.MULTILINE)
_CAUSE = re.compile(r"Caused by: [\w.$]+: (.+)")


def get_session() -> SparkSession:
    """The running session, or a new one by Spark's own settings (spark-defaults.conf,
    PYSPARK_SUBMIT_ARGS).
    """
    home = os.environ.get("JAVA_HOME")
    if SparkSession.getActiveSession() is None:
        if home and not Path(home, "bin", "java").is_file():
            raise StoreError(f"{_JAVA}, but JAVA_HOME is {home}, which has no bin/java")
        if not home and shutil.which("java") is None:
            raise StoreError(f"{_JAVA}, and there is none: install it, or set JAVA_HOME")
    # workers of one machine are this Python and not whatever `python3` is; clusters set their own
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        running = SparkSession.builder.appName("clvcast").getOrCreate()
    except (PySparkException, Py4JError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(f"Spark does not start: {reason} {_JAVA}") from None
    running.sparkContext.setLogLevel("OFF")  # what users should know is told in a sentence
    return running


def read_files(config: OrdersConfig) -> list[DataFrame]:
    """The files of each source a configuration names, by columns of any of them; cells of CSV stay
    text.

    An address such as s3a://... or hdfs://... goes to Spark as it stands; files end in .parquet or
    .csv. What cannot be read is refused before Spark starts.
    """
    places = [_locate(place) for place in config.all_sources()]
    running = get_session()
    return [_read(running, paths, text) for paths, text in places]


def describe_limits(config: OrdersConfig) -> list[str]:
    """Remarks on what one machine does with these files and Spark does not."""
    if config.duplicates != "drop":
        return []
    return [
        "orders.duplicates: drop: Spark drops lines that repeat another in every column, and does "
        "not compare the orders of files that overlap"
    ]


def read_customers(customers: str | None, config: CustomersConfig | None) -> str | DataFrame | None:
    """Where the attributes of customers are: a table in Spark where only Spark knows the
    address.
    """
    place = customers or (config.source if config else None)
    if config is None or place is None or not re.match(_SPARKS, place):
        return customers
    return _read(get_session(), [place], config.format)


def _locate(place: SourceConfig) -> tuple[list[str], FormatConfig]:
    """The files of a source as Spark takes them, and how their text is written."""
    if re.match(_SPARKS, place.source):
        return [place.source], place.format
    if is_address(place.source):
        raise OrdersError(
            "--engine spark reads files, got the address of a database; load it with "
            "spark.read.jdbc and call clvcast.spark, or use --engine local"
        )
    paths, text = list_files(place), place.format
    for path in paths:
        content = detect_content(path)
        is_gzip = content.packed == "gzip"
        is_read = content.kind in ("parquet", "text") and content.packed != "zip"
        if not is_read or is_gzip != path.name.lower().endswith(".gz") or text.skip_lines:
            raise OrdersError(
                "--engine spark reads .parquet files and text with its header on top, not "
                f"{path.name}; convert it, or use --engine local"
            )
        if content.kind == "text":
            header = read_header(path, content, text)
            text = text.model_copy(update={"delimiter": header.delimiter})
    return [str(path.resolve()) for path in paths], text


def _read(running: SparkSession, paths: list[str], text: FormatConfig) -> DataFrame:
    reader = running.read
    if read_partitions(Path(paths[0])):  # the columns that folders state, as text
        first = re.match(r"(.*?/)[^/=]+=", paths[0])
        reader = reader.option("basePath", first[1] if first else "/")
        running.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", False)
    with translate_spark_errors():
        if not re.search(r"\.(csv|tsv|txt)(\.gz)?/?$", paths[0].lower()):
            return reader.option("mergeSchema", True).parquet(*paths)
        table = reader.csv(
            paths,
            header=True,
            sep=text.delimiter,
            encoding=text.encoding,
            multiLine=True,  # a quoted cell may hold line breaks
            quote='"',
            escape='"',
            enforceSchema=False,  # columns are found by name: a file that has others is refused
            mode="FAILFAST",  # so is a line with more or fewer cells
        )
        return table.toDF(*(name.strip() for name in table.columns))


@contextmanager
def translate_spark_errors() -> Iterator[None]:
    """Turn what Spark raises, pages of Java, into one sentence; what a worker of ours refused is
    ours.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise _parse_error(str(error)) from None


def _parse_error(text: str) -> OrdersError | StoreError:
    ours = _OURS.search(text)
    if ours and ours[1] in ("OrdersError", "StoreError"):
        return (OrdersError if ours[1] == "OrdersError" else StoreError)(ours[2].strip())
    if "MALFORMED_RECORD" in text or "MALFORMED_CSV" in text:
        return OrdersError(
            "a line has another number of cells than the header, and Spark cannot set it aside; "
            "mend the file, or score it on one machine"
        )
    if "CSV header does not conform" in text:
        return OrdersError(
            "the CSV files have different columns, and Spark reads them by one header; "
            "give them the same columns in the same order"
        )
    causes = _PYTHON.findall(text) or _CAUSE.findall(text)
    return StoreError(f"Spark gave up: {(causes[-1] if causes else text).strip().splitlines()[0]}")
