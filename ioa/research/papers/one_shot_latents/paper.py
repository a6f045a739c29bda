"""What Salehinejad, Valaee, Dowdell and Barfett report in tables I and II, in percent.

Its medical set is private, so only its MNIST rows stand beside ours. One run, 1,000 test images.
"""

from ioa.research.reporting.results import Figures

# ``client_autoencoder.images.sets.digest`` of MNIST's test set, 10,000 images of 28x28 pixels.
_MNIST_TEST = "dcbc32007ac3400082556515647f6e02c0734d4d8e1ce37fa884b48da4b984fe"


def is_its_data(result: Figures) -> bool:
    """Tell whether a result is about the paper's data, whatever the file's name was."""
    digest: str = result["seeds"][0]["digests"]["test"]
    return digest == _MNIST_TEST


def _row(*values: str) -> dict[str, str]:
    return dict(zip(["total", *map(str, range(10))], values, strict=True))


# The paper calls this performance by equation 9; which formula it is, is unknown.
RECONSTRUCTION = _row(
    *("98.68", "97.47", "99.64", "98.59", "97.61", "98.79"),
    *("98.89", "99.15", "98.83", "98.79", "99.12"),
)
CLASSIFICATION = _row(
    *("98.79", "98.42", "99.10", "97.98", "98.62", "98.14"),
    *("99.13", "98.95", "98.91", "99.32", "99.39"),
)
