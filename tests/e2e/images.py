"""Images of the project in a bed, built and imported once a test run: the code does not change meanwhile."""

from functools import cache

from testbed import recipes
from testbed.bed import Bed


@cache
def load_recipe(bed: Bed, name: str) -> None:
    """As `testbed.recipes.load_recipe`, the first time."""
    recipes.load_recipe(bed, name)
