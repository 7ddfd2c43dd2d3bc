"""What is taken out of texts, and what stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.api.privacy import TEXTS, Privacy
from trimtab.api.reasons import REASONS

SECRETS = {
    "e-mail": "alice.o'neil+shop@mail.example.com",
    "bearer": "abcDEF123456._~+/=-",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "github": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "openai": "sk-proj-abcdefghijklmnop1234",
    "opaque": "dGhpcyBpcyBhIHZlcnkgbG9uZyBzZWNyZXQgdG9rZW4gb2YgbWluZQ0K1",
    "hex": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "password": "hunter2hunter2",
    "label": "Jürgen Müller",
}
TEXTS_WITH = [
    ("user {} is not allowed", "e-mail"),
    ("Authorization: Bearer {}", "bearer"),
    ("the token {} expired", "jwt"),
    ("denied for {}, ask the owner", "github"),
    ("key {} refused", "aws"),
    ("api key {} refused", "openai"),
    ("got {} back", "opaque"),
    ("digest {}", "hex"),
    ("https://bob:{}@prometheus.example/api", "password"),
    ("password={}&user=x", "password"),
    ('{{"token": "{}"}}', "password"),
    ('no series for up{{customer="{}"}}', "label"),
    ("no series for up{{customer=~'{}'}}", "label"),
    ('{{"message": "up{{customer=\\"{}\\"}}"}}', "label"),
]


@pytest.mark.parametrize(("text", "kind"), TEXTS_WITH)
def test_personal_data_and_credentials_are_taken_out(text: str, kind: str) -> None:
    secret = SECRETS[kind]
    cleaned = Privacy().clean(text.format(secret))
    assert secret not in cleaned
    assert cleaned[:2] == text.format("")[:2]


@pytest.mark.parametrize(
    "text",
    [
        *[f"{doc.title} {doc.cause} {doc.remedy}" for doc in REASONS.values()],
        'confined it to namespace="shop",pod=~"web-7d9c5b8f6-.*"',
        "app needs 871m of CPU with the margin; 1 → 871m",
        "pod web-7d9c5b8f6-x2x4z: the node has no room now, waiting since 35 s",
        "GET /apis/autoscaling/v2/namespaces/production-eu-west/horizontalpodautoscalers?limit=500: 403 Forbidden",
        "image registry.example/shop@sha256:abc is pulled",
        "1800000150-replicas d1b2c3d4-1111-4222-8333-444455556666",
        "vllm:e2e_request_latency_seconds_bucket and gen_ai.client.token.usage",
    ],
)
def test_what_says_nothing_of_a_person_stays_as_it_is(text: str) -> None:
    assert Privacy().clean(text) == text


def test_values_of_the_labels_that_the_administrator_lists_are_shown() -> None:
    text = 'up{customer="c1",namespace="shop"}'
    assert Privacy().clean(text) == 'up{customer="…",namespace="shop"}'
    assert Privacy(frozenset({"customer"})).clean(text) == 'up{customer="c1",namespace="…"}'


def test_in_a_document_only_free_texts_are_touched_where_they_are_named() -> None:
    held = {"id": SECRETS["hex"], "decisions": [{"message": SECRETS["jwt"], "lever": SECRETS["hex"]}], "n": 1}
    assert Privacy().cleaned(held, texts=TEXTS) == {
        "id": SECRETS["hex"],
        "decisions": [{"message": "[redacted]", "lever": SECRETS["hex"]}],
        "n": 1,
    }
    assert SECRETS["hex"] not in str(Privacy().cleaned(held))


@given(st.text(max_size=300))
def test_cleaning_never_fails_and_a_second_time_changes_nothing_more(text: str) -> None:
    once = Privacy().clean(text)
    assert Privacy().clean(once) == once
