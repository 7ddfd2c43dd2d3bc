"""PromQL of what LLM tokens cost: OpenTelemetry's gen_ai.client.token.usage, as Prometheus has it, times a price."""

from trimtab.api.cost import Cost

TOKENS = "gen_ai_client_token_usage_sum"
MODEL, SIDE = "gen_ai_request_model", "gen_ai_token_type"
PRICED, UNPRICED = "api cost", "api unpriced"


def token_queries(cost: Cost) -> dict[str, str]:
    """PRICED: currency a second; UNPRICED: tokens a second of models without a price. Empty without prices."""
    if not cost.api.models:
        return {}
    parts = [
        f'rate({TOKENS}{{{MODEL}="{model.name}",{SIDE}="{side}"}}[5m]) * {float(price) / 1e6:.12g}'
        for model in cost.api.models
        for side, price in (("input", model.input_per_million), ("output", model.output_per_million))
    ]
    names = "|".join(model.name.replace(".", "[.]") for model in cost.api.models)
    return {
        PRICED: f"sum({' or '.join(parts)})",
        UNPRICED: f'sum(rate({TOKENS}{{{MODEL}!~"{names}"}}[5m]))',
    }
