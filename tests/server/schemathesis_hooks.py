"""What schemathesis does not know by itself."""

import itertools
from datetime import datetime, timezone

import schemathesis

# Lines of JSON are sent as the text that they are.
schemathesis.serializer.alias("application/x-ndjson", "text/plain")

NUMBERS = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes of what the schema allows what it cannot say: the rest is to be accepted.

    What is wrong on purpose stays as it is.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.query, dict):
        # Whether a cursor is one, nobody sees but the list that gave it out.
        cursor = case.query.get("cursor")
        if isinstance(cursor, str) and len(cursor) < 40:
            del case.query["cursor"]
    if case.headers and "Idempotency-Key" in case.headers:
        # The same again with another body is refused.
        case.headers["Idempotency-Key"] = f"k{next(NUMBERS)}"
    if isinstance(case.body, dict):
        body(case.body)


def body(fields):
    # A moment that has passed.
    end = fields.get("expires_at")
    if isinstance(end, str) and not is_in_the_future(end):
        fields["expires_at"] = "2100-01-01T00:00:00Z"
    # Bits beyond the prefix of a network.
    if isinstance(fields.get("allowed_ips"), list):
        fields["allowed_ips"] = ["192.0.2.0/24"]
    # The beginning of a key, and a digest that no other has.
    if isinstance(fields.get("digest"), str) and isinstance(fields.get("hint"), str):
        fields["digest"] = f"{next(NUMBERS):064x}"
        fields["hint"] = f"acme_{fields.get('environment', 'live')}_3Jd4"
    # For a schema 1.0 is an integer.
    if isinstance(fields.get("grace_seconds"), float):
        fields["grace_seconds"] = int(fields["grace_seconds"])


def is_in_the_future(text):
    try:
        return datetime.fromisoformat(text) > datetime.now(timezone.utc)
    except (TypeError, ValueError):
        return False
