"""is_valid of djangorestframework-api-key, called in process, one at a time, with SQLite in memory."""

import json
import platform
import sqlite3
import sys
import time

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="known",
    INSTALLED_APPS=["rest_framework", "rest_framework_api_key"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from rest_framework_api_key.models import APIKey  # noqa: E402

seconds = float(sys.argv[1])
call_command("migrate", verbosity=0)
keys = [APIKey.objects.create_key(name=f"key {n}")[1] for n in range(16)]


def run(presented, expected):
    begin = time.perf_counter()
    calls, spent = 0, 0.0
    while spent < seconds:
        for key in presented:
            if APIKey.objects.is_valid(key) is not expected:
                sys.exit("a key is judged wrongly")
        calls += len(presented)
        spent = time.perf_counter() - begin
    return calls / spent


for name, version in [
    ("Python", platform.python_version()),
    ("Django", django.__version__),
    ("SQLite in Python", sqlite3.sqlite_version),
]:
    print(json.dumps({"kind": "tool", "name": name, "version": version}))

unknown = [("y" if key[0] == "x" else "x") + key[1:] for key in keys]
for figure, presented, expected in [
    ("good keys a second", keys, True),
    ("unknown keys a second", unknown, False),
]:
    run(presented, expected)
    line = {
        "kind": "figure",
        "group": "other languages",
        "case": "djangorestframework-api-key 3.1.0, is_valid, SQLite in memory",
        "figure": figure,
        "value": run(presented, expected),
    }
    print(json.dumps(line))
