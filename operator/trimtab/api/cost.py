"""spec.cost: what is paid, and for what; and how much of it a month may be."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from trimtab.api.model import ApiModel
from trimtab.api.quantity import Quantity


class PriceSource(StrEnum):
    """Where the prices of nodes and volumes come from."""

    PROMETHEUS = "Prometheus"
    STATIC = "Static"


class ModelPrice(ApiModel):
    """What the tokens of one model cost."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][-A-Za-z0-9._:/@]*$")]
    """The model as the label gen_ai_request_model has it."""
    input_per_million: Quantity
    """Price of a million input tokens."""
    output_per_million: Quantity
    """Price of a million output tokens."""


class ApiPrices(ApiModel):
    """Prices of LLM APIs; usage is gen_ai_client_token_usage of the workload's pods."""

    models: Annotated[list[ModelPrice], Field(max_length=16)] = []
    """Prices by model."""


class Cost(ApiModel):
    """What the workload costs."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", max_length=3)] = "USD"
    """Currency of budget and API prices, an ISO 4217 code; the administrator's prices must be in the same."""
    prices: PriceSource = PriceSource.PROMETHEUS
    """Prometheus: OpenCost's node_cpu_hourly_cost and its kin, the administrator's static prices where they are
    missing. Static: always the static prices."""
    monthly_budget: Quantity | None = None
    """An alert fires when a month at the mean cost of the last day would pass this."""
    api: ApiPrices = ApiPrices()
    """Prices of LLM APIs."""
