import numpy as np
import pytest

from generation import FloatArray, Model, Work
from settings import ModelSize

SMALL = ModelSize(width=32, layers=2, heads=4, vocabulary=64, context_tokens=8, output_tokens=3)
SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32)


def inputs(size: ModelSize, count: int) -> tuple[FloatArray, list[FloatArray]]:
    rng = np.random.default_rng(7)
    questions = rng.standard_normal((count, size.width), dtype=np.float32)
    contexts = [rng.standard_normal((size.context_tokens, size.width), dtype=np.float32) for _ in range(count)]
    return questions, contexts


def work_of(size: ModelSize, count: int) -> Work:
    return Model(size).generate(*inputs(size, count)).work


def cheapest_batch(size: ModelSize) -> int:
    return min(SIZES, key=lambda count: work_of(size, count).cost / count)


def test_a_batch_gives_each_request_its_tokens() -> None:
    tokens = Model(SMALL).generate(*inputs(SMALL, 5)).tokens
    assert tokens.shape == (5, SMALL.output_tokens)
    assert ((tokens >= 0) & (tokens < SMALL.vocabulary)).all()


@pytest.mark.parametrize("count", [2, 3, 8, 9])
def test_an_answer_does_not_depend_on_the_batch_that_it_was_in(count: int) -> None:
    questions, contexts = inputs(SMALL, count)
    model = Model(SMALL)
    together = model.generate(questions, contexts).tokens
    alone = [model.generate(questions[[row]], [contexts[row]]).tokens[0] for row in range(count)]
    np.testing.assert_array_equal(together, alone)


def test_the_same_size_and_seed_answer_alike() -> None:
    first, second = (Model(SMALL).generate(*inputs(SMALL, 2)).tokens for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_counted_work_is_a_fixed_a_linear_and_a_quadratic_part() -> None:
    counts = np.array([8, 16, 24, 32, 40])
    costs = np.array([work_of(SMALL, int(count)).cost for count in counts])
    quadratic, linear, fixed = np.polyfit(counts, costs, 2)
    assert min(quadratic, linear, fixed) > 0
    np.testing.assert_allclose(np.polyval([quadratic, linear, fixed], counts), costs, rtol=1e-9)


def test_the_best_batch_of_the_default_service_is_neither_the_smallest_nor_the_largest() -> None:
    default = ModelSize(output_tokens=1)
    costs = {count: work_of(default, count).cost / count for count in SIZES}
    best = min(costs, key=costs.__getitem__)
    assert 4 <= best <= 12
    assert costs[1] > 2 * costs[best]
    assert costs[32] > 2 * costs[best]


def test_the_best_batch_follows_from_the_service_not_from_a_constant() -> None:
    base = ModelSize(width=128, heads=16, output_tokens=1)
    longer = ModelSize(width=128, heads=16, output_tokens=1, context_tokens=4 * base.context_tokens)
    wider = ModelSize(width=512, heads=16, output_tokens=1)
    assert cheapest_batch(longer) < cheapest_batch(base) < cheapest_batch(wider)
