"""How far contributions move by chance when a model is trained again."""

from __future__ import annotations

import numpy as np

from rca.errors import InputError
from rca.models.shapdiff.noise import LEVEL, TINY, Noise
from rca.models.shapdiff.refits import Summary

__all__ = ["training_noise"]

MOST_FREEDOM = 20  # degrees of freedom that refits may claim for a mean
MOST_DISTANCE_FREEDOM = 16  # the same for a distance between contributions
FEWEST = 4  # features from which a prior can be learned


def training_noise(before: Summary, after: Summary, refits: Summary) -> Noise:
    """Judge the differences of two trained models by how far training alone moves each feature.

    Parameters
    ----------
    before, after : Summary
        The two models on the same rows.
    refits : Summary
        Models trained as the one before was, on the same rows.

    Returns
    -------
    Noise
        Interval of the difference in mean absolute SHAP. The p-value is twice the smaller of two, that of this
        difference and that of the distance between the contributions, with Holm's adjustment [1]_ over the features.

    Raises
    ------
    InputError
        If the refits do not differ.

    Notes
    -----
    Both models were trained, so a difference has twice the variance of one training.

    *Means.* A variance from eight refits is too rough to judge thirty features by: it is moderated as in limma [2]_,
    with a prior that follows the size of the contribution (trained importances vary more the larger they are): the
    largest of before, after and refits. A feature that none of them uses has no noise.

    *Distances.* A feature whose effect was turned round has the mean it had. The mean square of the change from row to
    row over its expectation under training noise is an F statistic of functions [3]_; its degrees of freedom are
    Satterthwaite's, from the refits' covariance [4]_.

    Refits on bootstrap samples know one sample of training data only, so their variance is uncertain however many
    there are: the reference distributions have at most 20 and 16 degrees of freedom, chosen on simulated histogram
    boosting, forests and logistic regressions.

    References
    ----------
    .. [1] Holm, "A simple sequentially rejective multiple test procedure", Scandinavian J. of Statistics 6, 1979.
    .. [2] Smyth, "Linear models and empirical Bayes methods for assessing differential expression in microarray
       experiments", Statistical Applications in Genetics and Molecular Biology 3, 2004.
    .. [3] Shen, Faraway, "An F test for linear models with functional responses", Statistica Sinica 14, 2004.
    .. [4] Bai, Saranadasa, "Effect of high dimension: by an example of a two sample problem", Statistica Sinica 6,
       1996.
    """
    from scipy import stats

    level = np.maximum(np.maximum(before.means, after.means), refits.means.mean(axis=0))
    variance, freedom = _moderated(refits.means.var(axis=0, ddof=1), len(refits.means) - 1, level)
    difference, error = after.means - before.means, np.sqrt(2 * variance)
    used = level > TINY * level.max()
    reach = np.where(used, stats.t.ppf((1 + LEVEL) / 2, freedom) * error, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without any spread a difference is certain, and no difference is no difference.
        p_value = np.where(difference == 0, 1.0, 2 * stats.t.sf(np.abs(difference) / error, freedom))
    apart = _distance(after.contributions - before.contributions, refits.contributions)
    p_value = np.where(used, np.minimum(1.0, 2 * np.minimum(p_value, apart)), 1.0)
    return Noise(difference - reach, difference + reach, _holm(p_value))


def _distance(change: np.ndarray, refits: np.ndarray) -> np.ndarray:
    """Return the p-value of each feature's change, rows x features, beside that of refits x rows x features.

    A feature that no refit moves has p-value 1: nothing is known of its noise.
    """
    from scipy import stats

    freedom = len(refits) - 1
    spread = refits - refits.mean(axis=0)
    gram = np.einsum("arf,brf->fab", spread, spread, optimize=True) / freedom
    total, square = np.trace(gram, axis1=1, axis2=2), (gram**2).sum(axis=(1, 2))
    # Unbiased for the sum of the squared eigenvalues of the covariance (Bai and Saranadasa 1996), as is
    # total**2 - 2 * square / freedom for the square of their sum.
    square = freedom**2 / ((freedom - 1) * (freedom + 2)) * (square - total**2 / freedom)
    known = total > TINY**2 * (refits**2).sum(axis=(0, 1))
    scale = np.where(known, total, 1.0)
    # No more directions than the refits can show.
    directions = np.clip(scale**2 / np.maximum(square, TINY * scale**2) - 2 / freedom, 1.0, freedom)
    ratio = (change**2).sum(axis=0) / (2 * scale)
    p_value = stats.f.sf(ratio, directions, np.minimum(directions * freedom, MOST_DISTANCE_FREEDOM))
    return np.where(known, p_value, 1.0)


def _moderated(variance: np.ndarray, freedom: int, level: np.ndarray) -> tuple[np.ndarray, float]:
    """Return variances drawn towards what features of that level have, and their degrees of freedom.

    The prior's scale and degrees of freedom are fitted to the logarithms of the variances (Smyth 2004, section 6.2),
    around a straight line in the logarithm of `level`.
    """
    from scipy import special

    varies = variance > (TINY * level) ** 2
    if not varies.any():
        raise InputError("the refits do not differ in any feature; each must be trained on rows drawn anew")
    count = int(varies.sum())
    if count < FEWEST:
        return variance, float(min(freedom, MOST_FREEDOM))
    half = freedom / 2
    height = np.log(variance[varies]) - special.digamma(half) + np.log(half)
    place = np.log(level[varies])
    spread = place - place.mean()
    # A standard deviation grows with the level at most in proportion to it.
    slope = np.clip((spread @ height) / (spread @ spread), 0, 2) if np.ptp(place) > 0 else 0.0
    centre = height.mean() + slope * (np.log(np.maximum(level, level[varies].min())) - place.mean())
    rest = height - centre[varies]
    excess = float(rest @ rest) / (count - 2) - float(special.polygamma(1, half))
    if excess <= 0:
        prior, prior_freedom = np.exp(centre), np.inf
    else:
        prior_freedom = 2 * _trigamma_inverse(excess)
        prior = np.exp(centre + special.digamma(prior_freedom / 2) - np.log(prior_freedom / 2))
    share = 1.0 if np.isinf(prior_freedom) else prior_freedom / (prior_freedom + freedom)
    moderated = np.where(varies, share * prior + (1 - share) * variance, prior)
    return moderated, float(min(prior_freedom + freedom, count * freedom, MOST_FREEDOM))


def _trigamma_inverse(value: float) -> float:
    """Return the x at which the trigamma function is `value`."""
    from scipy import optimize, special

    return float(np.exp(optimize.brentq(lambda x: np.log(special.polygamma(1, np.exp(x)) / value), -30.0, 30.0)))


def _holm(p_value: np.ndarray) -> np.ndarray:
    order = np.argsort(p_value, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate((len(order) - np.arange(len(order))) * p_value[order]), 1.0)
    return adjusted
