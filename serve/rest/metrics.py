"""Prometheus metrics: requests, latency, in flight, customers, errors, the model's version."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

_BOUNDS = (
    *(0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)


class Metrics:
    """The counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "clvcast_requests", "Requests answered.", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "clvcast_request_seconds",
            "Time to answer.",
            ("route",),
            registry=self.registry,
            buckets=_BOUNDS,
        )
        self.in_flight = Gauge(
            "clvcast_requests_in_flight", "Requests in progress.", registry=self.registry
        )
        self.customers = Counter("clvcast_customers", "Customers forecast.", registry=self.registry)
        self.refused = Counter(
            "clvcast_refused", "Requests answered with an error.", ("code",), registry=self.registry
        )
        self.model = Gauge(
            "clvcast_model_info", "1 for the model in use.", ("version",), registry=self.registry
        )

    def set_model(self, version: str) -> None:
        """Record the model in use."""
        self.model.clear()
        self.model.labels(version).set(1)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
