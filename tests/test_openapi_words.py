"""The description of the REST server says what the server answers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from conftest import missing

import clvcast

try:
    from clvcast.serve.rest.app import build_document
    from clvcast.serve.rest.handlers import answer_json
    from clvcast.serve.rest.request_limits import Limits
except ModuleNotFoundError:
    missing("the serve extra")

LINE = {"amount": 3.5, "order_id": "o", "product_id": None, "category": "k", "channel": None}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(build_document())
    return content


def test_no_instant_is_called_a_date_time(document: dict[str, Any]) -> None:
    assert "date-time" not in json.dumps(document)  # it has an offset, and ours have none


def test_every_answer_fits_its_description(
    document: dict[str, Any], shop_model: clvcast.Model
) -> None:
    fields = document["components"]["schemas"]["ForecastRow"]["properties"]
    orders = [LINE | {"ordered_at": "2020-05-06", "quantity": 1}]
    nulls = set()
    for cutoff in ("2020-05-07", "2021-05-07T01:02:03"):  # a recent order, and one long ago
        customers = [{"customer_id": "c", "orders": orders}]
        body = json.dumps({"cutoff": cutoff, "customers": customers}).encode()
        (row,) = json.loads(answer_json(shop_model, body, Limits()).body)["forecasts"]
        assert row.keys() == fields.keys()
        for name, value in row.items():
            kinds = fields[name].get("anyOf", [fields[name]])
            if value is None:
                nulls.add(name)
                assert {"type": "null"} in kinds, name
            for kind in kinds:
                if isinstance(value, str) and "pattern" in kind:
                    assert re.fullmatch(kind["pattern"], value), (name, value)
    assert {"next_order_from", "next_order_until", "expected_next_order_at"} <= nulls


def test_the_cutoff_of_a_table_is_that_of_a_body(document: dict[str, Any]) -> None:
    (parameter,) = document["paths"]["/v1/forecasts"]["post"]["parameters"]
    body = document["components"]["schemas"]["ForecastRequest"]["properties"]["cutoff"]
    assert parameter["schema"]["pattern"] == body["pattern"]
