"""The envelope: names of the Kafka record headers, fixed for ever. Values are ASCII text.

A message written from the paper alone has none of them.
"""

KIND = "ioa-kind"
CLIENT = "ioa-client"
MESSAGE_ID = "ioa-message-id"
CORRELATION_ID = "ioa-correlation-id"
DEADLINE = "ioa-deadline"
"""Milliseconds since the Unix epoch; after it nobody waits for the answer any more."""
CONTENT_TYPE = "content-type"
FIRST_OFFSET = "ioa-first-offset"
"""Where a record stood first in its partition that an operator has sent again."""
KEY_ID = "ioa-key-id"
SIGNATURE = "ioa-signature"

ERROR_REASON = "ioa-error-reason"
ERROR_FIELD = "ioa-error-field"
ORIGIN_TOPIC = "ioa-origin-topic"
ORIGIN_PARTITION = "ioa-origin-partition"
ORIGIN_OFFSET = "ioa-origin-offset"
ORIGIN_TIMESTAMP = "ioa-origin-timestamp"
