"""What Salehinejad, Valaee, Dowdell and Barfett report in tables I and II, in percent.

Its medical set is private, so only its MNIST rows stand beside ours. One run, 1,000 test images.
"""

from ioa.research.papers.one_shot_latents.tables import Figures

# The test set of MNIST, 10,000 images of 28x28 pixels, as ``image_sets.digest`` sums it up.
_MNIST_TEST = "dcbc32007ac3400082556515647f6e02c0734d4d8e1ce37fa884b48da4b984fe"


def is_its_data(result: Figures) -> bool:
    """Tell whether a result is about the paper's data, whatever the file was called."""
    digest: str = result["seeds"][0]["digests"]["test"]
    return digest == _MNIST_TEST


def _row(*values: str) -> dict[str, str]:
    return dict(zip(["total", *map(str, range(10))], values, strict=True))


# Called performance by equation 9; which formula gives these numbers cannot be decided.
RECONSTRUCTION = _row(
    *("98.68", "97.47", "99.64", "98.59", "97.61", "98.79"),
    *("98.89", "99.15", "98.83", "98.79", "99.12"),
)
CLASSIFICATION = _row(
    *("98.79", "98.42", "99.10", "97.98", "98.62", "98.14"),
    *("99.13", "98.95", "98.91", "99.32", "99.39"),
)
