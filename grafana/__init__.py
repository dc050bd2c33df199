"""The Grafana dashboards, as code. Needed to change them, never to run the monitor: the JSON is committed."""

from __future__ import annotations

import warnings
from importlib import import_module

# The kit warns of the classic form of dashboards, which is the one that Grafana 10 to 13 all read.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import_module("grafana_foundation_sdk.builders.dashboard")
