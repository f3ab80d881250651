"""How wide states lie: hand-made matrices whose measures are known."""

from __future__ import annotations

import numpy as np
import pytest

from ir_replications.prorank.reranking.space import effective_rank, spread

FLAT = np.zeros(4, dtype=np.float32)


def test_identical_states_have_rank_one_and_cosine_one() -> None:
    states = np.tile(np.array([3.0, -1.0, 2.0], dtype=np.float32), (5, 1))
    found = spread(states, np.full(5, 2.5, dtype=np.float32))
    assert found["effective rank"] == 1.0
    assert found["mean cosine"] == pytest.approx(1, abs=1e-12)
    assert found["score deviation"] == 0.0


def test_orthogonal_states_span_all_that_n_centred_points_can() -> None:
    """The corners of a simplex: n - 1 axes of equal variance."""
    for n in (2, 3, 7):
        found = spread(5 * np.eye(n, 9), np.zeros(n))
        assert found["effective rank"] == pytest.approx(n - 1)
        assert found["mean cosine"] == 0.0


def test_isotropic_states_have_the_rank_of_their_space() -> None:
    """Plus and minus each axis: of the 2d - 1 others one is opposite, the rest orthogonal."""
    for d in (1, 2, 6):
        states = np.concatenate([np.eye(d), -np.eye(d)])
        found = spread(states, np.zeros(2 * d))
        assert found["effective rank"] == pytest.approx(d)
        assert found["mean cosine"] == pytest.approx(-1 / (2 * d - 1))


def test_unequal_axes_by_hand() -> None:
    """Variances 4 and 1: shares of .8 and .2, whose entropy is .5004 nats."""
    states = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    shares = np.array([0.8, 0.2])
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert expected == pytest.approx(1.6494, abs=1e-4)
    assert spread(states, FLAT)["effective rank"] == pytest.approx(expected)
    # Neither where the cloud lies, nor how large it is, nor its rotation matters to the rank.
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    moved = spread(100 + 7 * states @ turn, FLAT)
    assert moved["effective rank"] == pytest.approx(expected)
    assert moved["mean cosine"] > 0.99, "the mean is most of each state: the narrow cone"


def test_the_deviation_of_scores_is_of_all_of_them() -> None:
    assert spread(np.eye(4), np.array([1.0, 3.0, 1.0, 3.0]))["score deviation"] == 1.0


def test_one_candidate_or_none_has_no_spread() -> None:
    assert spread(np.ones((1, 3)), np.ones(1)) == spread(np.ones((0, 3)), np.ones(0)) == {}


def test_states_of_zeros_give_numbers() -> None:
    found = spread(np.zeros((3, 4), dtype=np.float32), np.zeros(3))
    assert found == {"effective rank": 1.0, "mean cosine": 0.0, "score deviation": 0.0}
    assert effective_rank(np.zeros((2, 2))) == 1.0
