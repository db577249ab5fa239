"""Proofs are checked with numpy alone, and forged ones are told from true ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import setwise


@pytest.fixture(scope="module", params=["cosine", "inner_product", "rbf", "containment", "region"])
def hits(request: pytest.FixtureRequest, local: setwise.Client, collage: Path) -> setwise.Hits:
    """An answer with proofs, by each kernel and for a region."""
    if request.param == "region":
        return local.search(collage, k=3, region=(0, 0, 300, 200), proof=True)
    return local.search(collage, k=3, kernel=request.param, proof=True)


def tokens(client: setwise.Client, hit: setwise.Hit) -> setwise.FeatureSet:
    features = client.get(hit.id, features=True).features
    assert features is not None
    return features


def test_every_hit_can_be_checked(hits: setwise.Hits, local: setwise.Client) -> None:
    for hit in hits:
        assert hit.proof is not None
        features = tokens(local, hit)
        room = hit.verify(features)
        assert 0 <= room < 1e-9 * max(1.0, abs(hit.proof.value))
        assert hit.verify(features.tokens, hits.query_features) == room
        assert hit.proof.gap <= (hits.certificate.largest_gap or 0.0)


def forgeries(proof: setwise.Proof) -> dict[str, setwise.Proof]:
    scale = max(1e-3, float(np.abs(proof.column_prices).max(initial=0.0)))
    matched = proof.hit_tokens.copy()
    first, second = np.flatnonzero(matched >= 0)[:2]
    swapped, twice, beyond = matched.copy(), matched.copy(), matched.copy()
    swapped[[first, second]] = matched[[second, first]]
    twice[second] = matched[first]
    beyond[first] = len(proof.column_prices)
    lower = proof.column_prices.copy()
    lower[matched[first]] -= 0.01 * scale
    return {
        "worse pairs": replace(proof, hit_tokens=swapped),
        "a token twice": replace(proof, hit_tokens=twice),
        "no such token": replace(proof, hit_tokens=beyond),
        "another value": replace(proof, value=proof.value * 1.001 + 1e-6),
        "lower prices": replace(proof, column_prices=lower),
        "higher prices": replace(proof, row_prices=proof.row_prices + 0.01 * scale),
        "no price": replace(proof, row_prices=np.full_like(proof.row_prices, np.nan)),
        "too few prices": replace(proof, row_prices=proof.row_prices[1:]),
        "shifted prices": replace(
            proof, row_prices=proof.row_prices + scale, column_prices=proof.column_prices - scale
        ),
    }


def test_forged_proofs_do_not_hold(hits: setwise.Hits, local: setwise.Client) -> None:
    features = tokens(local, hits[1])
    assert hits[1].proof is not None
    square = len(hits[1].proof.row_prices) == len(features)
    for name, forged in forgeries(hits[1].proof).items():
        if name == "shifted prices" and square:  # of a square matrix, prices may be shifted
            replace(hits[1], proof=forged).verify(features)
            continue
        with pytest.raises(setwise.ProofError, match="the proof does not hold"):
            replace(hits[1], proof=forged).verify(features)


def test_another_score_or_another_set_does_not_hold(hits: setwise.Hits, local: setwise.Client) -> None:
    features = tokens(local, hits[1])
    with pytest.raises(setwise.ProofError):
        hits[1].verify(tokens(local, hits[2]))
    if hits.kernel != "rbf":
        with pytest.raises(setwise.ProofError, match="score"):
            replace(hits[1], score=hits[1].score + 1e-6).verify(features)
    with pytest.raises(setwise.InvalidArgumentError, match="encoded"):
        hits[1].verify(np.ones((100, 7), np.float32))
    with pytest.raises(setwise.InvalidArgumentError, match="hit_tokens"):
        hits[1].verify(np.ones(100, np.float32))


def test_a_proof_must_have_been_asked_for(local: setwise.Client) -> None:
    hit = local.search(setwise.Id("cat.jpg"), k=1)[0]
    assert hit.proof is None
    with pytest.raises(setwise.NotRequestedError, match="proof=True"):
        hit.verify(tokens(local, hit))


def test_proofs_turn_into_json_and_certificates_into_a_sentence(hits: setwise.Hits) -> None:
    assert json.loads(json.dumps(hits.to_dict())) == hits.to_dict()
    assert hits.certificate.sentence().startswith("exact over all 10 images; ")
    assert "last place" in hits.certificate.sentence()
    assert hits[0].proof == hits[0].proof and repr(hits[0].proof).startswith("<Proof of ")
