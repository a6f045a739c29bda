"""The settings of a client process."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.vector import Packing


class ClientSettings(BaseModel):
    """One client: who it is, its encoder, and how it sends."""

    model_config = ConfigDict(extra="forbid")

    client_id: str = ""
    encoder: Path | None = None
    form: Literal["avro", "json"] = "avro"
    dtype: Packing = Field("int8", description="of latents without noise")
    max_skip: float = Field(0.02, ge=0, le=1, description="share of images that may be skipped")
    timeout_seconds: float = Field(60.0, gt=0, description="how long to wait for an answer")
    outbox: Path = Field(Path("ioa-outbox"), description="directory; a file <client-id>.db in it")
    outbox_mib: int = Field(1024, ge=1, description="largest size of all messages that wait")
    outbox_days: float = Field(7.0, gt=0, description="longest time that a message may wait")
    resend_seconds: float = Field(30.0, gt=0, description="after which a message goes again")
