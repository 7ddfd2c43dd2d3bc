"""The vertical lab: how well a policy sizes requests, over recordings of usage."""
