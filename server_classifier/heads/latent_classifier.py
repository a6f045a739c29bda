"""The classifier of latents in the shape of scikit-learn's: what trainer, studies and controls use.

scikit-learn itself is not imported, and need not be installed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from server_classifier.errors import ServerError
from server_classifier.heads.head import Learner, OnEpoch, Trained, TrainingError
from server_classifier.heads.onnx_graph import export_onnx
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import fit_stack
from server_classifier.heads.values import Values
from stream.networks.packed_values import PackedValues


class NotFitted(ServerError, ValueError, AttributeError):
    """A classifier was asked before it has learned."""


class LatentClassifier:
    """A classifier of latents [N, D] or maps [N, C, H, W], which learns as the server does.

    Of scikit-learn's ``check_estimator``, two checks do not apply: an error of our own is raised
    before ``fit`` (``check_estimators_unfitted``), and labels in a column [N, 1] are refused
    (``check_supervised_y_2d``).

    Args:
        settings: the defaults when None.
        random_state: of initial weights, order and dropout; the same gives the same weights.

    Attributes:
        classes_: what ``fit`` was told, sorted and each once, [P].
        n_features_in_: the numbers of a latent.
        network_: computes the probabilities, in PyTorch.
        report_: what the training did.

    Example:
        >>> import numpy as np
        >>> from server_classifier import LatentClassifier
        >>> latents = np.repeat(np.eye(2, 3), 30, axis=0)
        >>> classifier = LatentClassifier().fit(latents, ["cat"] * 30 + ["dog"] * 30)
        >>> classifier.predict(latents[[0, -1]]).tolist()
        ['cat', 'dog']
    """

    classes_: NDArray[Any]
    n_features_in_: int

    def __init__(self, settings: TrainingSettings | None = None, random_state: int = 0) -> None:
        self.settings = settings
        self.random_state = random_state

    def fit(
        self, X: "ArrayLike | Values", y: ArrayLike, *, on_epoch: OnEpoch | None = None
    ) -> "LatentClassifier":
        """Learn from latents and their labels [N]; what was learned before is forgotten.

        Raises:
            TrainingError: there is one label only, X and y do not fit together, a number is not
                finite, or the training diverged.
        """
        (error,) = fit_together([self], X, y, on_epoch=on_epoch)
        if error is not None:
            raise error
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the probabilities [N, P] of ``classes_``."""
        self._check_fitted()
        values = _read_values(X)
        if (found := int(np.prod(values.shape[1:]))) != self.n_features_in_:
            raise TrainingError(
                f"X has {found} features, but LatentClassifier is expecting "
                f"{self.n_features_in_} features as input"
            )
        return self.network_.predict_proba(values)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the likeliest label of each, [N]."""
        probabilities = self.predict_proba(X)
        chosen: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return chosen

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the share of labels that are predicted."""
        return float((self.predict(X) == np.asarray(y)).mean())

    def to_onnx(self) -> bytes:
        """Return it as an ONNX file: ``latents`` [N, D] to ``probabilities`` [N, P]."""
        self._check_fitted()
        return export_onnx(self.network_)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what it was made with."""
        return {"settings": self.settings, "random_state": self.random_state}

    def set_params(self, **params: Any) -> "LatentClassifier":
        """Change what it was made with; it learns by it at the next ``fit``."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ValueError(f"{name} is no parameter; there are settings and random_state")
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn import utils  # it alone calls this

        return utils.Tags(
            estimator_type="classifier",
            target_tags=utils.TargetTags(required=True),
            classifier_tags=utils.ClassifierTags(),
        )

    def keep(
        self, result: Trained | TrainingError, classes: NDArray[Any], features: int
    ) -> TrainingError | None:
        """Take over what was learned, or return the reason why nothing was."""
        if isinstance(result, TrainingError):
            return result
        self.network_, self.report_ = result
        self.classes_, self.n_features_in_ = classes, features
        return None

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise NotFitted("this LatentClassifier is not fitted yet; call fit first")


def fit_together(
    classifiers: Sequence[LatentClassifier],
    X: "ArrayLike | Values",
    y: ArrayLike,
    *,
    on_epoch: OnEpoch | None = None,
) -> list[TrainingError | None]:
    """Train several classifiers at once, each to what its own ``fit`` makes of it.

    Returns the error of each that diverged, which harms no other.

    Args:
        classifiers: their settings have the same ``shape``.

    Raises:
        TrainingError: what is wrong with all of them, as in ``fit``.
    """
    values = _read_values(X)
    classes, targets = np.unique(_read_labels(y), return_inverse=True)
    learners = [
        Learner(each.random_state, each.settings or TrainingSettings()) for each in classifiers
    ]
    results = fit_stack(values, targets.astype(np.int64), learners, on_epoch=on_epoch)
    features = int(np.prod(values.shape[1:]))
    return [
        classifier.keep(result, classes, features)
        for classifier, result in zip(classifiers, results, strict=True)
    ]


def _read_values(X: "ArrayLike | Values") -> Values:
    """Return latents as finite float32 [N, D] or [N, C, H, W]; packed ones stay packed."""
    if isinstance(X, PackedValues):
        return X
    if hasattr(X, "toarray"):
        raise TrainingError("sparse latents are not supported; pass X.toarray()")
    given = np.asarray(X)
    if given.ndim not in (2, 4):
        raise TrainingError(
            f"latents of shape {given.shape} are neither [N, D] nor maps [N, C, H, W]; "
            "Reshape your data"
        )
    if 0 in given.shape:
        kind = "sample(s)" if not len(given) else "feature(s)"
        raise TrainingError(
            f"0 {kind} (shape={given.shape}) while a minimum of 1 is required; give some"
        )
    if given.dtype.kind == "c":
        raise TrainingError("Complex data not supported")
    with np.errstate(over="ignore"):  # what overflows is refused below
        values = given.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise TrainingError("a number is NaN or inf, or beyond float32")
    return values


def _read_labels(y: ArrayLike | None) -> NDArray[Any]:
    if y is None:
        raise TrainingError("fit requires y to be passed, but the target y is None")
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise TrainingError(f"labels of shape {labels.shape} are not one for each latent")
    if labels.dtype.kind == "f" and not (labels == np.floor(labels)).all():
        raise TrainingError("Unknown label type: continuous numbers; a label names a class")
    return labels
