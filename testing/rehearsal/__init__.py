"""The monitor in virtual time: messages in, pages out; no broker, no disk, no waiting."""
