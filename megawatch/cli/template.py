"""The site file that `megawatch init` writes: a small site that passes `megawatch check`, explained."""

FILE = "site.toml"
SITE = """\
# A site, as Megawatch watches it. Every key is explained in docs/site-file.md; `megawatch check` finds
# whatever is wrong here, all at once. Megawatts are megawatts, dates begin at midnight in the site's zone.

[site]
name = "my-site"
timezone = "America/Chicago"     # in which contracts and demand blocks begin and end
rack_rating_kw = 132             # the most a rack draws where no [[rack]] table says otherwise:
                                 # what a silent rack may be drawing, so better too high than too low
# firm_capacity_mw = 12.0        # what the plant delivers with one unit lost
# supply_meters = ["UTILITY-1"]  # meters of all that the site takes, for its PUE

[[broker]]
url = "mqtt://127.0.0.1:1883"    # mqtts:// for TLS with name check
format = "dsx"                   # NVIDIA's DSX BMS bus; or "rack-documents" (docs/rack-documents.md)
publishers = ["PUB"]             # who is believed: the building system, and integrations by their names
# queued_messages = 100_000      # what it keeps for us while we are away, as `megawatch doctor` measures
# username = "megawatch"
# password_file = "secrets/bms"  # next to this file; the file's text is the password
# ca_file = "secrets/ca.pem"     # where the broker's certificate is not of a public authority
# cert_file = "secrets/me.pem"   # where it wants one of ours; key_file beside it

[store]
data_dir = "data"                # journal, ledger and history; relative to this file
# influxdb = { url = "http://127.0.0.1:8086", org = "my-org", token_file = "secrets/influx" }
# without it: Parquet files under the data folder, which any tool can read

[metrics]
port = 0                         # /metrics for Prometheus on loopback, such as 9464; 0 for none

# Racks by their ids, as the building system calls them (rackLocationId), not by the path of a topic.
# [1-4] and {01..48} count; a rack named here is missed when it is silent, heard or not.
[[rack]]
ids = ["A-{01..12}", "B-{01..12}"]
rating_kw = 132
feeds = 2

# Assets that the bus does not tell about, such as which busway feeds which taps.
# [[asset]]
# id = "BUS-A1"
# kind = "PowerMeter"
# serves = ["A-{01..12}-TAP-1"]

[[tenant]]
id = "acme"
name = "Acme AI"
holds = [{ racks = "A-*", from = 2026-01-01 }]

[[tenant.contract]]              # a version, in force from its date; an amendment is another version
from = 2026-01-01
committed_mw = 1.2               # once every ramp is over
ramp = [                         # the way there: from each date on, its level
  { from = 2026-01-01, committed_mw = 0.8 },
  { from = 2026-07-01, committed_mw = 1.2, shape = "linear" },  # rises evenly until that date
]
boundary = "rack_input"          # which points are summed: "rack_input", "tap_meter", "named_meters"
limit = { method = "instantaneous", warn_percent = 95, critical_percent = 120 }
ends = 2029-05-31                # the last day
notice_days = 90

[[tenant]]
id = "globex"
name = "Globex"
holds = [{ racks = "B-*", from = 2026-01-01 }]

[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.4
limit = { method = "block", minutes = 15 }   # the mean over clock-aligned quarter hours

# Which notifications go where. Without any route all of them go to the terminal.
[[route]]
to = { console = true }

# [[route]]
# severity = ["critical", "high"]
# to = { webhook = "https://pager.example/megawatch", secret_file = "secrets/pager" }
#
# [[route]]
# desk = ["P1"]
# to = { pagerduty = "secrets/pagerduty", slack = "secrets/slack" }   # or teams; each names a file

# Parameters of rules, where the defaults of docs/rules.md do not fit.
# [rules.C2]
# on_delay_s = 5
"""
