# syntax=docker/dockerfile:1
# Two images of one source, in the versions of constraints.txt:
#   docker build --target client .    encodes, publishes and asks; no PyTorch in it
#   docker build --target server .    ingests, trains and answers; trains encoders too

FROM python:3.11-slim AS source
# A named volume takes over the owner of the folder that it is mounted on.
RUN useradd --create-home --uid 1000 ioa && install --directory --owner ioa /encoders
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY stream stream
COPY client_autoencoder client_autoencoder
COPY server_classifier server_classifier
COPY ioa ioa

FROM source AS client
# Nothing beyond the base install; EXTRAS=[demo] adds scikit-learn for `--data digits`.
ARG EXTRAS=""
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt ".${EXTRAS}"
USER ioa
WORKDIR /home/ioa
ENTRYPOINT ["ioa"]
CMD ["--help"]

FROM source AS server
# PyTorch without the gigabytes for GPUs; for those, name another of PyTorch's indexes.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# train: the trainer and `ioa encoder train`; demo: the digits, for an encoder of public images.
ARG EXTRAS="[server,train,postgres,demo]"
# PyTorch alone comes from that index, which need not hold what PyTorch depends on.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt --no-deps --index-url "${TORCH_INDEX}" torch && \
    pip install --constraint constraints.txt ".${EXTRAS}"
USER ioa
WORKDIR /home/ioa
ENTRYPOINT ["ioa"]
CMD ["--help"]
