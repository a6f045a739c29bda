"""Nothing that a sender says of itself widens a limit, or is kept as more than it can be."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from client_autoencoder.privacy.mechanism import GaussianMechanism, NoMechanism, system_noise
from schemas.errors import SchemaError
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.messages.mechanisms import Reach, measure_reach
from schemas.vector import Vector
from server_classifier.intake.admission import Admission
from server_classifier.intake.screening import screen_records, to_row
from server_classifier.intake.statements import check_statements
from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.registry.entries import EncoderRow, add_encoder
from stream.exchange.exchanges import find_exchange
from stream.kafka.record import Record
from tests.support.server import LATENT_DIM, NOW, add_clients, make_manifest

CLIENT = "radiology-1"
REACH = make_manifest().output.high
# As version 0.1.0 states --epsilon 4 --delta 1e-5 --clip 1.
GAUSSIAN = {
    "mechanism": "gaussian",
    "guarantee": False,
    "parameters": {"clip": 1.0, "sensitivity": 2.0, "sigma": 2.1596},
    "epsilon": 4.0,
    "delta": 1e-5,
    "unit": "record",
    "adjacency": "replace-one",
}
_MANIFEST = make_manifest()
CODES_ONLY = replace(_MANIFEST, output=replace(_MANIFEST.output, packings=("int8",)))
CLAIM = {"guarantee": True, "epsilon": 1.0, "unit": "record", "adjacency": "replace-one"}
FAR = 13.0  # beyond four times the range, within clip 1 and nine times sigma


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder: Path = tmp_path_factory.mktemp("server")
    engine = open_database(f"sqlite:///{folder / 'ioa.db'}")
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, make_manifest(), now=NOW)
        add_encoder(connection, CODES_ONLY, now=NOW)
    add_clients(engine, CLIENT)
    yield engine
    engine.dispose()


def screen(engine: Engine, mode: str = "learning", number: Any = 0.1, **stated: Any) -> LatentRow:
    """Return what would be stored of a message whose first number is ``number``.

    Raises:
        SchemaError: the message is refused.
    """
    fields = {
        "clientID": CLIENT,
        "label": "hand" if mode == "learning" else "",
        "value": [number, 1, 0, 1],
        "mode": mode,
        "timestamp": "2026-01-01 00:00:00",
        "encoderID": make_manifest().network_id,
    }
    body = json.dumps({"message": fields | stated}).encode()
    admission = Admission(engine, None, time.monotonic)
    exchange = find_exchange(mode)
    record = Record("t", 0, 0, 0, None, body, [])
    batch = screen_records([record], admission, exchange=exchange, cluster_id="c")
    if batch.refused:
        raise batch.refused[0].error
    return to_row(batch.admitted[0])


def gaussian(**changes: Any) -> dict[str, Any]:
    return GAUSSIAN | changes


def parameters(**changes: float) -> dict[str, Any]:
    return gaussian(parameters={"clip": 1.0, "sensitivity": 2.0, "sigma": 2.1596} | changes)


REFUSED = {
    "a guarantee without a mechanism": ({"mechanism": "none"} | CLAIM, "privacy.guarantee"),
    "a guarantee of what gives none": (gaussian(guarantee=True), "privacy.guarantee"),
    "a guarantee in words": (gaussian(guarantee="true"), "privacy.guarantee"),
    "an epsilon without a mechanism": ({"mechanism": "none", "epsilon": 4}, "privacy.epsilon"),
    "a delta without a mechanism": ({"mechanism": "none", "delta": 0}, "privacy.delta"),
    "an epsilon of 1e9": (gaussian(epsilon=1e9), "privacy.epsilon"),
    "an epsilon of 1e9, unknown": ({"mechanism": "own", "epsilon": 1e9}, "privacy.epsilon"),
    "an epsilon just too large": ({"mechanism": "own", "epsilon": 500.1}, "privacy.epsilon"),
    "an epsilon of 0": (gaussian(epsilon=0), "privacy.epsilon"),
    "a negative epsilon": (gaussian(epsilon=-4), "privacy.epsilon"),
    "a delta of 0": (gaussian(delta=0), "privacy.delta"),
    "a delta of 1": (gaussian(delta=1), "privacy.delta"),
    "too little noise for epsilon": (gaussian(epsilon=3.9), "privacy.parameters"),
    "too little noise for delta": (gaussian(delta=1e-7), "privacy.parameters"),
    "an epsilon of 1e-300": (gaussian(epsilon=1e-300), "privacy.parameters"),
    "no noise": (parameters(sigma=0), "privacy.parameters"),
    "hardly any noise": (parameters(sigma=1e-300), "privacy.parameters"),
    "negative noise": (parameters(sigma=-2.16), "privacy.parameters"),
    "a clip of 0": (parameters(clip=0), "privacy.parameters"),
    "a sensitivity of half": (parameters(sensitivity=1.0, sigma=1.08), "privacy.parameters"),
    "a clip that asks for more noise": (parameters(clip=2.0), "privacy.parameters"),
}


@pytest.mark.parametrize("mode", ["learning", "service"])
@pytest.mark.parametrize(("privacy", "field"), REFUSED.values(), ids=REFUSED)
def test_a_statement_that_contradicts_its_mechanism_is_refused(
    engine: Engine, mode: str, privacy: dict[str, Any], field: str
) -> None:
    with pytest.raises(SchemaError) as raised:
        screen(engine, mode, privacy=privacy)
    assert raised.value.field == field


KEPT = {
    "none": {"mechanism": "none"},
    "as 0.1.0 states it": GAUSSIAN,
    "little said": {"mechanism": "gaussian"},
    "more noise than needed": parameters(sigma=100.0),
    "unknown": {"mechanism": "own", "epsilon": 3},
    "an unknown one that claims": {"mechanism": "own"} | CLAIM,
    "in capitals": {"mechanism": "Gaussian"} | CLAIM,
    "with a blank": {"mechanism": "gaussian "} | CLAIM,
    "look-alike": {"mechanism": "n\u043ene"} | CLAIM,
}


@pytest.mark.parametrize("privacy", KEPT.values(), ids=KEPT)
def test_what_can_be_true_is_kept_without_a_guarantee(
    engine: Engine, privacy: dict[str, Any]
) -> None:
    kept = json.loads(screen(engine, privacy=privacy).privacy or "")
    assert kept["guarantee"] is False
    stated = {name: value for name, value in privacy.items() if name != "guarantee"}
    assert {name: kept[name] for name in stated} == stated


def test_noise_moves_latents_as_far_as_its_mechanism_does(engine: Engine) -> None:
    assert screen(engine, number=FAR, privacy=GAUSSIAN).value
    with pytest.raises(SchemaError, match=r"up to 20\.4 is permitted"):
        screen(engine, number=20.5, privacy=GAUSSIAN)


WIDENS_NOTHING = KEPT | {
    "nothing said": None,
    "of another adjacency": gaussian(adjacency="add-remove"),
    "of another unit": gaussian(unit="site"),
    "far more noise": parameters(sigma=1e30),
    "a clip beyond the encoder": gaussian(
        parameters={"clip": 1e6, "sensitivity": 2e6, "sigma": 2.1596e6}
    ),
}
del WIDENS_NOTHING["as 0.1.0 states it"]


@pytest.mark.parametrize("privacy", WIDENS_NOTHING.values(), ids=WIDENS_NOTHING)
@pytest.mark.parametrize("mode", ["learning", "service"])
def test_other_words_move_no_limit(
    engine: Engine, mode: str, privacy: dict[str, Any] | None
) -> None:
    stated = {} if privacy is None else {"privacy": privacy}
    with pytest.raises(SchemaError, match="is of size 13, and the encoder's latents lie between"):
        screen(engine, mode, number=FAR, **stated)


@pytest.mark.parametrize("epsilon", [1e-300, 1e-3, 0.01])
def test_no_epsilon_permits_a_thousand_times_the_range(engine: Engine, epsilon: float) -> None:
    stated = GaussianMechanism(epsilon=epsilon, delta=1e-12, clip=1.0, noise=system_noise).privacy
    privacy = json.loads(stated.to_json())
    privacy = {name: value for name, value in privacy.items() if value is not None}
    assert screen(engine, number=1000 * REACH - 1, privacy=privacy).value
    with pytest.raises(SchemaError, match=r"up to 3e\+03 is permitted"):
        screen(engine, number=1000 * REACH + 1, privacy=privacy)


AGGREGATES = [
    ({"kind": "mean", "count": 10**9}, "aggregate.count"),
    ({"kind": "mean", "count": 2**31 - 1}, "aggregate.count"),
    ({"kind": "mean", "count": 10_001}, "aggregate.count"),
    ({"kind": "mean", "count": 2**63}, "aggregate.count"),
    ({"kind": "mean", "count": 0}, "aggregate.count"),
    ({"kind": "mean", "count": -1}, "aggregate.count"),
    ({"kind": "record", "count": 2}, "aggregate.count"),
    ({"kind": "sum", "count": 2}, "aggregate.kind"),
    ({"kind": "mean", "count": 10_000}, None),
    ({"kind": "mean", "count": 1}, None),
    ({"kind": "record", "count": 1}, None),
]


@pytest.mark.parametrize(("aggregate", "field"), AGGREGATES)
@pytest.mark.parametrize("mode", ["learning", "service"])
def test_a_vector_stands_for_a_bounded_number_of_images(
    engine: Engine, mode: str, aggregate: dict[str, Any], field: str | None
) -> None:
    if field is None:
        assert screen(engine, mode, aggregate=aggregate).aggregate_count == aggregate["count"]
        return
    with pytest.raises(SchemaError) as raised:
        screen(engine, mode, aggregate=aggregate)
    assert raised.value.field == field


def test_a_mean_needs_the_less_noise_the_more_images_it_is_of(engine: Engine) -> None:
    noise = {"clip": 1.0, "sensitivity": 0.2, "sigma": 0.21596}
    mean = {"kind": "mean", "count": 10}
    assert screen(engine, privacy=gaussian(parameters=noise), aggregate=mean).privacy
    with pytest.raises(SchemaError, match=r"sensitivity 0\.2 is too small"):
        screen(engine, privacy=gaussian(parameters=noise))


@pytest.mark.parametrize("number", [4.1 * REACH, 1e30, "1", None, True])
def test_a_dtype_lets_no_number_through(engine: Engine, number: Any) -> None:
    for dtype in ("float32", "int8", "int32"):
        with pytest.raises(SchemaError):
            screen(engine, number=number, dtype=dtype)


@pytest.mark.parametrize("privacy", [{"mechanism": "none"}, GAUSSIAN])
def test_a_dtype_must_be_one_of_the_manifest(engine: Engine, privacy: dict[str, Any]) -> None:
    codes: dict[str, Any] = {"encoderID": CODES_ONLY.network_id, "number": 0, "privacy": privacy}
    assert screen(engine, dtype="int8", **codes).dtype == "int8"
    for dtype in ("float32", "int32"):
        with pytest.raises(SchemaError, match=f"{dtype} is not a packing .* allows int8"):
            screen(engine, dtype=dtype, **codes)


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"value": Vector("int4", (LATENT_DIM,), bytes(2))}, "dtype"),
        ({"aggregate": Aggregate("moments", 10)}, "aggregate.kind"),
    ],
)
def test_what_only_avro_can_say_is_compared_too(stated: dict[str, Any], field: str) -> None:
    value = Vector("int8", (LATENT_DIM,), bytes(LATENT_DIM))
    message = LatentMessage(CLIENT, "hand", value, "learning", NOW)
    encoder = EncoderRow(_MANIFEST.network_id, _MANIFEST, LATENT_DIM, NOW)
    check_statements(message, encoder)
    with pytest.raises(SchemaError) as raised:
        check_statements(replace(message, **stated), encoder)
    assert raised.value.field == field


def test_noise_in_codes_stays_in_the_encoders_range(engine: Engine) -> None:
    assert screen(engine, number=127, dtype="int8", privacy=GAUSSIAN).value == b"\x7f\1\0\1"


@given(
    st.floats(-300, 2.69).map(lambda exponent: 10**exponent),
    st.floats(-12, -0.01).map(lambda exponent: 10**exponent),
    st.floats(1e-3, 1e3),
)
def test_what_our_own_clients_state_always_fits(epsilon: float, delta: float, clip: float) -> None:
    mechanism = GaussianMechanism(epsilon=epsilon, delta=delta, clip=clip, noise=system_noise)
    assert measure_reach(mechanism.privacy, 1) == Reach(clip, 9 * mechanism.sigma)


def test_no_noise_is_stated_as_such() -> None:
    assert NoMechanism().privacy == Privacy("none")
    assert measure_reach(NoMechanism().privacy, 1) is None
