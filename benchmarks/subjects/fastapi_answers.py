"""The same classifier behind FastAPI and uvicorn, with uvloop and httptools.

Question and reply are the same Avro, decoded, validated and encoded by our ``schemas``. It does not
look up whether client and encoder are registered. It stores nothing: a question that is open when
the process dies is lost, and the client has to ask again.

Run by ``benchmarks/round_trip.py``, which sets the environment variables.
"""

import os
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

from schemas.messages.message import Reply
from schemas.quantiser import dequantise
from schemas.wire.avro_form import CONTENT_TYPE, decode_latent_avro, encode_avro
from stream.exchange.message_ids import make_message_id


def main() -> None:
    host, _, port = os.environ["BENCH_ADDRESS"].partition(":")
    uvicorn.run(
        make_app(Path(os.environ["BENCH_MODEL"])),
        host=host,
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


def make_app(folder: Path) -> FastAPI:
    """Return an app that answers with the model in ``folder``."""
    about = orjson.loads((folder / "model.json").read_bytes())
    labels, low, high = about["labels"], about["low"], about["high"]
    session = open_session(folder / "model.onnx")
    app = FastAPI()

    @app.post("/answer")
    async def answer(request: Request) -> Response:
        message = decode_latent_avro(await request.body())
        latent = dequantise(message.value.to_numpy().reshape(1, -1), low, high)
        (row,) = session.run(["probabilities"], {"latents": latent})[0]
        assert np.isfinite(row).all()
        ranked = sorted(zip(row.tolist(), labels, strict=True), reverse=True)
        now = time.time()
        reply = Reply(
            message.client_id,
            ranked[0][1],
            datetime.fromtimestamp(now, UTC),
            message.message_id,
            make_message_id(int(now * 1000), secrets.token_bytes(10)),
            message.encoder_id,
            about["version"],
            {label: value for value, label in ranked},
            abstained=False,
        )
        return Response(encode_avro(reply), media_type=CONTENT_TYPE)

    return app


def open_session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
