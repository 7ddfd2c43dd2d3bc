"""The generator: a small decoder that writes an answer for a whole batch of requests at once.

It does what a language-model server does, in miniature, and so its cost has the same three parts:

* weights are stored as 8-bit integers and turned into floats for every layer and every output token, whatever
  the batch holds: a fixed cost, shared by the batch;
* every request adds its row to the matrix products: a linear cost;
* the contexts of a batch are packed into one sequence, and attention runs over the whole pack under a
  block-diagonal mask, as simple packing does: a quadratic cost.

The cost of a batch of n is thus a + b·n + c·n², and the cost per request is lowest near n = sqrt(a / c),
which follows from the model's own width, heads and context length.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from settings import ModelSize

FloatArray = npt.NDArray[np.float32]

FLOPS_PER_ELEMENT = 40.0
"""A fused multiply-add inside BLAS costs about 0.02 ns, an element of an element-wise pass about 0.8 ns."""

TILE_ROWS = 8
"""Rows of a matrix product are padded to whole tiles, as kernels for matrix units do."""

_MASKED = np.float32(-1e9)


@dataclass
class Work:
    """Operations counted while a batch ran, from the shapes of the arrays that were really touched."""

    elements: int = 0
    flops: int = 0

    @property
    def cost(self) -> float:
        """Work in units of one element of an element-wise pass: about 0.8 ns where it was measured."""
        return self.elements + self.flops / FLOPS_PER_ELEMENT


@dataclass(frozen=True)
class Answers:
    """What a batch gave: token ids, shape (n, output_tokens), and the work that it took."""

    tokens: npt.NDArray[np.int64]
    work: Work


@dataclass(frozen=True)
class _Quantised:
    """A matrix as 8-bit integers with one float scale a column."""

    values: npt.NDArray[np.int8]
    scale: FloatArray


class Model:
    """A decoder with cross-attention to the retrieved context. Not thread-safe: it owns its scratch space."""

    def __init__(self, size: ModelSize, seed: int = 1) -> None:
        """Draw the weights from `seed`: the same seed and size give the same answers everywhere."""
        self.size = size
        rng = np.random.default_rng(seed)
        width = size.width
        self.embedding: FloatArray = rng.standard_normal((size.vocabulary, width), dtype=np.float32)
        self._unembedding: FloatArray = rng.standard_normal((width, size.vocabulary), dtype=np.float32)
        shapes = ((width, width), (width, width), (width, 2 * width), (2 * width, width))
        self._layers = [[_quantised(rng, shape) for shape in shapes] for _ in range(size.layers)]
        self._scratch: FloatArray = np.empty(2 * width * width, dtype=np.float32)

    def generate(self, questions: FloatArray, contexts: list[FloatArray]) -> Answers:
        """Answer a batch: questions of shape (n, width), n contexts of shape (context_tokens, width).

        The mask keeps every request on its own context, so an answer does not depend on its batch.
        """
        work = Work()
        count = len(contexts)
        packed = np.concatenate(contexts)
        work.elements += packed.size
        heads = self.size.heads
        keys = packed.reshape(len(packed), heads, -1).transpose(1, 2, 0)
        values = packed.reshape(len(packed), heads, -1).transpose(1, 0, 2)
        owner = np.repeat(np.arange(count), [len(context) for context in contexts])
        mask = np.where(owner[None, :] == np.arange(count)[:, None], np.float32(0), _MASKED)
        state: FloatArray = np.zeros((-(-count // TILE_ROWS) * TILE_ROWS, self.size.width), dtype=np.float32)
        state[:count] = questions
        tokens = np.empty((count, self.size.output_tokens), dtype=np.int64)
        for step in range(self.size.output_tokens):
            for query, out, up, down in self._layers:
                asked = self._apply(_normalised(state), query, work)
                attended = np.zeros_like(state)
                attended[:count] = self._attend(asked[:count], keys, values, mask, work)
                state += self._apply(attended, out, work)
                hidden = self._apply(_normalised(state), up, work)
                state += self._apply(np.maximum(hidden, 0), down, work)
            logits = _normalised(state[:count]) @ self._unembedding
            work.flops += 2 * logits.size * self.size.width
            tokens[:, step] = logits.argmax(axis=1)
            state[:count] += self.embedding[tokens[:, step]]
        return Answers(tokens=tokens, work=work)

    def _apply(self, rows: FloatArray, weights: _Quantised, work: Work) -> FloatArray:
        """Return rows @ weights: the weights are turned into floats first, whatever the number of rows."""
        matrix = self._scratch[: weights.values.size].reshape(weights.values.shape)
        np.multiply(weights.values, weights.scale, out=matrix, dtype=np.float32)
        work.elements += matrix.size
        work.flops += 2 * len(rows) * matrix.size
        product: FloatArray = rows @ matrix
        return product

    def _attend(
        self, asked: FloatArray, keys: FloatArray, values: FloatArray, mask: FloatArray, work: Work
    ) -> FloatArray:
        """Masked softmax attention over the packed contexts; returns shape (n, width)."""
        count, width = asked.shape
        heads = self.size.heads
        queries = asked.reshape(count, heads, -1).transpose(1, 0, 2) / np.sqrt(np.float32(width // heads))
        scores: FloatArray = queries @ keys
        scores += mask
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed: FloatArray = scores @ values
        # Five element-wise passes over the scores, and two matrix products with them.
        work.elements += 6 * scores.size
        work.flops += 4 * scores.size * (width // heads)
        return mixed.transpose(1, 0, 2).reshape(count, width)


def _quantised(rng: np.random.Generator, shape: tuple[int, int]) -> _Quantised:
    """Random weights of unit gain: 8-bit values of standard deviation 73.6, scaled by 1/sqrt(rows)."""
    values = rng.integers(-127, 128, size=shape, dtype=np.int8)
    scale = np.full(shape[1], 1.0 / (73.6 * np.sqrt(shape[0])), dtype=np.float32)
    return _Quantised(values=values, scale=scale)


def _normalised(rows: FloatArray) -> FloatArray:
    """Each row divided by its root mean square (RMSNorm, Zhang and Sennrich 2019)."""
    scale: np.ndarray[Any, np.dtype[np.float32]] = np.sqrt(np.mean(rows * rows, axis=1, keepdims=True) + 1e-6)
    return rows / scale
