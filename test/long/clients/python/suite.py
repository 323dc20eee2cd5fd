"""What the programs of the Python clients share: names for topics, waiting, and the report of a case."""

import json
import sys
import time
import traceback
import uuid

NUMBERS = [(f"key-{i}".encode(), (f"value-{i} " * 20).encode()) for i in range(200)]
NULLS = [(None, b"no key"), (b"no value", None), (b"", b"")]
HEADERS = [("one", b"first"), ("one", b"again"), ("empty", b""), ("null", None)]
BIG_VALUE = b"x" * (1024 * 1024 - 200)
TOO_LARGE_VALUE = b"x" * (1024 * 1024 + 200)
DAY_MS = 86_400_000
TIMES_MS = [1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_000]


def unique(purpose):
    return f"{purpose}-{uuid.uuid4().hex[:12]}"


def check(actual, expected, what="value"):
    assert actual == expected, f"{what}: {str(actual)[:500]} instead of {str(expected)[:500]}"


def until(what, condition, seconds=20):
    """A change may be visible a moment after its answer: Kafka's broker follows its controller."""
    ends_at = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < ends_at, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)


def report(client, name, run):
    try:
        run()
        ok, detail = True, ""
    except Exception:  # noqa: BLE001 - whatever it is, it is what the case has to tell
        ok, detail = False, traceback.format_exc()[-3000:]
    print(json.dumps({"client": client, "case": name, "ok": ok, "detail": detail}), flush=True)


def run_all(client, cases):
    for name, run in cases.items():
        report(client, name, run)
    sys.stdout.flush()
