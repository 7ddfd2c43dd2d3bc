"""The peers: other autoscalers, re-implemented from documented behaviour, each with a conformance table in tests."""
