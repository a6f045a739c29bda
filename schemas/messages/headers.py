"""The envelope: names of the Kafka record headers, fixed for ever. Their values are ASCII text.

A message in the form of the paper (Salehinejad et al.) has none of them.
"""

KIND = "ioa-kind"
CLIENT = "ioa-client"
MESSAGE_ID = "ioa-message-id"
CORRELATION_ID = "ioa-correlation-id"
DEADLINE = "ioa-deadline"
"""When the client stops waiting for the answer, in milliseconds since the Unix epoch."""
CONTENT_TYPE = "content-type"
FIRST_OFFSET = "ioa-first-offset"
"""The first offset, in its partition, of a record that an operator has sent again."""
KEY_ID = "ioa-key-id"
SIGNATURE = "ioa-signature"

ERROR_REASON = "ioa-error-reason"
ERROR_FIELD = "ioa-error-field"
ORIGIN_TOPIC = "ioa-origin-topic"
ORIGIN_PARTITION = "ioa-origin-partition"
ORIGIN_OFFSET = "ioa-origin-offset"
ORIGIN_TIMESTAMP = "ioa-origin-timestamp"
STUB_SIZE = "ioa-stub-size"
"""In bytes, of a body that was too large to be copied."""
STUB_SHA256 = "ioa-stub-sha256"
"""Of that body, in hexadecimal digits."""
