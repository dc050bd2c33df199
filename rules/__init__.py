"""Journalled readings to alarms to notifications.

The engine takes entries from the journal, keeps what is known of each point, and at every tick of event time
makes a `View` of the site; each rule of `library` judges it; `alarms` turns verdicts into alarms, `suppress`
decides what is told, and `notify` tells it.
"""
