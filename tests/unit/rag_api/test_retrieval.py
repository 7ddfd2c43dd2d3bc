import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import Context, ContextCache, Corpus, Retriever, words_of

KIB = 1024


def context(kib: int) -> Context:
    return Context(documents=(1,), embeddings=np.zeros(kib * 256, dtype=np.float32))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    embedding = np.random.default_rng(0).standard_normal((64, 16), dtype=np.float32)
    return Corpus(300, embedding, context_tokens=16)


@given(
    capacity=st.integers(0, 64),
    puts=st.lists(st.tuples(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 40)), max_size=40),
)
def test_the_cache_never_holds_more_than_its_capacity(capacity: int, puts: list[tuple[str, int]]) -> None:
    cache = ContextCache(capacity * KIB)
    for query, kib in puts:
        cache.put(query, context(kib))
        kept = [found for name in {name for name, _ in puts} if (found := cache.get(name))]
        assert sum(found.embeddings.nbytes for found in kept) <= cache.held_bytes <= capacity * KIB
        assert len(kept) == len(cache)
        assert (cache.held_bytes == 0) == (len(cache) == 0)


def test_the_least_recently_used_context_goes_first() -> None:
    cache = ContextCache(10 * KIB)
    cache.put("a", context(4))
    cache.put("b", context(4))
    assert cache.get("a") is not None
    cache.put("c", context(4))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.get("c") is not None


def test_a_context_larger_than_the_cache_is_not_kept_and_displaces_nothing() -> None:
    cache = ContextCache(10 * KIB)
    cache.put("a", context(4))
    cache.put("b", context(11))
    assert cache.get("b") is None
    assert cache.get("a") is not None


def test_putting_a_query_twice_counts_it_once() -> None:
    cache = ContextCache(10 * KIB)
    cache.put("a", context(4))
    once = cache.held_bytes
    cache.put("a", context(4))
    assert cache.held_bytes == once


def test_a_larger_cache_hits_more_often_under_skewed_popularity(corpus: Corpus) -> None:
    rng = np.random.default_rng(3)
    popularity = 1 / np.arange(1, 201)
    queries = [f"query {number}" for number in rng.choice(200, size=1500, p=popularity / popularity.sum())]

    def hits(kib: int) -> int:
        retriever = Retriever(corpus, ContextCache(kib * KIB))
        return sum(retriever.lookup(query)[2] for query in queries)

    assert hits(0) == 0
    assert hits(16) < hits(64) < hits(256)


def test_a_cached_context_is_the_one_that_was_found(corpus: Corpus) -> None:
    retriever = Retriever(corpus, ContextCache(64 * KIB))
    found, _, hit = retriever.lookup("how do refunds work")
    again, _, hit_again = retriever.lookup("how do refunds work")
    assert (hit, hit_again) == (False, True)
    assert again is found


def test_search_is_deterministic_and_returns_distinct_passages_of_the_declared_length(corpus: Corpus) -> None:
    first, second = corpus.search("how do exports work"), corpus.search("how do exports work")
    assert first.documents == second.documents
    assert len(set(first.documents)) == 4
    assert first.embeddings.shape == (16, 16)
    assert corpus.search("something else").documents != first.documents


def test_a_context_owns_its_memory_so_that_the_process_grows_with_the_cache(corpus: Corpus) -> None:
    first, second = corpus.search("how do exports work"), corpus.search("how do exports work")
    assert not np.shares_memory(first.embeddings, second.embeddings)
    assert first.embeddings.base is None or first.embeddings.base.nbytes == first.embeddings.nbytes


def test_words_ignore_case_and_punctuation() -> None:
    assert words_of("How do Refunds work?!") == ["how", "do", "refunds", "work"]
    assert words_of("?!") == []
