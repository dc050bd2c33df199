"""The DSX contract as a judge of messages: NVIDIA's AsyncAPI file, by JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from testing.recording import FOLDER

CONTRACT = FOLDER / "asyncapi" / "bms.yaml"


class Contract:
    """Tells whether messages keep the contract.

    A topic has to be of one of its channels, and a payload of the message of that channel that is for the
    topic's point type.
    """

    def __init__(self) -> None:
        if not CONTRACT.exists():
            pytest.skip("no contract: bms.yaml is not beside the repository")
        self._document = yaml.load(CONTRACT.read_text(encoding="utf-8"), yaml.CSafeLoader)
        self._channels = [
            (channel["address"].split("/"), channel) for channel in self._document["channels"].values()
        ]
        self._found: dict[tuple[str, ...], list[Draft202012Validator]] = {}

    def faults(self, topic: str, payload: bytes) -> list[str]:
        """Return what is wrong with a message; nothing where it keeps the contract."""
        levels = topic.split("/")
        if len(levels) < 7:
            return [f"{topic}: no channel of the contract"]
        validators = self._validators(levels)
        if not validators:
            return [f"{topic}: no channel of the contract"]
        try:
            body = json.loads(payload, parse_constant=_refuse)
        except ValueError as error:
            return [f"{topic}: {error}"]
        if any(validator.is_valid(body) for validator in validators):
            return []
        return [f"{topic}: {error.message}" for error in validators[0].iter_errors(body)]

    def all_faults(self, messages: Iterable[tuple[str, bytes]]) -> list[str]:
        """Return what is wrong with several messages."""
        return [fault for topic, payload in messages for fault in self.faults(topic, payload)]

    def _validators(self, levels: list[str]) -> list[Draft202012Validator]:
        # All values of the bus have one schema, and metadata one for each object type and point type.
        deep = 6 if levels[3] == "Metadata" else 5
        names = (*levels[:2], "PUB" if levels[2] == "PUB" else "", *levels[3:deep])
        if names not in self._found:
            self._found[names] = [
                self._validator(message)
                for address, channel in self._channels
                if _is_of(address, levels)
                for message in channel["messages"].values()
                if levels[3] == "Value" or self._is_for(message, levels[5])
            ]
        return self._found[names]

    def _validator(self, message: Mapping[str, Any]) -> Draft202012Validator:
        payload = self._resolved(message)["payload"]
        schema = {"allOf": [payload], "components": self._document["components"]}
        return Draft202012Validator(schema)

    def _is_for(self, message: Mapping[str, Any], point_type: str) -> bool:
        """Tell whether a message describes points of a type: its schema, or a part of it, says so."""
        return point_type in set(self._point_types(self._resolved(message)["payload"]))

    def _point_types(self, schema: Mapping[str, Any]) -> Iterable[str]:
        schema = self._resolved(schema)
        yield from schema.get("properties", {}).get("pointType", {}).get("enum", [])
        for part in schema.get("allOf", []):
            yield from self._point_types(part)

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in node:
            found: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node


def _is_of(address: list[str], levels: list[str]) -> bool:
    for pattern, level in zip(address, levels, strict=False):
        if pattern == "{integration}":
            if level == "PUB":
                return False
        elif not pattern.startswith("{") and pattern != level:
            return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(f"expected JSON, found {constant}")
