"""The retriever: exact vector search over an in-memory corpus, re-ranking, and a cache of contexts."""

import re
import zlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_PASSAGES = 4
_CANDIDATES = 128
_SEARCH_WIDTH = 64
_HASHED_WORDS = 4096
_ENTRY_OVERHEAD_BYTES = 512


@dataclass(frozen=True)
class Context:
    """What was found for a query: document ids, and the token embeddings, shape (context_tokens, width)."""

    documents: tuple[int, ...]
    embeddings: FloatArray


class ContextCache:
    """Least recently used contexts, bounded by the bytes that they hold. Not thread-safe."""

    def __init__(self, capacity_bytes: int) -> None:
        """Hold at most `capacity_bytes`; zero keeps nothing."""
        self.capacity_bytes = capacity_bytes
        self.held_bytes = 0
        self._entries: OrderedDict[str, Context] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, query: str) -> Context | None:
        """Return the context of a query and mark it as the most recently used, or None."""
        context = self._entries.get(query)
        if context is not None:
            self._entries.move_to_end(query)
        return context

    def put(self, query: str, context: Context) -> None:
        """Keep a context, drop the least recently used until all fit; one that can never fit is not kept."""
        if _entry_bytes(query, context) > self.capacity_bytes:
            return
        if query in self._entries:
            self.held_bytes -= _entry_bytes(query, self._entries.pop(query))
        self._entries[query] = context
        self.held_bytes += _entry_bytes(query, context)
        while self.held_bytes > self.capacity_bytes:
            dropped, old = self._entries.popitem(last=False)
            self.held_bytes -= _entry_bytes(dropped, old)


class Corpus:
    """Passages as unit vectors and token ids, and a hashed bag-of-words embedding for queries."""

    def __init__(self, documents: int, token_embedding: FloatArray, context_tokens: int, seed: int = 2) -> None:
        """Draw a corpus from `seed`; a context is the tokens of the best four passages."""
        rng = np.random.default_rng(seed)
        vocabulary, width = token_embedding.shape
        self._token_embedding = token_embedding
        self._passages = min(_PASSAGES, context_tokens)
        self._words = rng.standard_normal((_HASHED_WORDS, _SEARCH_WIDTH), dtype=np.float32)
        self._reading = rng.standard_normal((_SEARCH_WIDTH, width), dtype=np.float32)
        passage_tokens = context_tokens // self._passages
        self._tokens = rng.integers(vocabulary, size=(documents, passage_tokens), dtype=np.uint16)
        self._token_search = rng.standard_normal((vocabulary, _SEARCH_WIDTH), dtype=np.float32)
        vectors = rng.standard_normal((documents, _SEARCH_WIDTH), dtype=np.float32)
        self._vectors: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def question(self, query: str) -> FloatArray:
        """The query as the generator reads it: shape (width,)."""
        state: FloatArray = self._word_vectors(query).mean(axis=0) @ self._reading
        return state

    def search(self, query: str) -> Context:
        """Find the best passages: inner product over the whole corpus, then MaxSim over the candidates.

        MaxSim (Khattab and Zaharia, ColBERT, 2020) adds, for each word of the query, its best match among the
        tokens of the passage.
        """
        words = self._word_vectors(query)
        scores = self._vectors @ words.mean(axis=0)
        keep = min(_CANDIDATES, len(scores))
        candidates = np.argpartition(scores, -keep)[-keep:]
        tokens = self._tokens[candidates]
        matches = self._token_search[tokens] @ words.T
        ranking = matches.max(axis=1).sum(axis=1)
        best = candidates[np.argsort(-ranking, kind="stable")[: self._passages]]
        return Context(
            documents=tuple(int(document) for document in best),
            embeddings=self._token_embedding[self._tokens[best].reshape(-1)],
        )

    def _word_vectors(self, query: str) -> FloatArray:
        """One vector a word, shape (words, search width). The server has checked that there is a word."""
        rows = [zlib.crc32(word.encode()) % _HASHED_WORDS for word in words_of(query)]
        return self._words[rows]


class Retriever:
    """The corpus behind its cache. `lookup` runs in one thread only, because the cache is not thread-safe."""

    def __init__(self, corpus: Corpus, cache: ContextCache) -> None:
        """Join the two."""
        self.corpus = corpus
        self.cache = cache

    def lookup(self, query: str) -> tuple[Context, FloatArray, bool]:
        """Return the context, the question's vector, and whether the cache had the context."""
        question = self.corpus.question(query)
        context = self.cache.get(query)
        if context is not None:
            return context, question, True
        context = self.corpus.search(query)
        self.cache.put(query, context)
        return context, question, False


def words_of(text: str) -> list[str]:
    """Lower-case words of a text, in order."""
    return re.findall(r"\w+", text.lower())


def _entry_bytes(query: str, context: Context) -> int:
    """Bytes that an entry holds: the array, the key, and the objects around them."""
    return context.embeddings.nbytes + len(query.encode()) + _ENTRY_OVERHEAD_BYTES
