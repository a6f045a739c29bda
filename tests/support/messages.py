"""An example of each message, and Hypothesis strategies that draw random ones."""

from datetime import UTC, datetime

import numpy as np
from hypothesis import strategies as st

from schemas.messages.answers import Acknowledgement, Refusal, Reply
from schemas.messages.dead_letter import DeadLetter
from schemas.messages.labels import check_label
from schemas.messages.latent import Aggregate, LatentMessage, Mode, Privacy
from schemas.messages.validation import Message
from schemas.vector import Vector
from stream.exchange.message_ids import make_message_id

MOMENT = datetime(2017, 4, 28, 13, 10, 2, tzinfo=UTC)
MESSAGE_ID = "018f4d2e-7c1a-7bcd-8ef0-123456789abc"
ENCODER_ID = "ab" * 32


def paper_learning() -> LatentMessage:
    """Return the learning message that the paper prints."""
    value = Vector.from_numpy(np.array([0.4, 0.9, 0.3], np.float32))
    return LatentMessage("app2", "chest x-ray", value, "learning", MOMENT)


def full_learning() -> LatentMessage:
    """Return a learning message with every field set."""
    return LatentMessage(
        "radiology-1",
        "chest x-ray",
        Vector.from_numpy(np.array([[-128, 0], [3, 127]], np.int8)),
        "learning",
        MOMENT,
        MESSAGE_ID,
        ENCODER_ID,
        image_id="image-7",
        subject="kx91",
        aggregate=Aggregate("mean", 10),
        privacy=Privacy(
            "gaussian",
            True,
            {"clip": 1.0, "sigma": 2.16},
            4.0,
            1e-5,
            "record",
            "replace-one",
            3,
            "cd" * 32,
        ),
        policy="ef" * 32,
    )


def full_service() -> LatentMessage:
    """Return a service message as our client sends it."""
    value = Vector.from_numpy(np.array([0.25, -1.5], np.float32))
    return LatentMessage(
        "radiology-1",
        "",
        value,
        "service",
        MOMENT,
        MESSAGE_ID,
        ENCODER_ID,
        aggregate=Aggregate(),
        privacy=Privacy("none", parameters={}),
    )


def examples() -> dict[str, Message]:
    """Return a message of each kind, by the name of its golden files."""
    reply_to = "018f4d2e-7c1a-7bcd-8ef0-0000000000ff"
    return {
        "learning": full_learning(),
        "service": full_service(),
        "reply": Reply(
            "radiology-1",
            "hand",
            MOMENT,
            reply_to,
            MESSAGE_ID,
            ENCODER_ID,
            "v7-0123456789ab",
            {"hand": 0.75, "chest": 0.25},
            False,
        ),
        "acknowledgement": Acknowledgement("radiology-1", "hand", MOMENT, reply_to, MESSAGE_ID),
        "refusal": Refusal(
            "radiology-1", "", MOMENT, reply_to, MESSAGE_ID, error="is empty", field="label"
        ),
    }


def dead_letter() -> DeadLetter:
    """Return a dead letter whose value is not UTF-8."""
    return DeadLetter(
        "is not UTF-8",
        None,
        "ioa.learning",
        2,
        41,
        1_493_385_002_000,
        b"key",
        b"\xff\x00",
        [("ioa-client", b"radiology-1"), ("empty", None)],
    )


def _is_label(text: str) -> bool:
    try:
        check_label(text)
    except ValueError:
        return False
    return bool(text)


_labels = st.text(min_size=1, max_size=256).filter(_is_label)
_client_ids = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
_uuids = st.uuids().map(str)
_message_ids = st.builds(
    make_message_id, st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10)
)
_sums = st.binary(min_size=32, max_size=32).map(bytes.hex)
_tokens = st.from_regex(r"[A-Za-z0-9_.:-]{1,128}", fullmatch=True)
_moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_numbers = {
    "float32": st.floats(allow_nan=False, allow_infinity=False, width=32),
    "int8": st.integers(-128, 127),
    "int32": st.integers(-(2**31), 2**31 - 1),
}


@st.composite
def _vectors(draw: st.DrawFn) -> Vector:
    dtype = draw(st.sampled_from(sorted(_numbers)))
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    count = rows * columns
    numbers = draw(st.lists(_numbers[dtype], min_size=count, max_size=count))
    shape = draw(st.sampled_from([(count,), (rows, columns)]))
    return Vector.from_numpy(np.array(numbers, dtype).reshape(shape))


_privacies = st.builds(
    Privacy,
    mechanism=_tokens,
    guarantee=st.just(False),
    parameters=st.dictionaries(_tokens, _finite, max_size=3),
    epsilon=st.none() | st.floats(0.001, 1e6),
    delta=st.none() | st.floats(0, 0.999),
    unit=st.none() | _tokens,
    adjacency=st.none() | _tokens,
    ledger_sequence=st.none() | st.integers(0, 2**62),
    ledger_head=st.none() | _sums,
)
_aggregates = st.just(Aggregate()) | st.builds(
    Aggregate, st.sampled_from(["mean", "sum"]), st.integers(1, 2**31 - 1)
)


@st.composite
def latent_messages(draw: st.DrawFn) -> LatentMessage:
    """Draw a learning or service message with all fields that Avro requires."""
    mode: Mode = draw(st.sampled_from(["learning", "service"]))
    return LatentMessage(
        client_id=draw(_client_ids),
        label=draw(_labels) if mode == "learning" else "",
        value=draw(_vectors()),
        mode=mode,
        timestamp=draw(_moments),
        message_id=draw(_message_ids),
        encoder_id=draw(_sums),
        image_id=draw(st.none() | _tokens),
        subject=draw(st.none() | _tokens),
        aggregate=draw(_aggregates),
        privacy=draw(_privacies),
        policy=draw(st.none() | _sums),
    )


def answers() -> st.SearchStrategy[Message]:
    """Draw a reply, acknowledgement or refusal."""
    common = {
        "client_id": _client_ids,
        "label": _labels | st.just(""),
        "timestamp": _moments,
        "in_reply_to": st.none() | _uuids,
        "message_id": st.none() | _message_ids,
    }
    text = st.none() | st.text(st.characters(codec="utf-8"), max_size=200)
    return st.one_of(
        st.builds(Acknowledgement, **common),
        st.builds(Refusal, **common, error=text, field=text),
        st.builds(
            Reply,
            **common,
            encoder_id=st.none() | _sums,
            model_version=st.none() | _tokens,
            probabilities=st.none() | st.dictionaries(_labels, st.floats(0, 1), max_size=4),
            abstained=st.none() | st.booleans(),
            error=text,
        ),
    )
